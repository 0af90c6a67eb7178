// Exact nearest neighbour at FaceScrub's size, and what swapping one person costs beside searching anew.
#include <benchmark/benchmark.h>

#include "facepoison/classifier.hpp"

using namespace facepoison;

namespace {

struct Problem {
  torch::Tensor gallery, probes;
  std::vector<std::int64_t> labels;
  std::vector<Swap> swaps;
};

Problem make_problem(std::int64_t people, std::int64_t each, std::int64_t probes, std::int64_t swapped) {
  torch::manual_seed(1);
  const auto centres = torch::randn({people, 512});
  Problem out;
  for (std::int64_t i = 0; i < people * each; ++i) out.labels.push_back(i / each);
  out.gallery = centres.repeat_interleave(each, 0) + 0.5 * torch::randn({people * each, 512});
  out.probes = centres.index_select(0, torch::randint(people, {probes})) + 0.5 * torch::randn({probes, 512});
  for (std::int64_t p = 0; p < swapped; ++p) {
    Swap swap;
    for (std::int64_t i = 0; i < each; ++i) swap.rows.push_back(p * each + i);
    swap.features = torch::randn({each, 512});
    out.swaps.push_back(swap);
  }
  return out;
}

void search(benchmark::State& state) {
  const auto p = make_problem(530, 70, state.range(0), 0);
  const auto classifier = make_classifier("nearest");
  for (auto _ : state) benchmark::DoNotOptimize(classifier->predict(p.gallery, p.labels, p.probes).labels.data());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void swap(benchmark::State& state) {
  const auto p = make_problem(530, 70, state.range(0), state.range(1));
  const auto classifier = make_classifier("nearest");
  for (auto _ : state)
    benchmark::DoNotOptimize(classifier->predict_swapped(p.gallery, p.labels, p.swaps, p.probes).data());
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}

}  // namespace

BENCHMARK(search)->Arg(2000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(swap)->Args({2000, 1})->Args({2000, 20})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
