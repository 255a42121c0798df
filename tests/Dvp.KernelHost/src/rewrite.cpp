// rewrite.cpp: a scanner of tokens that knows just enough C++ to find entry points and dynamic shared memory.

#include "rewrite.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <vector>

namespace host
{
namespace
{
struct Token
{
    size_t begin, end;
    std::string text;
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

size_t skip_quoted(const std::string& s, size_t at)
{
    char quote = s[at++];
    while (at < s.size() && s[at] != quote && s[at] != '\n') at += s[at] == '\\' ? 2 : 1;
    return at + 1;
}

// Words and single characters; comments are gone already, and lines that begin with # are the preprocessor's.
std::vector<Token> tokens_of(const std::string& s)
{
    std::vector<Token> tokens;
    bool line_start = true;
    for (size_t at = 0; at < s.size();)
    {
        char c = s[at];
        size_t begin = at;
        if (c == '\n') line_start = true, at++;
        else if (std::isspace(static_cast<unsigned char>(c))) at++;
        else if (c == '#' && line_start) at = std::min(s.find('\n', at), s.size());
        else
        {
            line_start = false;
            if (c == '"' || c == '\'') at = skip_quoted(s, at);
            else if (is_word(c)) while (at < s.size() && (is_word(s[at]) || (s[at] == '\'' && std::isdigit(static_cast<unsigned char>(c))))) at++;
            else at++;
            tokens.push_back({begin, std::min(at, s.size()), s.substr(begin, at - begin)});
        }
    }
    return tokens;
}

// The position after the parenthesis that closes the one at position open.
size_t after_parenthesis(const std::vector<Token>& t, size_t open)
{
    int depth = 0;
    for (size_t i = open; i < t.size(); i++)
    {
        if (t[i].text == "(") depth++;
        if (t[i].text == ")" && --depth == 0) return i + 1;
    }
    throw std::runtime_error("kernel host: a parenthesis is not closed after __global__\n");
}

std::string span(const std::string& s, const std::vector<Token>& t, size_t first, size_t last)
{
    return first >= last ? "" : s.substr(t[first].begin, t[last - 1].end - t[first].begin);
}

// Reads a declaration from its __global__ on; gives KERNEL_HOST_ENTRY(name, bounds), or nothing for a mere declaration.
std::string entry_of(const std::string& s, const std::vector<Token>& t, size_t i)
{
    std::string bounds;
    for (i++; i + 1 < t.size(); i++)
    {
        if (t[i].text == "__launch_bounds__" || t[i].text == "__attribute__" || t[i].text == "__align__")
        {
            size_t end = after_parenthesis(t, i + 1);
            if (t[i].text == "__launch_bounds__") bounds = span(s, t, i + 2, end - 1);
            i = end - 1;
        }
        else if (t[i + 1].text == "(")
        {
            size_t end = after_parenthesis(t, i + 1);
            if (end < t.size() && t[end].text == "{") return "KERNEL_HOST_ENTRY(" + t[i].text + (bounds.empty() ? "" : ", " + bounds) + ")";
            return {};
        }
    }
    return {};
}

// The statement that stands for extern __shared__ at token i; sets i to its last token.
std::string dynamic_shared(const std::vector<Token>& t, size_t& i)
{
    size_t last = i;
    while (last < t.size() && t[last].text != ";") last++;
    if (last < i + 6 || last == t.size() || t[last - 1].text != "]" || t[last - 2].text != "[")
        throw std::runtime_error("kernel host: write dynamic shared memory as extern __shared__ T name[];\n");
    std::string name = t[last - 3].text, type;
    for (size_t k = i + 2; k < last - 3; k++)
    {
        if (t[k].text == "__align__" || t[k].text == "alignas" || t[k].text == "__attribute__") k = after_parenthesis(t, k + 1) - 1;
        else type += (type.empty() ? "" : " ") + t[k].text;
    }
    i = last;
    return type + "* const " + name + " = kernel_host::dynamic_shared<" + type + ">();";
}

// The declarations that stand for __shared__ T a[2], b[3]; at token i; sets i to its last token. Empty when there is one name only.
std::string shared_one_by_one(const std::string& s, const std::vector<Token>& t, size_t& i)
{
    size_t name = i + 1;
    while (name + 1 < t.size() && t[name + 1].text != "[" && t[name + 1].text != "," && t[name + 1].text != ";") name++;
    std::string prefix = span(s, t, i, name), result;
    int depth = 0;
    size_t first = name;
    for (size_t k = name; k < t.size(); k++)
    {
        const std::string& text = t[k].text;
        if (text == "[" || text == "(" || text == "{") depth++;
        if (text == "]" || text == ")" || text == "}") depth--;
        if (depth != 0 || (text != "," && text != ";")) continue;
        result += prefix + " " + span(s, t, first, k) + ";";
        if (text == ";")
        {
            if (first == name) return {};
            i = k;
            return result;
        }
        first = k + 1;
    }
    return {};
}
}

std::string rewrite(const std::string& s)
{
    std::vector<Token> t = tokens_of(s);
    std::string result, entries;
    size_t copied = 0;
    int depth = 0;
    for (size_t i = 0; i < t.size(); i++)
    {
        if (t[i].text == "{") depth++;
        if (t[i].text == "}") depth--;
        if (t[i].text == "__global__")
        {
            std::string entry = entry_of(s, t, i);
            if (!entry.empty()) entries += (entries.empty() ? "" : ", ") + entry;
        }
        if (t[i].text == "extern" && i + 1 < t.size() && t[i + 1].text == "__shared__")
        {
            if (depth == 0) throw std::runtime_error("kernel host: extern __shared__ must stand inside the function that uses it\n");
            size_t begin = i;
            result += s.substr(copied, t[begin].begin - copied) + dynamic_shared(t, i);
            copied = t[i].end;
        }
        else if (t[i].text == "__shared__")
        {
            size_t begin = i;
            if (std::string declarations = shared_one_by_one(s, t, i); !declarations.empty())
            {
                result += s.substr(copied, t[begin].begin - copied) + declarations;
                copied = t[i].end;
            }
        }
    }
    if (entries.empty()) throw std::runtime_error("kernel host: the text holds no __global__ function\n");
    return result + s.substr(copied) + "\n# 1 \"kernel_host_module\"\nKERNEL_HOST_MODULE(" + entries + ")\n";
}
}
