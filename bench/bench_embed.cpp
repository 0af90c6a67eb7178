// Measures embeddings a second of every fetched recogniser: canvases in memory to embeddings, including the warp.
// bench/compare.py compares these figures with eager PyTorch and onnxruntime in one run.
#include <benchmark/benchmark.h>

#include "facepoison/extractor.hpp"
#include "facepoison/home.hpp"

using namespace facepoison;

namespace {

constexpr std::int64_t batch = 16;

void embed(benchmark::State& state, const std::shared_ptr<const FeatureExtractor>& extractor) {
  const c10::InferenceMode inference;
  Faces faces;
  faces.pixels = golden_picture(canvas_side, canvas_side).repeat({batch, 1, 1, 1});
  std::vector<double> points;
  for (const auto& p : canvas_landmarks()) points.insert(points.end(), {p.x, p.y});
  faces.landmarks = torch::tensor(points, torch::kFloat64).view({1, 5, 2}).repeat({batch, 1, 1});
  for (int n = 0; n < 3; ++n) extractor->embed(faces);  // the first calls load the network and set up its kernels
  for (auto _ : state) benchmark::DoNotOptimize(extractor->embed(faces).data_ptr());
  state.SetItemsProcessed(state.iterations() * batch);
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto& card : all_cards()) {
    if (!fs::exists(project_home() / "models" / card.file)) continue;
    for (const auto precision : {torch::kFloat32, torch::kBFloat16}) {
      const RunOptions options{torch::kCPU, precision, false};
      const auto extractor = make_extractor(card, options);
      benchmark::RegisterBenchmark(("embed/" + card.name + "/" + precision_name(options)).c_str(), embed, extractor)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
