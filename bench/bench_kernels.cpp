// Compares LibTorch's passes with those of src/core/kernels.cpp, which replace them, in one run, LibTorch's first. One
// thread, pieces of four photos.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include "facepoison/kernels.hpp"

using namespace facepoison;

namespace {

struct Layer {
  const char* name;
  std::int64_t channels, side, outputs, kernel, stride, padding, groups;  // no outputs: PReLU
};

// Layers of dlib (the first one) and faceplugin.
constexpr Layer layers[] = {
    {"first", 3, 150, 32, 7, 2, 0, 1},         {"pointwise", 64, 56, 128, 1, 1, 0, 1},
    {"depthwise", 128, 28, 128, 3, 1, 1, 128}, {"depthwise-by-2", 128, 56, 128, 3, 2, 1, 128},
    {"prelu", 64, 56, 0, 0, 0, 0, 0},
};

torch::Tensor random(at::IntArrayRef sizes, torch::ScalarType type) {
  const auto tensor = torch::rand(sizes).sub_(0.5).to(type);
  return tensor.dim() == 4 ? tensor.contiguous(torch::MemoryFormat::ChannelsLast) : tensor;
}

// Runs a forward pass, or the gradient with respect to the input only.
void pass(benchmark::State& state, const Layer& l, torch::ScalarType type, bool backward, bool own) {
  if (own) use_fast_kernels();
  at::set_num_threads(1);
  const auto input = random({4, l.channels, l.side, l.side}, type).requires_grad_(backward);
  const auto weight =
      l.outputs ? random({l.outputs, l.channels / l.groups, l.kernel, l.kernel}, type) : random({l.channels}, type);
  const auto forward = [&] {
    return l.outputs ? at::conv2d(input, weight, {}, l.stride, l.padding, 1, l.groups) : at::prelu(input, weight);
  };
  const auto output = forward(), slope = torch::ones_like(output);
  for (auto _ : state)
    if (backward)
      benchmark::DoNotOptimize(torch::autograd::grad({output}, {input}, {slope}, true)[0].data_ptr());
    else
      benchmark::DoNotOptimize(forward().data_ptr());
}

}  // namespace

int main(int argc, char** argv) {
  for (const bool own : {false, true})
    for (const auto& layer : layers)
      for (const auto type : {torch::kFloat32, torch::kBFloat16})
        for (const bool backward : {false, true})
          benchmark::RegisterBenchmark(
              (std::string(own ? "own/" : "libtorch/") + layer.name + (type == torch::kFloat32 ? "/fp32/" : "/bf16/") +
               (backward ? "gradient" : "forward"))
                  .c_str(),
              pass, layer, type, backward, own)
              ->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
