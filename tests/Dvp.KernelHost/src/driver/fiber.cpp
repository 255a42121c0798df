// fiber.cpp: the switch, for x86-64 and AArch64.

#include "fiber.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
asm(R"(
    .text
    .globl host_switch
    .hidden host_switch
    .type host_switch, @function
host_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    .globl host_resume
    .hidden host_resume
host_resume:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size host_switch, .-host_switch
)");

namespace host
{
void* new_fiber(void* stack, size_t bytes, void (*run)())
{
    // Six registers, the address that `ret` takes, and a return address of run() that is never used: the stack is then aligned as after a call.
    auto* top = reinterpret_cast<uintptr_t*>((reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t(15));
    uintptr_t frame[8] = {0, 0, 0, 0, 0, 0, reinterpret_cast<uintptr_t>(run), 0};
    std::memcpy(top - 8, frame, sizeof frame);
    return top - 8;
}
}
#elif defined(__aarch64__)
asm(R"(
    .text
    .globl host_switch
    .hidden host_switch
    .type host_switch, %function
host_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    .globl host_resume
    .hidden host_resume
host_resume:
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size host_switch, .-host_switch
)");

namespace host
{
void* new_fiber(void* stack, size_t bytes, void (*run)())
{
    auto top = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t(15);
    uintptr_t frame[20] = {};
    frame[11] = reinterpret_cast<uintptr_t>(run); // x30
    std::memcpy(reinterpret_cast<void*>(top - sizeof frame), frame, sizeof frame);
    return reinterpret_cast<void*>(top - sizeof frame);
}
}
#else
#error "the kernel host's fibers know x86-64 and AArch64"
#endif
