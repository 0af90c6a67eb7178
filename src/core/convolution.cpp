// Convolutions by oneDNN, and the gradient with respect to their input as a convolution.
#include <ATen/ATen.h>
#include <ATen/ops/convolution_backward_native.h>
#include <ATen/ops/convolution_native.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/kernels.hpp"

namespace facepoison {
namespace {

// One spatial axis of a convolution.
struct Axis {
  std::int64_t kernel, stride, padding, input, output;
};

bool is_plain(const at::Tensor& tensor) {
  return tensor.dim() == 4 && tensor.layout() == at::kStrided && tensor.numel() > 0 &&
         (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
}

// Whether the kernels below can do a convolution: pictures, float32 or bf16, without dilation.
bool is_plain(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef dilation, bool transposed) {
  return !transposed && is_plain(input) && is_plain(weight) && input.scalar_type() == weight.scalar_type() &&
         std::all_of(dilation.begin(), dilation.end(), [](auto d) { return d == 1; });
}

at::Tensor channels_last(const at::Tensor& tensor) { return tensor.contiguous(at::MemoryFormat::ChannelsLast); }

// Uses oneDNN in float32. LibTorch would use another library for a small batch in one thread. In bf16 LibTorch itself
// uses oneDNN, if the processor supports it.
at::Tensor any_convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                           at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                           at::IntArrayRef output_padding, std::int64_t groups) {
  if (at::globalContext().hasMKLDNN() && input.scalar_type() == at::kFloat &&
      is_plain(input, weight, dilation, transposed))
    return at::mkldnn_convolution(input, weight, bias, padding, stride, dilation, groups);
  return at::native::convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups);
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, std::int64_t rows, std::int64_t columns,
                    std::int64_t groups) {
  return any_convolution(input, channels_last(weight), {}, {1, 1}, {rows, columns}, {1, 1}, false, {0, 0}, groups);
}

// With a stride s, input rows with the same remainder by s meet the same rows of the kernel: first, first + s, …,
// `count` of them. Row s·q + remainder meets the first at output row q + high, the last at q + low. Without a stride
// there is one phase.
struct Phase {
  std::int64_t first, count, high, low;
  Phase(const Axis& a, std::int64_t remainder)
      : first((remainder + a.padding) % a.stride),
        count(first < a.kernel ? (a.kernel - first + a.stride - 1) / a.stride : 0),
        high((remainder + a.padding) / a.stride),
        low(high - count + 1) {}
  // Its rows of the kernel, in the order of the output rows.
  at::Tensor of(const at::Tensor& weight, const Axis& a, int axis) const {
    return weight.slice(axis, first, std::nullopt, a.stride).flip(axis);
  }
};

// The padding on both sides and the first row that give rows 0 to `rows` − 1 of a convolution. Its kernel has `size`
// rows from output row q + low on.
struct Reach {
  std::int64_t padding, begin, rows;
  Reach(std::int64_t low, std::int64_t size, std::int64_t wanted, const Axis& a)
      : padding(std::max<std::int64_t>({0, -low, wanted + size - 1 - a.output + low})),
        begin(padding + low),
        rows(wanted) {}
};

at::Tensor convolve(const at::Tensor& grad_output, const at::Tensor& weight, const Reach& down, const Reach& along,
                    std::int64_t groups) {
  return convolve(grad_output, weight, down.padding, along.padding, groups)
      .narrow(2, down.begin, down.rows)
      .narrow(3, along.begin, along.rows);
}

// The gradient with respect to the input of a convolution without a stride is a convolution with the kernel flipped.
at::Tensor flipped(const at::Tensor& grad_output, const at::Tensor& weight, const Axis& y, const Axis& x,
                   bool depthwise) {
  const Phase down(y, 0), along(x, 0);
  const auto kernel = along.of(down.of(weight, y, 2), x, 3);
  return convolve(grad_output, depthwise ? kernel : kernel.transpose(0, 1), Reach(down.low, down.count, y.input, y),
                  Reach(along.low, along.count, x.input, x), depthwise ? weight.size(0) : 1);
}

// Depthwise, with a stride: each phase is a small depthwise convolution, written to every s-th row and column.
at::Tensor depthwise_phases(const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight,
                            const Axis& y, const Axis& x) {
  // Where the kernel is at least as large as the stride, the phases write every row and column.
  const bool whole = y.kernel >= y.stride && x.kernel >= x.stride;
  auto found = whole ? at::empty_like(input, at::MemoryFormat::ChannelsLast)
                     : at::zeros_like(input, at::MemoryFormat::ChannelsLast);
  for (std::int64_t row = 0; row < std::min(y.stride, y.input); ++row)
    for (std::int64_t column = 0; column < std::min(x.stride, x.input); ++column) {
      const Phase down(y, row), along(x, column);
      if (down.count == 0 || along.count == 0) continue;
      auto target = found.slice(2, row, std::nullopt, y.stride).slice(3, column, std::nullopt, x.stride);
      target.copy_(convolve(grad_output, along.of(down.of(weight, y, 2), x, 3),
                            Reach(down.low, down.count, target.size(2), y),
                            Reach(along.low, along.count, target.size(3), x), weight.size(0)));
    }
  return found;
}

// The phases of an axis, and the range of output rows that they cover together.
struct Phases {
  std::vector<Phase> each;
  std::int64_t low = 0, size = 0;
  explicit Phases(const Axis& a) {
    std::int64_t high = 0;
    for (std::int64_t remainder = 0; remainder < a.stride; ++remainder) {
      const auto& one = each.emplace_back(a, remainder);
      low = std::min(low, one.low), high = std::max(high, one.high);
    }
    size = high - low + 1;
  }
};

// Dense, with a stride and few input channels: all phases are output channels of one convolution, and their pixels are
// then put side by side. The stride is the same along both axes.
at::Tensor dense_phases(const at::Tensor& grad_output, const at::Tensor& weight, const Axis& y, const Axis& x) {
  const Phases down(y), along(x);
  const auto s = y.stride, outputs = weight.size(0), channels = weight.size(1);
  auto kernel = at::zeros({channels, s, s, outputs, down.size, along.size}, weight.options());
  for (std::int64_t row = 0; row < s; ++row)
    for (std::int64_t column = 0; column < s; ++column) {
      const auto &of_row = down.each[static_cast<std::size_t>(row)],
                 &of_column = along.each[static_cast<std::size_t>(column)];
      if (of_row.count == 0 || of_column.count == 0) continue;
      kernel.select(1, row)
          .select(1, column)
          .narrow(2, of_row.low - down.low, of_row.count)
          .narrow(3, of_column.low - along.low, of_column.count)
          .copy_(of_column.of(of_row.of(weight, y, 2), x, 3).transpose(0, 1));
    }
  const auto all = convolve(grad_output, kernel.view({channels * s * s, outputs, down.size, along.size}),
                            Reach(down.low, down.size, (y.input + s - 1) / s, y),
                            Reach(along.low, along.size, (x.input + s - 1) / s, x), 1);
  return channels_last(at::pixel_shuffle(all, s).narrow(2, 0, y.input).narrow(3, 0, x.input));
}

constexpr std::int64_t few_channels = 4;

// The gradient with respect to the input, or an undefined tensor where LibTorch's own is as fast.
at::Tensor input_gradient(const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight,
                          const Axis& y, const Axis& x, std::int64_t groups) {
  const auto channels = input.size(1);
  const bool depthwise = groups > 1 && groups == channels && groups == weight.size(0);
  const bool has_stride = y.stride > 1 || x.stride > 1, pointwise = groups == 1 && y.kernel == 1 && x.kernel == 1;
  if (!has_stride && (depthwise || pointwise)) return flipped(channels_last(grad_output), weight, y, x, depthwise);
  if (depthwise && input.scalar_type() == at::kBFloat16)
    return depthwise_phases(channels_last(grad_output), input, weight, y, x);
  if (groups == 1 && channels <= few_channels && has_stride && y.stride == x.stride)
    return dense_phases(channels_last(grad_output), weight, y, x);
  return {};
}

// Whether oneDNN's gradient with respect to the weights reads uninitialised memory. Found with oneDNN of LibTorch 2.13
// on a processor with AMX: NaN, or another result each time.
bool reads_unwritten_memory(const at::Tensor& input, const Axis& y, const Axis& x) {
  return input.scalar_type() == at::kBFloat16 && (y.input < y.stride || x.input < x.stride);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> any_convolution_backward(
    const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight, at::OptionalIntArrayRef bias,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  at::Tensor mine;
  std::tuple<at::Tensor, at::Tensor, at::Tensor> all;
  if (is_plain(input, weight, dilation, transposed)) {
    const auto axis = [&](std::size_t k) {
      const auto at = static_cast<std::int64_t>(k) + 2;
      return Axis{weight.size(at), stride[stride.size() == 1 ? 0 : k], padding[padding.size() == 1 ? 0 : k],
                  input.size(at), grad_output.size(at)};
    };
    const auto y = axis(0), x = axis(1);
    if (reads_unwritten_memory(input, y, x)) {
      all = any_convolution_backward(grad_output.to(at::kFloat), input.to(at::kFloat), weight.to(at::kFloat), bias,
                                     stride, padding, dilation, transposed, output_padding, groups, wanted);
      for (auto* gradient : {&std::get<0>(all), &std::get<1>(all), &std::get<2>(all)})
        if (gradient->defined()) *gradient = gradient->to(input.scalar_type());
      return all;
    }
    if (wanted[0]) mine = input_gradient(grad_output, input, weight, y, x, groups);
  }
  if (mine.defined()) wanted[0] = false;
  if (wanted[0] || wanted[1] || wanted[2])
    all = at::native::convolution_backward(grad_output, input, weight, bias, stride, padding, dilation, transposed,
                                           output_padding, groups, wanted);
  if (mine.defined()) std::get<0>(all) = mine;
  return all;
}

}  // namespace

void add_convolution(torch::Library& cpu) {
  cpu.impl("convolution", any_convolution);
  cpu.impl("convolution_backward", any_convolution_backward);
}

}  // namespace facepoison
