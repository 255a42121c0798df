// mode.cpp: reading the mode, counting the calls that it wants to fail, and the log.

#include "mode.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>

namespace host
{
namespace
{
const std::set<std::string> kKinds = {"alloc", "launch", "fault", "compile", "copy", "load", "graph", "sync"};

std::string parse_failures(const std::string& text, std::map<std::string, unsigned>& failures)
{
    std::stringstream list(text);
    std::string item;
    while (std::getline(list, item, '|'))
    {
        size_t colon = item.find(':');
        std::string kind = item.substr(0, colon);
        char* end = nullptr;
        unsigned long call = colon == std::string::npos ? 0 : std::strtoul(item.c_str() + colon + 1, &end, 10);
        if (kKinds.count(kind) == 0 || call == 0 || *end != 0)
            return "'" + item + "' is no call to fail; write kind:n with kind alloc, launch, fault, compile, copy, load, graph or sync";
        failures[kind] = static_cast<unsigned>(call);
    }
    return {};
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

[[noreturn]] void refuse(const std::string& what)
{
    std::fprintf(stderr, "kernel host: %s\n", what.c_str());
    std::exit(2);
}

Mode read_mode()
{
    Mode mode;
    std::string text = environment("DVP_HOST_MODE");
    if (text.empty()) std::getline(std::ifstream(home() + "/mode"), text);
    if (std::string wrong = mode.parse(text); !wrong.empty()) refuse(wrong);
    if (std::string seed = environment("DVP_HOST_SEED"); !seed.empty()) mode.seed = std::strtoull(seed.c_str(), nullptr, 10);
    if (std::string log = environment("DVP_HOST_LOG"); !log.empty()) mode.log = log;
    if (std::string arch = environment("DVP_HOST_ARCH"); !arch.empty() && std::sscanf(arch.c_str(), "%d.%d", &mode.major, &mode.minor) != 2)
        refuse("DVP_HOST_ARCH is '" + arch + "'; write a compute capability such as 8.0 or 9.0");
    return mode;
}
}

std::string Mode::parse(const std::string& text)
{
    std::stringstream list(text);
    std::string word;
    while (std::getline(list, word, ','))
    {
        if (word == "check") check = true;
        else if (word == "permute") permute = true;
        else if (word == "late") late = true;
        else if (word.rfind("seed=", 0) == 0) seed = std::strtoull(word.c_str() + 5, nullptr, 10);
        else if (word.rfind("log=", 0) == 0) log = word.substr(4);
        else if (word.rfind("fail=", 0) == 0)
        {
            if (std::string wrong = parse_failures(word.substr(5), failures); !wrong.empty()) return wrong;
        }
        else if (!word.empty()) return "'" + word + "' is no mode; known are check, permute, late, seed=n, log=file and fail=kind:n";
    }
    return {};
}

Mode& mode()
{
    static Mode mode = read_mode();
    return mode;
}

bool fails(const char* kind)
{
    static std::mutex mutex;
    static std::map<std::string, unsigned> calls;
    std::lock_guard lock(mutex);
    auto wanted = mode().failures.find(kind);
    return wanted != mode().failures.end() && ++calls[kind] == wanted->second;
}

const std::string& home()
{
    static const std::string folder = []
    {
        Dl_info info{};
        dladdr(reinterpret_cast<void*>(&home), &info);
        char* real = realpath(info.dli_fname, nullptr);
        std::string path = real == nullptr ? info.dli_fname : real;
        std::free(real);
        return path.substr(0, path.rfind('/'));
    }();
    return folder;
}

void log_line(const std::string& line)
{
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    FILE* file = mode().log.empty() ? stderr : std::fopen(mode().log.c_str(), "a");
    if (file == nullptr) file = stderr;
    std::fprintf(file, "%s\n", line.c_str());
    file == stderr ? std::fflush(file) : std::fclose(file);
}
}
