// shadow_pages.h: what the mode check remembers of a range of memory, page by page, as far as the range is used.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace host
{
// One bit a byte.
class Bits
{
public:
    static constexpr size_t kBytes = 4096;
    void set(size_t first, size_t count, bool value);
    bool all(size_t first, size_t count) const;

    bool none() const;

    // The same for a range within one line of 64 bytes.
    void set_in_line(size_t first, size_t count) { _words[first / 64] |= mask(first, count); }
    bool all_in_line(size_t first, size_t count) const { return (~_words[first / 64] & mask(first, count)) == 0; }

private:
    static uint64_t mask(size_t first, size_t count) { return (count == 64 ? ~uint64_t(0) : (uint64_t(1) << count) - 1) << first % 64; }
    uint64_t _words[kBytes / 64] = {};
};

// Who touched a cell last. A segment is the time between two barriers of one block; segments are numbered through all blocks and launches, so
// that what is older than the running launch needs no clearing. Who: see checker.cpp.
struct Cell
{
    uint32_t write_segment, read_segment, writer, reader;
};

struct ShadowPage
{
    Bits allocated, written;
    uint32_t bytes_read[64] = {}, bytes_written[64] = {}; // per line of 64 bytes, by kernels

    // The cells are of 4 bytes until a smaller access comes.
    Cell* cells(size_t offset, size_t bytes, size_t& count)
    {
        if (_cells == nullptr || ((offset | bytes) & ((size_t(1) << _shift) - 1)) != 0) refine(offset, bytes);
        count = bytes >> _shift;
        return _cells.get() + (offset >> _shift);
    }

private:
    void refine(size_t offset, size_t bytes);
    std::unique_ptr<Cell[]> _cells;
    unsigned _shift = 2;
};

class ShadowPages
{
public:
    ShadowPages(uint64_t base, size_t bytes);
    ~ShadowPages();
    ShadowPages(const ShadowPages&) = delete;
    ShadowPages& operator=(const ShadowPages&) = delete;

    bool covers(uint64_t address) const { return address - _base < _bytes; }
    // The page of an address; null where nothing was ever allocated.
    ShadowPage* find(uint64_t address) const { return _pages[(address - _base) / Bits::kBytes]; }
    ShadowPage& page(uint64_t address);
    static size_t offset_in_page(uint64_t address, uint64_t base) { return (address - base) % Bits::kBytes; }
    uint64_t base() const { return _base; }

    void set_allocated(uint64_t address, size_t bytes, bool value);
    // What is known of a range goes, and its pages with it where nothing else is allocated in them.
    void forget(uint64_t address, size_t bytes);
    void set_written(uint64_t address, size_t bytes, bool value);
    bool is_written(uint64_t address, size_t bytes) const;
    bool is_allocated(uint64_t address, size_t bytes) const;

    // Calls visit(page, offset, bytes) for each page of a range.
    template <class Visit>
    void each(uint64_t address, size_t bytes, Visit visit)
    {
        while (bytes != 0)
        {
            size_t offset = (address - _base) % Bits::kBytes;
            size_t here = bytes < Bits::kBytes - offset ? bytes : Bits::kBytes - offset;
            visit(page(address), offset, here);
            address += here, bytes -= here;
        }
    }

private:
    uint64_t _base;
    size_t _bytes;
    ShadowPage** _pages; // zeros from the system: a table of 64 GiB costs what is used of it
};
}
