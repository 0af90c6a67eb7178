// Memory that is free and not given back.
#pragma once
#include <malloc.h>

#include <climits>

namespace facepoison {

// Gives what is free back to the system, which glibc keeps otherwise, thread by thread. Between two stages.
inline void give_memory_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Keeps what is freed, from now on, for the next tensors. A training makes the same large ones at each step, and pages
// that the system hands out anew cost as much time as a layer.
inline void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

}  // namespace facepoison
