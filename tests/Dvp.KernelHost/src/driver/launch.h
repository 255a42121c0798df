// launch.h: one launch of a kernel, with its own copy of the arguments.

#pragma once

#include <memory>
#include <vector>

#include "module.h"

namespace host
{
struct Launch
{
    std::shared_ptr<Module> module;
    const Function* function;
    uint3 grid, block;
    unsigned shared_bytes;
    std::vector<std::vector<unsigned char>> arguments;
};

// Judges the shape of a launch as a device would.
CUresult check_launch(const Function& function, const uint3& grid, const uint3& block, unsigned shared_bytes);

// Runs all blocks. What goes wrong is written to the log and comes back as the context's error.
CUresult run_launch(const Launch& launch);
}
