// machine_faults.cpp: the handler of SIGSEGV, SIGBUS and SIGFPE.

#include "machine_faults.h"

#include <csignal>
#include <pthread.h>
#include <ucontext.h>

#include "fiber.h"
#include "team.h"

namespace host
{
namespace
{
struct sigaction s_previous[64];
thread_local bool t_running_fibers = false;

void handle(int signal, siginfo_t* info, void* context)
{
    auto* machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    auto &pointer = machine->gregs[REG_RSP], &instruction = machine->gregs[REG_RIP];
#elif defined(__aarch64__)
    auto &pointer = machine->sp, &instruction = machine->pc;
#endif
    void* stack = nullptr;
    if (t_running_fibers && Team::one().machine_fault(signal, info->si_addr, static_cast<uintptr_t>(pointer), &stack))
    {
        // The scheduler waits in host_switch; the handler returns there instead of to the fiber.
        pointer = reinterpret_cast<uintptr_t>(stack);
        instruction = reinterpret_cast<uintptr_t>(&host_resume);
        return;
    }
    const struct sigaction& previous = s_previous[signal];
    if ((previous.sa_flags & SA_SIGINFO) != 0) previous.sa_sigaction(signal, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) previous.sa_handler(signal);
    else ::signal(signal, SIG_DFL); // and the instruction faults again
}

// A thread that ran out of stack needs another one for the handler.
void ensure_alternate_stack()
{
    stack_t current{};
    if (sigaltstack(nullptr, &current) == 0 && (current.ss_flags & SS_DISABLE) == 0) return;
    static thread_local unsigned char memory[64 << 10];
    stack_t own{};
    own.ss_sp = memory, own.ss_size = sizeof memory;
    sigaltstack(&own, nullptr);
}
}

MachineFaults::MachineFaults()
{
    static const bool installed = []
    {
        struct sigaction action{};
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) sigaction(signal, &action, &s_previous[signal]);
        return true;
    }();
    (void)installed;
    ensure_alternate_stack();
    t_running_fibers = true;
}

MachineFaults::~MachineFaults() { t_running_fibers = false; }
}
