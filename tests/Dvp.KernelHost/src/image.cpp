// image.cpp: packing and unpacking of images.

#include "image.h"

#include <cstdint>
#include <cstring>

namespace host
{
namespace
{
struct Header
{
    char magic[8];
    uint32_t arch, flags;
    uint64_t text_bytes, object_bytes;
    uint64_t hash; // of text and object
};

constexpr char kMagic[9] = "KHOST\r\n1";

uint64_t hash_of(const char* p, uint64_t n)
{
    uint64_t h = 14695981039346656037ull; // FNV-1a
    for (uint64_t i = 0; i < n; i++) h = (h ^ static_cast<unsigned char>(p[i])) * 1099511628211ull;
    return h;
}
}

std::string Image::pack() const
{
    std::string content = text + object;
    Header header{{}, static_cast<uint32_t>(arch), (exact_arch ? 1u : 0u) | (checked ? 2u : 0u), text.size(), object.size(),
        hash_of(content.data(), content.size())};
    std::memcpy(header.magic, kMagic, sizeof header.magic);
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + content;
}

bool Image::unpack(const void* bytes, Image& image)
{
    Header header;
    std::memcpy(&header, bytes, sizeof header.magic);
    if (std::memcmp(header.magic, kMagic, sizeof header.magic) != 0) return false;
    std::memcpy(&header, bytes, sizeof header);
    constexpr uint64_t limit = 1u << 28;
    if (header.text_bytes > limit || header.object_bytes > limit) return false;
    const char* content = static_cast<const char*>(bytes) + sizeof header;
    if (hash_of(content, header.text_bytes + header.object_bytes) != header.hash) return false;
    image.arch = static_cast<int>(header.arch);
    image.exact_arch = header.flags & 1;
    image.checked = header.flags & 2;
    image.text.assign(content, header.text_bytes);
    image.object.assign(content + header.text_bytes, header.object_bytes);
    return true;
}
}
