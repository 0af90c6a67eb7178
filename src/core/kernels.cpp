#include "facepoison/kernels.hpp"

#include "core/kernels.hpp"

namespace facepoison {

void use_fast_kernels() {
  using torch::Library;
  static Library cpu(Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__),
      cpu_with_gradients(Library::IMPL, "aten", c10::DispatchKey::AutogradCPU, __FILE__, __LINE__);
  [[maybe_unused]] static const bool once = [] {
    add_convolution(cpu);
    add_prelu(cpu, cpu_with_gradients);
    return true;
  }();
}

}  // namespace facepoison
