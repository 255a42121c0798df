// random_order.h: a small generator for the mode permute.

#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace host
{
// SplitMix64: any seed is a good one.
class RandomOrder
{
public:
    explicit RandomOrder(uint64_t seed = 0) : _state(seed) {}

    uint64_t next()
    {
        uint64_t z = _state += 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
    }

    void shuffle(std::vector<unsigned>& all)
    {
        for (size_t i = all.size(); i > 1; i--) std::swap(all[i - 1], all[(next() >> 32) * i >> 32]);
    }

private:
    uint64_t _state;
};
}
