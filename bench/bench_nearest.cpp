// Nearest neighbours at FaceScrub's size: the cost of swapping one person and of a new search, and time and peak
// memory of eval's queries. A peak is that of the process: run one benchmark per process (--benchmark_filter).
#include <benchmark/benchmark.h>

#include <fstream>

#include "data/duplicates.hpp"
#include "experiments/measures.hpp"
#include "facepoison/answers.hpp"

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

// The largest memory of the process so far, in GB.
double peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1e6;
  return 0;
}

// Rows of a matrix, copied at each reading, as in the program.
Features rows_of(const torch::Tensor& matrix, std::vector<std::int64_t> rows, const std::string& name) {
  return {name, {}, [matrix, index = torch::tensor(rows, torch::kInt64)] { return matrix.index_select(0, index); }};
}

std::vector<std::int64_t> first(std::int64_t count, std::int64_t from = 0) {
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < count; ++row) rows.push_back(from + row);
  return rows;
}

// A cell of the table through the store: probes, and protected people with replaced or absent photos.
void answers(benchmark::State& state, const char* name, bool absent) {
  const std::int64_t each = 70;
  const auto p = make_problem(530, each, state.range(0), 0);
  GalleryAndProbes sides;
  sides.gallery_labels = p.labels;
  sides.gallery = rows_of(p.gallery, first(p.gallery.size(0)), "gallery");
  sides.probes = rows_of(p.probes, first(p.probes.size(0)), "probes");
  for (std::int64_t probe = 0; probe < state.range(0); ++probe) sides.probe_labels.push_back(probe % 530);
  sides.overrides_from = sides.probe_labels.size();
  const auto posted = -p.gallery;
  std::vector<TrialSwap> swaps;
  for (std::int64_t person = 0; person < state.range(1); ++person) {
    const auto own = first(each, person * each);
    swaps.push_back({concat(person), person, absent ? std::vector<std::int64_t>() : own, 0,
                     absent ? own : std::vector<std::int64_t>(),
                     rows_of(posted, absent ? std::vector<std::int64_t>() : own, concat("swap ", person))});
  }
  const auto before = peak_memory();
  const auto folder = temporary_name(fs::temp_directory_path());
  const auto classifier = make_classifier(name);
  for (auto _ : state) {
    ArtifactStore store(folder);
    benchmark::DoNotOptimize(answer(sides, swaps, *classifier, "bench", store).trials.data());
    state.PauseTiming();
    fs::remove_all(folder);
    state.ResumeTiming();
  }
  state.counters["GB_before"] = before;
  state.counters["GB_peak"] = peak_memory();
}

// The table displacement of one cell.
void displacement(benchmark::State& state) {
  const std::int64_t each = 70;
  const auto p = make_problem(530, each, 1, 0);
  const auto posted = -p.gallery;
  const auto before = peak_memory();
  for (auto _ : state) {
    const CleanGallery gallery(p.gallery, p.labels);
    for (std::int64_t person = 0; person < state.range(0); ++person) {
      const auto own = first(each, person * each);
      benchmark::DoNotOptimize(gallery.displacements(posted.narrow(0, own.front(), each), own, person).data());
    }
  }
  state.counters["GB_before"] = before;
  state.counters["GB_peak"] = peak_memory();
}

// Photos without copies.
void duplicates(benchmark::State& state) {
  std::vector<Photo> photos(static_cast<std::size_t>(state.range(0)));
  std::vector<Thumbnail> thumbnails(photos.size());
  Stream stream(1, "thumbnails");
  for (std::size_t i = 0; i < photos.size(); ++i) {
    photos[i].source_sha256 = std::to_string(i);
    for (int pixel = 0; pixel < 256; ++pixel) thumbnails[i].push_back(static_cast<std::uint8_t>(stream.below(256)));
  }
  const auto before = peak_memory();
  for (auto _ : state) benchmark::DoNotOptimize(find_originals(photos, thumbnails).data());
  state.counters["GB_before"] = before;
  state.counters["GB_peak"] = peak_memory();
}

}  // namespace

BENCHMARK(displacement)->Arg(530)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK(duplicates)->Arg(50000)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(answers, absent, "nearest", true)
    ->Args({15000, 530})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(answers, k_nearest, "k-nearest", false)
    ->Args({15000, 8})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kSecond);
BENCHMARK(search)->Arg(2000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(swap)->Args({2000, 1})->Args({2000, 20})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
