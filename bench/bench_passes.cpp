// Compares a surrogate's passes with the machine's limits: the forward pass and the gradient with respect to the pixels
// of a piece of four photos, against a product of two matrices in the same precision and a copy in memory. One
// thread.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include "facepoison/extractor.hpp"

using namespace facepoison;

namespace {

constexpr std::int64_t piece = 4;
void rate(benchmark::State& state, const char* name, double each) {
  state.counters[name] =
      benchmark::Counter(each / 1e9, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

// forward: the operations of a forward pass of one photo, as torch.utils.flop_counter counts them.
void passes(benchmark::State& state, const char* card, double forward, torch::ScalarType precision) {
  at::set_num_threads(1);
  const auto network = make_extractor(card, {torch::kCPU, precision, false});
  const auto& input = network->card();
  const auto view = golden_picture(input.height, input.width).repeat({piece, 1, 1, 1}).requires_grad_(true);
  const auto both = [&] {
    const auto embedding = network->embed_view(view);
    return torch::autograd::grad({embedding.square().sum()}, {view})[0];
  };
  both();  // loads the network
  for (auto _ : state) benchmark::DoNotOptimize(both().data_ptr());
  rate(state, "GF/s", 2 * forward * piece);
}

void product(benchmark::State& state, torch::ScalarType precision) {
  at::set_num_threads(1);
  constexpr std::int64_t side = 1024;
  const auto a = torch::rand({side, side}).to(precision), b = torch::rand({side, side}).to(precision);
  for (auto _ : state) benchmark::DoNotOptimize(a.matmul(b).data_ptr());
  rate(state, "GF/s", 2.0 * side * side * side);
}

// GB read and written a second.
void copy(benchmark::State& state) {
  at::set_num_threads(1);
  const auto from = torch::rand({64 << 20});
  auto to = torch::empty_like(from);
  for (auto _ : state) benchmark::DoNotOptimize(to.copy_(from).data_ptr());
  rate(state, "GB/s", 2.0 * static_cast<double>(from.nbytes()));
}

const auto timed = [](auto* one) { one->Unit(benchmark::kMillisecond); };

}  // namespace

// clang-format off: names are not expressions
BENCHMARK_CAPTURE(product, fp32, torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(product, bf16, torch::kBFloat16)->Apply(timed);
BENCHMARK(copy)->Apply(timed);
BENCHMARK_CAPTURE(passes, dlib/fp32, "dlib", 541708288, torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(passes, dlib/bf16, "dlib", 541708288, torch::kBFloat16)->Apply(timed);
BENCHMARK_CAPTURE(passes, faceplugin/fp32, "faceplugin", 442323968, torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(passes, faceplugin/bf16, "faceplugin", 442323968, torch::kBFloat16)->Apply(timed);
// clang-format on
BENCHMARK_MAIN();
