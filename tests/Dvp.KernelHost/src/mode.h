// mode.h: what DVP_HOST_MODE, DVP_HOST_SEED, DVP_HOST_ARCH and DVP_HOST_LOG ask for.

#pragma once

#include <map>
#include <string>

namespace host
{
struct Mode
{
    bool check = false;   // every access of a kernel is judged
    bool permute = false; // random order of threads and blocks
    bool late = false;    // streams run when somebody waits for them
    unsigned long long seed = 1;
    int major = 8, minor = 0; // compute capability
    std::string log; // file for reports; stderr when empty

    // Which call of a kind fails, counted from 1: {"alloc", 17}.
    std::map<std::string, unsigned> failures;

    // Reads a list as check,late,fail=alloc:17|launch:5. Returns what is wrong with it, or nothing.
    std::string parse(const std::string& text);
};

// The process's mode: the environment, or where DVP_HOST_MODE is not set the file `mode` beside this library. Read once; what is wrong
// with it goes to stderr and ends the process, since a test in the wrong mode proves nothing.
Mode& mode();

// True when this is the call of its kind that the mode wants to fail.
bool fails(const char* kind);

// The folder of this library.
const std::string& home();

// Writes one line to the log.
void log_line(const std::string& line);
}
