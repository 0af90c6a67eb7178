// What each executable of ours puts into its environment for the libraries that compute. A user's own setting stays.
#include <cstdlib>

namespace facepoison {
namespace {

void set_library_defaults() {
  // OpenMP's threads wait asleep. Where one core is busy, threads that spin at barriers run at a quarter of the speed.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  // MKL takes kernels whose sums do not depend on how memory is aligned, which on Intel's processors others do.
  setenv("MKL_CBWR", "AUTO,STRICT", 0);
}

// Twice, for the C library resets the environment between the two. Before any library's constructor: libgomp reads its
// variables when it is loaded.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = set_library_defaults;
// Before main(): MKL reads its variables at its first product, and processes that this one starts inherit them.
[[gnu::constructor]] void before_main() { set_library_defaults(); }

}  // namespace
}  // namespace facepoison
