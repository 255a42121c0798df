// shadow.cpp

#include "shadow.h"

namespace host
{
void Shadow::allocated(uint64_t, size_t) {}
void Shadow::released(uint64_t, size_t) {}
void Shadow::written(uint64_t, size_t) {}
void Shadow::copied(uint64_t, uint64_t, size_t) {}
}
