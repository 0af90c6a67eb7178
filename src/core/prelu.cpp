// PReLU and its gradients, in one pass over memory each.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ops/prelu_native.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "core/kernels.hpp"

namespace facepoison {
namespace {

// Compiled for several instruction sets; the processor's is chosen at run time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(FACEPOISON_SANITIZED)
#define FACEPOISON_EACH_INSTRUCTION_SET \
  [[gnu::target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4"), gnu::optimize("O3")]]
#else
#define FACEPOISON_EACH_INSTRUCTION_SET
#endif

// out = x > 0 ? value : weight·value, for rows of channels: PReLU with value = x, and its gradient with respect to x
// with the output's gradient as value. With `sums`, the gradient with respect to the weights is added to it.
template <class T>
[[gnu::always_inline]] inline void prelu_rows(const T* x, const T* value, const float* weights, T* __restrict out,
                                              float* __restrict sums, std::int64_t rows, std::int64_t channels) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels, value += channels, out += channels)
    if (sums)
      for (std::int64_t c = 0; c < channels; ++c) {
        const float v = static_cast<float>(value[c]), at = static_cast<float>(x[c]), scaled = v * weights[c];
        out[c] = static_cast<T>(at > 0 ? v : scaled);
        sums[c] += v * (at > 0 ? 0 : at);
      }
    else
      for (std::int64_t c = 0; c < channels; ++c) {
        const float v = static_cast<float>(value[c]), scaled = v * weights[c];
        out[c] = static_cast<T>(static_cast<float>(x[c]) > 0 ? v : scaled);
      }
}

FACEPOISON_EACH_INSTRUCTION_SET void prelu_rows_fp32(const float* x, const float* value, const float* weights,
                                                     float* out, float* sums, std::int64_t rows,
                                                     std::int64_t channels) {
  prelu_rows(x, value, weights, out, sums, rows, channels);
}

FACEPOISON_EACH_INSTRUCTION_SET void prelu_rows_bf16(const at::BFloat16* x, const at::BFloat16* value,
                                                     const float* weights, at::BFloat16* out, float* sums,
                                                     std::int64_t rows, std::int64_t channels) {
  prelu_rows(x, value, weights, out, sums, rows, channels);
}

constexpr std::int64_t rows_at_once = 1024;  // summed separately, so that sums do not depend on threads

// The same for tensors of N×C or N×C×H×W; `weights` has C numbers. Second: the gradient with respect to the weights, if
// it is wanted.
std::pair<at::Tensor, at::Tensor> prelu_pass(const at::Tensor& x, const at::Tensor& value, const at::Tensor& weights,
                                             bool with_sums) {
  const auto format = x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const auto sides = x.contiguous(format), values = value.to(x.scalar_type()).contiguous(format);
  const auto factors = weights.to(at::kFloat).contiguous();
  auto out = at::empty_like(sides);
  const auto channels = x.size(1), rows = x.numel() / channels, parts = (rows + rows_at_once - 1) / rows_at_once;
  auto sums = with_sums ? at::zeros({parts, channels}, factors.options()) : at::Tensor();
  at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto part = begin; part < end; ++part) {
      const auto first = part * rows_at_once, from = first * channels, count = std::min(rows_at_once, rows - first);
      auto* const sum = with_sums ? sums.data_ptr<float>() + part * channels : nullptr;
      const auto* f = factors.const_data_ptr<float>();
      if (x.scalar_type() == at::kFloat)
        prelu_rows_fp32(sides.const_data_ptr<float>() + from, values.const_data_ptr<float>() + from, f,
                        out.data_ptr<float>() + from, sum, count, channels);
      else
        prelu_rows_bf16(sides.const_data_ptr<at::BFloat16>() + from, values.const_data_ptr<at::BFloat16>() + from, f,
                        out.data_ptr<at::BFloat16>() + from, sum, count, channels);
    }
  });
  return {out, with_sums ? sums.sum(0).to(weights.scalar_type()).view_as(weights) : sums};
}

bool has_fast_prelu(const at::Tensor& x, const at::Tensor& weights) {
  return (x.dim() == 2 || x.dim() == 4) && x.numel() > 0 && weights.numel() == x.size(1) &&
         x.scalar_type() == weights.scalar_type() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

class PRelu : public torch::autograd::Function<PRelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weights) {
    context->save_for_backward({x, weights});
    return prelu_pass(x, x, weights, false).first;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    const auto saved = context->get_saved_variables();
    auto [of_x, of_weights] = prelu_pass(saved[0], grad_outputs[0], saved[1], context->needs_input_grad(1));
    return {of_x, of_weights};
  }
};

// In inference mode.
at::Tensor prelu_without_gradients(const at::Tensor& x, const at::Tensor& weights) {
  return has_fast_prelu(x, weights) ? prelu_pass(x, x, weights, false).first : at::native::prelu(x, weights);
}

at::Tensor any_prelu(const at::Tensor& x, const at::Tensor& weights) {
  return has_fast_prelu(x, weights) ? PRelu::apply(x, weights) : at::native::prelu(x, weights);
}

}  // namespace

void add_prelu(torch::Library& cpu, torch::Library& cpu_with_gradients) {
  cpu.impl("prelu", prelu_without_gradients);
  cpu_with_gradients.impl("prelu", any_prelu);
}

}  // namespace facepoison
