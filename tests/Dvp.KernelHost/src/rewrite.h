// rewrite.h: the few changes of text that macros cannot make.

#pragma once

#include <string>

namespace host
{
// Takes a kernel file after the preprocessor and returns C++ that includes kernel_host.h's meaning:
//   extern __shared__ T name[];     becomes  T* const name = kernel_host::dynamic_shared<T>();
//   __shared__ T a[2], b[3];        becomes  two declarations, so that the mode check can keep them apart
//   every __global__ function       gets a line in the module's table, with its __launch_bounds__
// Line numbers stay. Throws std::runtime_error with the text of a compile error.
std::string rewrite(const std::string& preprocessed);
}
