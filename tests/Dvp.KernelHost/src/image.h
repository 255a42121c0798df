// image.h: the bytes that stand for a CUBIN: the text after the preprocessor, and the shared object made from it. The text lets a driver in
// another mode, or given PTX (an image without shared object), compile at load time.

#pragma once

#include <string>

namespace host
{
struct Image
{
    int arch = 80;           // 10 * major + minor
    bool exact_arch = false; // sm_90a: for that arch alone
    bool checked = false;    // compiled for the mode check
    std::string text;        // preprocessed
    std::string object;      // shared object; empty in PTX

    std::string pack() const;

    // False when the bytes are no image, or a damaged one.
    static bool unpack(const void* bytes, Image& image);
};
}
