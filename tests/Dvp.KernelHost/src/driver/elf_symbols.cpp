// elf_symbols.cpp: reading the symbol table of an ELF file that the compiler has just written.

#include "elf_symbols.h"

#include <algorithm>
#include <elf.h>

namespace host
{
Extent extent_of(const std::string& object)
{
    Extent extent{0, 0, 0};
    auto* header = reinterpret_cast<const Elf64_Ehdr*>(object.data());
    auto* segments = reinterpret_cast<const Elf64_Phdr*>(object.data() + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++)
    {
        if (segments[i].p_type != PT_LOAD) continue;
        uintptr_t end = segments[i].p_vaddr + segments[i].p_memsz;
        extent.bytes = std::max<size_t>(extent.bytes, end);
        if ((segments[i].p_flags & PF_W) != 0) extent.writable_first = segments[i].p_vaddr, extent.writable_end = end;
    }
    return extent;
}

std::vector<Symbol> writable_symbols(const std::string& object)
{
    std::vector<Symbol> symbols;
    const char* file = object.data();
    auto* header = reinterpret_cast<const Elf64_Ehdr*>(file);
    auto* sections = reinterpret_cast<const Elf64_Shdr*>(file + header->e_shoff);
    for (unsigned s = 0; s < header->e_shnum; s++)
    {
        if (sections[s].sh_type != SHT_SYMTAB) continue;
        auto* symbol = reinterpret_cast<const Elf64_Sym*>(file + sections[s].sh_offset);
        const char* names = file + sections[sections[s].sh_link].sh_offset;
        for (size_t i = 0; i < sections[s].sh_size / sizeof *symbol; i++)
        {
            if (ELF64_ST_TYPE(symbol[i].st_info) != STT_OBJECT || symbol[i].st_shndx == SHN_UNDEF || symbol[i].st_shndx >= header->e_shnum) continue;
            if ((sections[symbol[i].st_shndx].sh_flags & SHF_WRITE) == 0) continue;
            symbols.push_back({symbol[i].st_value, symbol[i].st_size, names + symbol[i].st_name});
        }
    }
    std::sort(symbols.begin(), symbols.end(), [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
    return symbols;
}
}
