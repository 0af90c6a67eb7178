// Settings of our executables for the libraries that they are linked with, made before these compute. A user's own
// setting stays.
#include <malloc.h>

#include <cstdlib>
#include <string_view>

#include "facepoison/error.hpp"

#if defined(__GLIBC__) && !defined(FACEPOISON_SANITIZED)
extern "C" {

void* __libc_malloc(std::size_t size);  // NOLINT: glibc's own name for its malloc()

// Calls the C library's; replaces malloc() for every library of this process.
void* malloc(std::size_t size) {
  void* const found = __libc_malloc(size);
  if (!found) facepoison::note_shortage_of_memory();
  return found;
}
}
#endif

namespace facepoison {
namespace {

char wait_policy[] = "OMP_WAIT_POLICY=passive";
const char* displaced_path = nullptr;  // while the policy replaces it

// Makes OpenMP's threads sleep while they wait. If one core is busy, threads that spin at barriers run at a tenth of
// the speed. libgomp reads the policy when it is loaded. By then the C library has lost what setenv() added: only the
// list that the system gave the program stays. No library needs PATH while it is loaded, so the policy replaces it
// until then.
void set_wait_policy(int, char**, char** environment) {
  char** place = nullptr;
  for (; *environment; ++environment) {
    const std::string_view variable = *environment;
    if (variable.starts_with("OMP_WAIT_POLICY=")) return;
    if (variable.starts_with("PATH=")) place = environment;
  }
  if (!place) return;
  displaced_path = *place + sizeof "PATH=" - 1;
  *place = wait_policy;
}

// Keeps at most 16 MB free at the end of each thread's memory. malloc_trim() does not reach there, and glibc would
// raise the limit with each large tensor that is freed, to 64 MB.
void limit_free_memory() {
#ifdef __GLIBC__
  if (getenv("MALLOC_TRIM_THRESHOLD_") || getenv("GLIBC_TUNABLES")) return;
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // its maximum: mapping memory anew for each tensor takes longer
#endif
}

// Before any library's constructor.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = set_wait_policy;

// Before main(), after the libraries' constructors.
[[gnu::constructor]] void before_main() {
  if (displaced_path) setenv("PATH", displaced_path, 1);
  // MKL then uses kernels whose sums do not depend on the alignment of memory. On Intel's processors, the sums of its
  // default kernels do. MKL reads its variables at its first product; child processes inherit them.
  setenv("MKL_CBWR", "AUTO,STRICT", 0);
  limit_free_memory();
}

}  // namespace
}  // namespace facepoison
