// checker.cpp: bounds, initialisation and races.
//
// A race is two threads at one cell, one of them writing, with nothing between them that orders them. Within a block a barrier orders all
// threads, and __syncwarp the lanes of a warp (a shuffle or a vote does not); between the blocks of a launch nothing does, but for the pattern
// of the last block: a block that has done an atomic operation sees what other blocks wrote before theirs.

#include "checker.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "access_report.h"
#include "counters.h"
#include "device_memory.h"
#include "host_memory.h"
#include "launch.h"
#include "limits.h"
#include "mode.h"
#include "shadow.h"
#include "team.h"

namespace host
{
namespace
{
using kernel_host::Access;

// Who touched a cell: the thread in the low 10 bits, then what is known of several readers, then the warp's epoch.
constexpr uint32_t kThreadMask = 0x3ff, kManyInWarp = 0x400, kMany = 0x800, kFlags = 0xc00;
constexpr unsigned kEpochShift = 12;

uint32_t s_segment = 1;      // counts barriers and blocks, over all launches
uint32_t s_launch_first = 1; // first segment of the running launch
uint32_t s_block_first = 1;
bool s_block_has_atomic = false;
std::vector<std::pair<uint32_t, uint32_t>> s_blocks; // first segment of each block of the launch, and the segment of its last atomic operation
const Launch* s_launch = nullptr;
uint64_t s_dynamic_first = 0;
size_t s_dynamic_bytes = 0;

// The shadows of shared memory: dynamic, and the static storage of the module that runs.
std::unique_ptr<ShadowPages> s_dynamic_shadow, s_static_shadow;
unsigned s_static_of = 0; // number of the module
uint64_t s_static_first = 0, s_static_end = 0;

uint32_t who()
{
    const Fiber& fiber = *Team::one().current();
    unsigned number = fiber.thread.number;
    return number | Team::one().warp_epoch(number / 32) << kEpochShift;
}

// True when an access of the same segment by `other` has nothing that orders it before `me`.
bool unordered(uint32_t other, uint32_t me)
{
    if ((other & kMany) != 0) return true;
    bool same_warp = (other & kThreadMask) / 32 == (me & kThreadMask) / 32;
    bool same_thread = (other & kFlags) == 0 && (other & kThreadMask) == (me & kThreadMask);
    return !same_thread && !(same_warp && other >> kEpochShift != me >> kEpochShift);
}

// True when an access of an earlier segment of this launch, by another block, is not ordered before this block.
bool from_other_block(uint32_t segment)
{
    if (segment >= s_block_first || segment < s_launch_first) return false;
    if (!s_block_has_atomic) return true;
    auto block = std::prev(std::upper_bound(s_blocks.begin(), s_blocks.end(), std::make_pair(segment, ~0u)));
    return block->second < segment;
}

enum class Verdict { Fine, InBlock, BetweenBlocks };

Verdict conflict(uint32_t segment, uint32_t other, uint32_t me, bool shared)
{
    if (!shared && from_other_block(segment)) return Verdict::BetweenBlocks;
    return segment == s_segment && unordered(other, me) ? Verdict::InBlock : Verdict::Fine;
}

void note_read(Cell& cell, uint32_t me)
{
    if (cell.read_segment != s_segment || cell.reader == me || (cell.reader & kMany) != 0)
    {
        if (cell.read_segment != s_segment) cell.reader = me;
        cell.read_segment = s_segment;
        return;
    }
    bool same_thread = (cell.reader & kFlags) == 0 && (cell.reader & kThreadMask) == (me & kThreadMask);
    bool same_warp = (cell.reader & kThreadMask) / 32 == (me & kThreadMask) / 32;
    bool later = cell.reader >> kEpochShift != me >> kEpochShift; // what other lanes read is ordered before this
    cell.reader = same_thread || (same_warp && later) ? me : same_warp ? me | kManyInWarp : me | kMany;
}

// Judges the part of an access that lies in one line of 64 bytes.
void judge(ShadowPage& page, size_t offset, uint64_t address, size_t bytes, Access access, bool shared, const void* site)
{
    if (!page.allocated.all_in_line(offset, bytes)) fail_outside(address, bytes, access, site);
    if (access != Access::Write && !page.written.all_in_line(offset, bytes)) fail_unwritten(address, bytes, site);
    if (access != Access::Read) page.written.set_in_line(offset, bytes);
    if (!shared)
    {
        if (access != Access::Write) page.bytes_read[offset / 64] += static_cast<uint32_t>(bytes), counters().bytes_read += bytes;
        if (access != Access::Read) page.bytes_written[offset / 64] += static_cast<uint32_t>(bytes), counters().bytes_written += bytes;
    }
    if (access == Access::Atomic) return;

    uint32_t me = who();
    size_t count = 0;
    Cell* cells = page.cells(offset, bytes, count);
    for (Cell* cell = cells; cell < cells + count; cell++)
    {
        Verdict verdict = conflict(cell->write_segment, cell->writer, me, shared);
        uint32_t other = cell->writer;
        bool other_writes = true;
        if (verdict == Verdict::Fine && access == Access::Write)
        {
            verdict = conflict(cell->read_segment, cell->reader, me, shared);
            other = cell->reader;
            other_writes = false;
        }
        if (verdict != Verdict::Fine)
            fail_race(address, bytes, access, verdict == Verdict::BetweenBlocks, other & kThreadMask, other_writes, site);
        if (access == Access::Write) cell->write_segment = s_segment, cell->writer = me;
        else note_read(*cell, me);
    }
}

void judge(ShadowPages& pages, uint64_t address, size_t bytes, Access access, bool shared, const void* site)
{
    // In pieces that stay within a line of 64 bytes, and so within a page.
    while (bytes != 0)
    {
        size_t offset = (address - pages.base()) % Bits::kBytes;
        size_t here = std::min(bytes, 64 - offset % 64);
        ShadowPage* page = pages.find(address);
        if (page == nullptr) fail_outside(address, here, access, site);
        judge(*page, offset, address, here, access, shared, site);
        address += here, bytes -= here;
    }
}

// Dynamic shared memory ends at the same place in every launch.
void prepare_dynamic(uint64_t first, size_t bytes)
{
    if (s_dynamic_shadow == nullptr)
    {
        // A page more, so that what runs over is known to be shared memory.
        uint64_t end = first + (bytes + 127) / 128 * 128;
        s_dynamic_shadow = std::make_unique<ShadowPages>(end - Limits::kDynamicRoom, Limits::kDynamicRoom + 4096);
    }
    if (bytes == s_dynamic_bytes) return;
    s_dynamic_shadow->set_allocated(s_dynamic_first, s_dynamic_bytes, false);
    s_dynamic_first = first, s_dynamic_bytes = bytes;
    s_dynamic_shadow->set_allocated(first, bytes, true);
}

// The static shared memory of a module, with the gaps around it.
void prepare_static(const Module& module)
{
    if (s_static_of == module.number) return;
    s_static_of = module.number;
    s_static_shadow.reset();
    s_static_first = s_static_end = 0;
    if (module.shared.empty()) return;
    s_static_first = (module.base + module.writable_first) & ~uint64_t(63); // lines stay lines
    s_static_end = module.base + module.writable_end;
    s_static_shadow = std::make_unique<ShadowPages>(s_static_first, s_static_end - s_static_first);
    for (const Symbol& symbol : module.shared) s_static_shadow->set_allocated(module.base + symbol.address, symbol.bytes, true);
}
}

void Checker::begin_launch(const Launch& launch, const unsigned char* dynamic_shared)
{
    s_launch = &launch;
    if (!mode().check) return;
    s_launch_first = s_segment + 1;
    s_blocks.clear();
    prepare_static(*launch.module);
    prepare_dynamic(reinterpret_cast<uint64_t>(dynamic_shared), launch.shared_bytes);
}

void Checker::begin_block()
{
    if (!mode().check) return;
    s_block_first = ++s_segment;
    s_block_has_atomic = false;
    s_blocks.emplace_back(s_block_first, 0);
    s_dynamic_shadow->set_written(s_dynamic_first, s_dynamic_bytes, false);
    for (const Symbol& symbol : s_launch->module->shared)
        s_static_shadow->set_written(s_launch->module->base + symbol.address, symbol.bytes, false);
}

void Checker::barrier() { s_segment++; }

void Checker::access(const void* pointer, size_t bytes, Access access, const void* site)
{
    auto address = reinterpret_cast<uint64_t>(pointer);
    if (access == Access::Atomic)
    {
        s_block_has_atomic = true;
        s_blocks.back().second = s_segment;
    }
    if (Shadow::device().covers(address)) return judge(Shadow::device(), address, bytes, access, false, site);
    if (s_dynamic_shadow->covers(address)) return judge(*s_dynamic_shadow, address, bytes, access, true, site);

    const Module& module = *s_launch->module;
    if (address - module.base < module.bytes)
    {
        if (address >= s_static_first && address < s_static_end && !module.is_other(address - module.base))
            return judge(*s_static_shadow, address, bytes, access, true, site);
        return; // constants, __device__ variables, the runtime's own
    }
    if (!HostMemory::holds(pointer, bytes)) fail_outside(address, bytes, access, site);
}

void Checker::misaligned(const void* address, size_t bytes, const void* site) { fail_misaligned(reinterpret_cast<uint64_t>(address), bytes, site); }
}
