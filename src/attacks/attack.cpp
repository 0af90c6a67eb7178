#include "facepoison/attack.hpp"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "facepoison/error.hpp"
#include "facepoison/dssim.hpp"
#include "facepoison/quantise.hpp"

namespace facepoison {

Perturbed Attack::perturb(const Faces& faces, Seed seed, const Faces& companions) const {
  if ((wants_companions() || learns_masks()) &&
      (companions.ids.empty() || companions.ids.size() % faces.ids.size() != 0))
    throw Error(Exit::failure, concat(settings_.name, " needs companion pictures for each photo"));
  const auto found = run(faces, companions, seed);
  const auto finite = found.pixels.detach().isfinite().flatten(1).all(1);
  const auto kept = rounded(torch::where(finite.view({-1, 1, 1, 1}), found.pixels.detach(), faces.pixels));
  const auto score = own_measure(faces, companions, kept);
  Perturbed out;
  out.pixels = kept.to(torch::kCPU);
  out.trace = found.trace;
  for (std::int64_t n = 0; n < faces.size(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    out.status.push_back(!finite[n].item<bool>() ? Status::infeasible
                         : found.status.empty()  ? Status::ok
                                                 : found.status[at]);
    out.iterations.push_back(found.iterations.empty() ? 0 : found.iterations[at]);
    out.own_measure.push_back(score.defined() ? score[n].item<double>() : std::nan(""));
  }
  return out;
}

CompanionFaces faces_of(std::vector<Photo> companions) {
  return [all = std::make_shared<const std::vector<Photo>>(std::move(companions))](const auto& rows) {
    std::vector<Photo> some;
    for (const auto row : rows) some.push_back((*all)[row]);
    return load_faces(some);
  };
}

std::string name_of(Status status) {
  switch (status) {
    case Status::last_iterate:
      return "last-iterate";
    case Status::infeasible:
      return "infeasible";
    case Status::missing:
      return "missing";
    default:
      return "ok";
  }
}

Surrogates Attack::all_surrogates() const {
  Surrogates all;
  for (const auto& earlier : settings_.after)
    for (auto& surrogate : earlier->all_surrogates()) all.push_back(std::move(surrogate));
  all.insert(all.end(), settings_.surrogates.begin(), settings_.surrogates.end());
  return all;
}

Json Attack::identity() const {
  Json surrogates = Json::array();
  for (const auto& extractor : settings_.surrogates) surrogates.push_back(extractor->identity());
  // Leaves out names, dates and paths of files; the identity has the files' content.
  Json parameters = settings_.parameters;
  for (const auto* key : {"surrogates", "stand_ins", "folder", "targets", "released", "before", "after"})
    parameters.erase(key);
  Json identity = {{"version", settings_.version}, {"parameters", parameters}, {"surrogates", surrogates}};
  if (settings_.before) identity["before"] = settings_.before->identity();
  for (const auto& earlier : settings_.after) identity["after"].push_back(earlier->identity());
  if (!settings_.transform.is_null()) identity["transform"] = settings_.transform;
  if (settings_.perceptual) identity["perceptual"] = settings_.perceptual->identity();
  return identity;
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

torch::Tensor seen_windows(const Faces& faces, const Surrogates& surrogates) {
  torch::Tensor seen;
  for (const auto& surrogate : surrogates) {
    const auto area = seen_under(surrogate->card(), faces);
    seen = seen.defined() ? torch::max(seen, area) : area;
  }
  return seen.defined() && seen.lt(1).any().item<bool>() ? windows_inside(seen) : torch::Tensor();
}

bool seen_from(Spec& spec) { return spec.choice("dssim_over", {"seen", "canvas"}, "seen") == "seen"; }

torch::Tensor gradient(const torch::Tensor& objective, const torch::Tensor& pixels) {
  return torch::autograd::grad({objective}, {pixels})[0];
}

torch::Tensor sign_of(const torch::Tensor& direction) { return direction.sign() + 0 * direction; }

}  // namespace facepoison
