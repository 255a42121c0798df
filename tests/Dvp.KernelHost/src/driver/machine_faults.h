// machine_faults.h: a wild access or a used-up stack of a kernel ends its launch, not the process.

#pragma once

namespace host
{
// While one lives, SIGSEGV and SIGBUS raised by a fiber end the fiber's block; any other goes where it went before.
class MachineFaults
{
public:
    MachineFaults();
    ~MachineFaults();
    MachineFaults(const MachineFaults&) = delete;
    MachineFaults& operator=(const MachineFaults&) = delete;
};
}
