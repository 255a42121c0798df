// shadow.cpp: the shadow of device memory, kept in step by allocations, copies and fills.

#include "shadow.h"

#include <algorithm>
#include <vector>

#include "device_memory.h"
#include "mode.h"

namespace host
{
ShadowPages& Shadow::device()
{
    static auto* pages = new ShadowPages(DeviceMemory::one().base(), DeviceMemory::kRange);
    return *pages;
}

void Shadow::allocated(uint64_t address, size_t bytes)
{
    if (!mode().check) return;
    device().set_allocated(address, bytes, true);
    device().set_written(address, bytes, false);
}

void Shadow::released(uint64_t address, size_t bytes)
{
    if (mode().check) device().forget(address, bytes);
}

void Shadow::written(uint64_t address, size_t bytes)
{
    if (mode().check && device().covers(address)) device().set_written(address, bytes, true);
}

// What was never written stays so in the copy.
void Shadow::copied(uint64_t target, uint64_t source, size_t bytes)
{
    if (!mode().check || !device().covers(target)) return;
    if (!device().covers(source)) return written(target, bytes);
    std::vector<bool> was(bytes);
    for (size_t i = 0; i < bytes; i++) was[i] = device().is_written(source + i, 1);
    for (size_t i = 0; i < bytes;)
    {
        size_t end = i + 1;
        while (end < bytes && was[end] == was[i]) end++;
        device().set_written(target + i, end - i, was[i]);
        i = end;
    }
}

void Shadow::traffic(uint64_t address, size_t bytes, uint64_t& read, uint64_t& written)
{
    read = written = 0;
    if (!mode().check || !device().covers(address)) return;
    device().each(address, bytes, [&](ShadowPage& page, size_t offset, size_t count)
    {
        for (size_t line = offset / 64; line <= (offset + count - 1) / 64; line++) read += page.bytes_read[line], written += page.bytes_written[line];
    });
}

void Shadow::reset_traffic()
{
    if (!mode().check) return;
    for (const auto& [address, bytes] : DeviceMemory::one().allocations())
    {
        device().each(address, bytes, [](ShadowPage& page, size_t, size_t)
        {
            std::fill(std::begin(page.bytes_read), std::end(page.bytes_read), 0);
            std::fill(std::begin(page.bytes_written), std::end(page.bytes_written), 0);
        });
    }
}
}
