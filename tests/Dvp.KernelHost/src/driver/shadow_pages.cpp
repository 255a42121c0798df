// shadow_pages.cpp: bits and cells.

#include "shadow_pages.h"

#include <cstdlib>
#include <new>

namespace host
{
namespace
{
// Calls visit(word, mask) for each word of 64 bits that a range of bits touches.
template <class Visit>
bool each_word(size_t first, size_t count, Visit visit)
{
    while (count != 0)
    {
        size_t shift = first % 64, here = count < 64 - shift ? count : 64 - shift;
        uint64_t mask = (here == 64 ? ~uint64_t(0) : (uint64_t(1) << here) - 1) << shift;
        if (!visit(first / 64, mask)) return false;
        first += here, count -= here;
    }
    return true;
}
}

void Bits::set(size_t first, size_t count, bool value)
{
    each_word(first, count, [&](size_t word, uint64_t mask)
    {
        _words[word] = value ? _words[word] | mask : _words[word] & ~mask;
        return true;
    });
}

bool Bits::all(size_t first, size_t count) const
{
    return each_word(first, count, [&](size_t word, uint64_t mask) { return (_words[word] & mask) == mask; });
}

bool Bits::none() const
{
    for (uint64_t word : _words) if (word != 0) return false;
    return true;
}

void ShadowPage::refine(size_t offset, size_t bytes)
{
    if (_cells == nullptr) _cells.reset(new Cell[Bits::kBytes >> _shift]());
    while (((offset | bytes) & ((size_t(1) << _shift) - 1)) != 0)
    {
        size_t old = Bits::kBytes >> _shift;
        std::unique_ptr<Cell[]> finer(new Cell[2 * old]);
        for (size_t i = 0; i < 2 * old; i++) finer[i] = _cells[i / 2];
        _cells = std::move(finer);
        _shift--;
    }
}

ShadowPages::ShadowPages(uint64_t base, size_t bytes)
    : _base(base), _bytes(bytes), _pages(static_cast<ShadowPage**>(std::calloc((bytes + Bits::kBytes - 1) / Bits::kBytes, sizeof(ShadowPage*))))
{
    if (_pages == nullptr) throw std::bad_alloc();
}

ShadowPages::~ShadowPages()
{
    for (size_t i = 0; i * Bits::kBytes < _bytes; i++) delete _pages[i];
    std::free(_pages);
}

ShadowPage& ShadowPages::page(uint64_t address)
{
    ShadowPage*& page = _pages[(address - _base) / Bits::kBytes];
    if (page == nullptr) page = new ShadowPage;
    return *page;
}

void ShadowPages::set_allocated(uint64_t address, size_t bytes, bool value)
{
    each(address, bytes, [value](ShadowPage& page, size_t offset, size_t count) { page.allocated.set(offset, count, value); });
}

void ShadowPages::forget(uint64_t address, size_t bytes)
{
    set_allocated(address, bytes, false);
    for (size_t i = (address - _base) / Bits::kBytes; i * Bits::kBytes < address - _base + bytes; i++)
    {
        if (_pages[i] == nullptr || !_pages[i]->allocated.none()) continue;
        delete _pages[i];
        _pages[i] = nullptr;
    }
}

void ShadowPages::set_written(uint64_t address, size_t bytes, bool value)
{
    each(address, bytes, [value](ShadowPage& page, size_t offset, size_t count) { page.written.set(offset, count, value); });
}

bool ShadowPages::is_written(uint64_t address, size_t bytes) const
{
    const ShadowPage* page = find(address);
    return page != nullptr && page->written.all((address - _base) % Bits::kBytes, bytes);
}

bool ShadowPages::is_allocated(uint64_t address, size_t bytes) const
{
    const ShadowPage* page = find(address);
    return page != nullptr && page->allocated.all((address - _base) % Bits::kBytes, bytes);
}
}
