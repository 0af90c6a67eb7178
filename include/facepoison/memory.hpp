// Memory that is free and not given back.
#pragma once
#include <malloc.h>

namespace facepoison {

// Gives what is free back to the system, which glibc keeps otherwise, thread by thread. Between two stages.
inline void give_memory_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace facepoison
