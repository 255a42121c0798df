// compile.cpp: the two runs of the C++ compiler.

#include "compile.h"

#include <cstdlib>
#include <exception>
#include <fstream>

#include "files.h"
#include "mode.h"
#include "rewrite.h"

namespace host
{
namespace
{
std::string compiler()
{
    const char* chosen = std::getenv("CXX");
    return chosen != nullptr && *chosen != 0 ? chosen : "g++";
}

std::string replaced(const std::string& name, const std::string& text)
{
    std::string base = name.substr(name.rfind('/') + 1);
    return base == "ptx.cuh" ? read_file(home() + "/include/ptx.cuh") : text;
}

std::string without(std::string log, const std::string& folder)
{
    for (size_t at; (at = log.find(folder)) != std::string::npos;) log.erase(at, folder.size());
    return log;
}

void add_machine(std::vector<std::string>& command)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) command.push_back("-march=haswell");
#endif
    (void)command;
}
}

Compiled preprocess(const Source& source)
{
    TemporaryFolder folder;
    std::string name = source.name.empty() ? "default_program" : source.name;
    std::string file = folder.write(name, source.text);
    for (const auto& [header, text] : source.headers) folder.write(header, replaced(header, text));

    std::vector<std::string> command = {compiler(), "-E", "-x", "c++", "-nostdinc", "-std=" + source.standard, "-I" + folder.path("."),
        "-D__CUDACC__", "-D__CUDACC_RTC__", "-D__CUDA_ARCH__=" + std::to_string(source.arch * 10)};
    for (const std::string& definition : source.definitions) command.push_back("-D" + definition);
    for (const std::string& include : source.include_folders) command.push_back("-I" + include);
    std::string result = folder.path("kernel_host_preprocessed.ii");
    command.insert(command.end(), {"-o", result, file});
    Outcome outcome = run(command);
    std::string log = without(outcome.output, folder.path(""));
    if (outcome.status != 0) return {false, "", log};
    std::string text = read_file(result);
    for (const std::string& prefix : {folder.path("./"), folder.path("")}) text = without(text, prefix);
    return {true, text, log};
}

Compiled compile(const std::string& text, const std::string& standard, bool check)
try
{
    TemporaryFolder folder;
    std::string file = folder.write("module.ii.cpp", rewrite(text)), object = folder.path("module.so");
    // -O1 compiles in half the time of -O2 and the tests run small shapes. No fused multiply-add, so that a sum is what the text says it
    // is; aliasing and overflow are left alone, since device code reinterprets storage and counts modulo 2^32.
    std::vector<std::string> command = {compiler(), "-x", "c++", "-std=" + standard, "-O1", "-fPIC", "-shared", "-nostdlib", "-nostdinc", "-w",
        "-pipe", "-fvisibility=hidden", "-fno-gnu-unique", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-math-errno",
        "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-fno-stack-protector", "-fstack-clash-protection", "-ftrivial-auto-var-init=pattern",
        "-I" + home() + "/include", "-include", "kernel_host.h"};
    add_machine(command);
    if (check) command.insert(command.end(), {"-g1", "-DKERNEL_HOST_CHECK", "-fsanitize=thread", "--param=tsan-instrument-func-entry-exit=0", "-fno-toplevel-reorder"});
    command.insert(command.end(), {"-o", object, file});
    command.push_back("-lm"); // and, by -nostdlib, not the sanitizer's runtime: the callbacks of access_callbacks.h take its place
    Outcome outcome = run(command);
    std::string log = without(outcome.output, folder.path(""));
    if (outcome.status != 0) return {false, "", log};
    return {true, read_file(object), log};
}
catch (const std::exception& error)
{
    return {false, "", error.what()};
}
}
