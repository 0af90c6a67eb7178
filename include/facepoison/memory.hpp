// Memory that is free but not returned.
#pragma once
#include <malloc.h>

#include <climits>

namespace facepoison {

// Returns free memory to the system, which glibc otherwise keeps for each thread. Call it between stages.
inline void give_memory_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Keeps freed memory for later tensors, from now on. A training makes the same large ones at each step, and new pages
// from the system cost as much time as a layer.
inline void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

}  // namespace facepoison
