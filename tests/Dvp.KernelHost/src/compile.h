// compile.h: from CUDA text to a shared object, by the system's C++ compiler.

#pragma once

#include <string>
#include <utility>
#include <vector>

namespace host
{
struct Source
{
    std::string name, text;
    std::vector<std::pair<std::string, std::string>> headers; // name, text
    std::vector<std::string> definitions;                     // name or name=value
    std::vector<std::string> include_folders;
    std::string standard = "c++17";
    int arch = 80;
};

struct Compiled
{
    bool ok;
    std::string result; // text or object
    std::string log;
};

// Runs the preprocessor; common/ptx.cuh among the headers gives way to the kernel host's.
Compiled preprocess(const Source& source);

// Compiles preprocessed text.
Compiled compile(const std::string& text, const std::string& standard, bool check);
}
