// Measures an attack's steps: photos × steps a second, default surrogates, a block of 16 canvases, including rounding.
#include <benchmark/benchmark.h>

#include "facepoison/attack.hpp"
#include "facepoison/home.hpp"

using namespace facepoison;

namespace {

constexpr std::int64_t batch = 16, steps = 4;

void attack_steps(benchmark::State& state, const char* preset, torch::ScalarType precision) {
  const auto attack = make_attack({{"preset", preset}, {"steps", steps}}, {torch::kCPU, precision, false});
  Faces faces;
  faces.pixels = golden_picture(canvas_side, canvas_side).repeat({batch, 1, 1, 1});
  std::vector<double> points;
  for (const auto& p : canvas_landmarks()) points.insert(points.end(), {p.x, p.y});
  faces.landmarks = torch::tensor(points, torch::kFloat64).view({1, 5, 2}).repeat({batch, 1, 1});
  for (std::int64_t n = 0; n < batch; ++n) faces.ids.push_back(std::to_string(n)), faces.people.push_back("somebody");
  attack->perturb(faces, 0);  // loads the networks
  for (auto _ : state) benchmark::DoNotOptimize(attack->perturb(faces, 0).pixels.data_ptr());
  state.SetItemsProcessed(state.iterations() * batch * steps);
}

const auto timed = [](auto* one) { one->UseRealTime()->Unit(benchmark::kMillisecond); };

}  // namespace

// clang-format off: names are not expressions
BENCHMARK_CAPTURE(attack_steps, pgd/fp32, "pgd", torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(attack_steps, pgd/bf16, "pgd", torch::kBFloat16)->Apply(timed);
BENCHMARK_CAPTURE(attack_steps, lowkey/fp32, "lowkey", torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(attack_steps, lowkey/bf16, "lowkey", torch::kBFloat16)->Apply(timed);
BENCHMARK_CAPTURE(attack_steps, fawkes-v1.0-high/fp32, "fawkes-v1.0-high", torch::kFloat32)->Apply(timed);
BENCHMARK_CAPTURE(attack_steps, fawkes-v1.0-high/bf16, "fawkes-v1.0-high", torch::kBFloat16)->Apply(timed);
// clang-format on
BENCHMARK_MAIN();
