// nvrtc.cpp: NVRTC's C interface.

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "compile.h"
#include "image.h"
#include "mode.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Result
{
    NVRTC_SUCCESS = 0,
    NVRTC_ERROR_OUT_OF_MEMORY = 1,
    NVRTC_ERROR_PROGRAM_CREATION_FAILURE = 2,
    NVRTC_ERROR_INVALID_INPUT = 3,
    NVRTC_ERROR_INVALID_PROGRAM = 4,
    NVRTC_ERROR_INVALID_OPTION = 5,
    NVRTC_ERROR_COMPILATION = 6,
    NVRTC_ERROR_BUILTIN_OPERATION_FAILURE = 7,
    NVRTC_ERROR_INTERNAL_ERROR = 11,
};

namespace
{
using host::Compiled;
using host::Image;
using host::Source;

const int kArchs[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

struct Program
{
    Source source;
    std::string log, cubin, ptx;
};

std::mutex s_mutex;
std::set<Program*> s_programs;

bool is_known(Program* program)
{
    std::lock_guard lock(s_mutex);
    return s_programs.count(program) != 0;
}

// What the options of one compilation ask for.
struct Options
{
    std::vector<std::string> definitions, folders;
    std::string standard = "c++17";
    int arch = 75;
    bool virtual_arch = true, exact_arch = false;
};

// Options without effect on a host, with and without a value.
const std::set<std::string> kIgnoredFlags = {"-lineinfo", "--generate-line-info", "-G", "--device-debug", "-w", "--disable-warnings", "-restrict",
    "--restrict", "-default-device", "--device-as-default-execution-space", "-use_fast_math", "--use_fast_math", "-extra-device-vectorization",
    "--extra-device-vectorization", "-rdc", "-dc", "--device-c", "--minimal", "-pch", "--display-error-number", "-dopt", "--dopt"};
const std::set<std::string> kIgnoredValues = {"--ptxas-options", "-Xptxas", "--maxrregcount", "-maxrregcount", "--fmad", "-fmad", "--ftz", "-ftz",
    "--prec-div", "-prec-div", "--prec-sqrt", "-prec-sqrt", "--split-compile", "-split-compile", "--diag-suppress", "-diag-suppress", "--diag-error",
    "-diag-error", "--diag-warn", "-diag-warn", "--dopt", "-dopt", "--relocatable-device-code", "-rdc", "--device-int128", "--optimization-info"};

bool read_arch(const std::string& value, Options& options)
{
    bool real = value.rfind("sm_", 0) == 0;
    if (!real && value.rfind("compute_", 0) != 0) return false;
    std::string digits = value.substr(value.find('_') + 1);
    options.exact_arch = !digits.empty() && (digits.back() == 'a' || digits.back() == 'f');
    if (options.exact_arch) digits.pop_back();
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos || digits.size() > 3) return false;
    options.arch = std::stoi(digits);
    options.virtual_arch = !real;
    return std::find(std::begin(kArchs), std::end(kArchs), options.arch) != std::end(kArchs);
}

// A word of the command line: its name and its value, which stands after =, or in the next word.
bool read_option(const std::vector<std::string>& words, size_t& i, Options& options)
{
    const std::string& word = words[i];
    size_t equals = word.find('=');
    std::string name = word.substr(0, equals);
    auto value = [&]() { return equals != std::string::npos ? word.substr(equals + 1) : i + 1 < words.size() ? words[++i] : std::string(); };

    if (word.rfind("-D", 0) == 0) options.definitions.push_back(word.size() > 2 ? word.substr(2) : i + 1 < words.size() ? words[++i] : "");
    else if (word.rfind("-I", 0) == 0) options.folders.push_back(word.size() > 2 ? word.substr(2) : i + 1 < words.size() ? words[++i] : "");
    else if (name == "--define-macro") options.definitions.push_back(value());
    else if (name == "--include-path") options.folders.push_back(value());
    else if (name == "-std" || name == "--std") options.standard = value();
    else if (name == "-arch" || name == "--gpu-architecture") return read_arch(value(), options);
    else if (equals == std::string::npos && kIgnoredFlags.count(word) != 0) return true;
    else if (kIgnoredValues.count(name) != 0) return !value().empty();
    else return false;
    return options.standard == "c++14" || options.standard == "c++17" || options.standard == "c++20";
}

Result compile(Program& program, int count, const char* const* words)
{
    program.cubin.clear();
    program.ptx.clear();
    if (host::fails("compile"))
    {
        program.log = "kernel host: this compilation fails because the mode asks for it\n";
        return NVRTC_ERROR_INTERNAL_ERROR;
    }

    Options options;
    std::vector<std::string> all(words, words + count);
    for (size_t i = 0; i < all.size(); i++)
    {
        size_t first = i;
        if (!read_option(all, i, options))
        {
            program.log = "nvrtc: error: invalid value or name of option '" + all[first] + "'\n";
            return NVRTC_ERROR_INVALID_OPTION;
        }
    }

    Source source = program.source;
    source.definitions = options.definitions;
    source.include_folders = options.folders;
    source.standard = options.standard;
    source.arch = options.arch;
    Compiled text = host::preprocess(source);
    program.log = text.log;
    if (!text.ok) return NVRTC_ERROR_COMPILATION;

    Image image;
    image.arch = options.arch;
    image.exact_arch = options.exact_arch;
    image.text = "// std " + options.standard + "\n" + text.result;
    image.checked = host::mode().check;
    program.ptx = image.pack();
    Compiled object = host::compile(image.text, options.standard, image.checked);
    program.log += object.log;
    if (!object.ok) return NVRTC_ERROR_COMPILATION;
    image.object = object.result;
    if (!options.virtual_arch) program.cubin = image.pack();
    return NVRTC_SUCCESS;
}

Result give(Program* program, const std::string Program::* part, char* target)
{
    if (!is_known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    const std::string& bytes = program->*part;
    if (target == nullptr || bytes.empty()) return NVRTC_ERROR_INVALID_INPUT;
    std::memcpy(target, bytes.data(), bytes.size());
    return NVRTC_SUCCESS;
}

Result give_size(Program* program, const std::string Program::* part, size_t* size)
{
    if (!is_known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (size == nullptr) return NVRTC_ERROR_INVALID_INPUT;
    *size = (program->*part).size();
    return NVRTC_SUCCESS;
}
}

EXPORT const char* nvrtcGetErrorString(Result result)
{
    switch (result)
    {
        case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
        case NVRTC_ERROR_OUT_OF_MEMORY: return "NVRTC_ERROR_OUT_OF_MEMORY";
        case NVRTC_ERROR_PROGRAM_CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
        case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
        case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
        case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
        case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
        case NVRTC_ERROR_BUILTIN_OPERATION_FAILURE: return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
        case NVRTC_ERROR_INTERNAL_ERROR: return "NVRTC_ERROR_INTERNAL_ERROR";
        default: return "NVRTC_ERROR unknown";
    }
}

EXPORT Result nvrtcVersion(int* major, int* minor)
{
    if (major == nullptr || minor == nullptr) return NVRTC_ERROR_INVALID_INPUT;
    *major = 13, *minor = 0;
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcGetNumSupportedArchs(int* count)
{
    if (count == nullptr) return NVRTC_ERROR_INVALID_INPUT;
    *count = static_cast<int>(std::size(kArchs));
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcGetSupportedArchs(int* archs)
{
    if (archs == nullptr) return NVRTC_ERROR_INVALID_INPUT;
    std::copy(std::begin(kArchs), std::end(kArchs), archs);
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcCreateProgram(Program** program, const char* text, const char* name, int count, const char* const* headers, const char* const* names)
{
    if (program == nullptr || text == nullptr || count < 0 || (count > 0 && (headers == nullptr || names == nullptr))) return NVRTC_ERROR_INVALID_INPUT;
    auto* created = new Program;
    created->source.text = text;
    created->source.name = name == nullptr ? "" : name;
    for (int i = 0; i < count; i++) created->source.headers.emplace_back(names[i], headers[i]);
    std::lock_guard lock(s_mutex);
    s_programs.insert(created);
    *program = created;
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcDestroyProgram(Program** program)
{
    if (program == nullptr || !is_known(*program)) return NVRTC_ERROR_INVALID_PROGRAM;
    std::lock_guard lock(s_mutex);
    s_programs.erase(*program);
    delete *program;
    *program = nullptr;
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcCompileProgram(Program* program, int count, const char* const* options)
{
    if (!is_known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (count < 0 || (count > 0 && options == nullptr)) return NVRTC_ERROR_INVALID_INPUT;
    try
    {
        return compile(*program, count, options);
    }
    catch (const std::exception& error)
    {
        program->log += error.what();
        return NVRTC_ERROR_INTERNAL_ERROR;
    }
}

// The log's size counts the closing zero.
EXPORT Result nvrtcGetProgramLogSize(Program* program, size_t* size)
{
    Result result = give_size(program, &Program::log, size);
    if (result == NVRTC_SUCCESS) ++*size;
    return result;
}

EXPORT Result nvrtcGetProgramLog(Program* program, char* log)
{
    if (!is_known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (log == nullptr) return NVRTC_ERROR_INVALID_INPUT;
    std::memcpy(log, program->log.c_str(), program->log.size() + 1);
    return NVRTC_SUCCESS;
}

EXPORT Result nvrtcGetCUBINSize(Program* program, size_t* size) { return give_size(program, &Program::cubin, size); }
EXPORT Result nvrtcGetCUBIN(Program* program, char* cubin) { return give(program, &Program::cubin, cubin); }
EXPORT Result nvrtcGetPTXSize(Program* program, size_t* size) { return give_size(program, &Program::ptx, size); }
EXPORT Result nvrtcGetPTX(Program* program, char* ptx) { return give(program, &Program::ptx, ptx); }
