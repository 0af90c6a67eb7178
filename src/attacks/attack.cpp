#include "facepoison/attack.hpp"

#include <torch/csrc/autograd/autograd.h>

namespace facepoison {

Perturbed Attack::perturb(const Faces& faces, Seed seed) const {
  const auto found = run(faces, seed).detach().to(torch::kCPU);
  const auto clean = faces.pixels.to(torch::kCPU);
  const auto finite = found.isfinite().flatten(1).all(1);
  Perturbed out;
  out.pixels = torch::where(finite.view({-1, 1, 1, 1}), found, clean).clamp(0, 1).mul(255).round().div(255);
  for (std::int64_t n = 0; n < faces.size(); ++n) out.status.push_back(finite[n].item<bool>() ? "ok" : "infeasible");
  return out;
}

Json Attack::identity() const {
  Json surrogates = Json::array();
  for (const auto& extractor : settings_.surrogates) surrogates.push_back(extractor->identity());
  return {{"parameters", settings_.parameters}, {"surrogates", surrogates}};
}

torch::Tensor uniform_noise(const Faces& faces, Seed seed, const std::string& purpose, double low, double high) {
  auto noise = torch::empty(faces.pixels.sizes(), torch::kFloat32);
  float* out = noise.data_ptr<float>();
  const std::int64_t each = noise.numel() / faces.size();
  for (std::size_t n = 0; n < faces.ids.size(); ++n) {
    Stream stream(seed, purpose, faces.people[n], faces.ids[n]);
    for (std::int64_t i = 0; i < each; ++i) *out++ = static_cast<float>(low + (high - low) * stream.uniform());
  }
  return noise.to(faces.pixels.device());
}

torch::Tensor gradient(const torch::Tensor& objective, const torch::Tensor& pixels) { return torch::autograd::grad({objective}, {pixels})[0]; }

torch::Tensor sign_of(const torch::Tensor& direction) { return direction.sign() + 0 * direction; }

}  // namespace facepoison
