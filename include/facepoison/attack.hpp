// Attacks: people's photos in, perturbed photos out. A new attack is one .cpp and one row in registry.cpp.
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/random.hpp"

namespace facepoison {

using Surrogates = std::vector<std::shared_ptr<const FeatureExtractor>>;

// What every attack has besides its own parameters.
struct AttackSettings {
  std::string name;                // the preset's, or the user's label
  Json parameters;                 // everything that was read, defaults included
  Surrogates surrogates;           // the extractors it optimises against; empty for attacks that need none
  std::vector<std::string> notes;  // deviations and caveats, printed under every table
};

struct Perturbed {
  torch::Tensor pixels;              // N×3×H×W in [0,1] on the 8-bit grid, on the CPU
  std::vector<std::string> status;   // "ok", or "infeasible": that photo keeps its clean pixels
};

class Attack {
 public:
  explicit Attack(AttackSettings settings) : settings_(std::move(settings)) {}
  virtual ~Attack() = default;

  // Photos of any number of people. Random numbers come from one stream a photo, so that neither order nor company
  // changes a photo's result beyond float rounding.
  Perturbed perturb(const Faces& faces, Seed seed) const;

  virtual bool changes_photos() const { return true; }
  const AttackSettings& settings() const { return settings_; }
  Json identity() const;  // parameters and surrogates, without the label: for cache keys
  void set_parameters(Json parameters) { settings_.parameters = std::move(parameters); }  // make_attack's, once they are read

 private:
  virtual torch::Tensor run(const Faces& faces, Seed seed) const = 0;  // non-finite pixels mean: infeasible
  AttackSettings settings_;
};

// `preset` is the name of a file in configs/attacks or the path of one; or a JSON object {"preset": …, "name": …,
// other keys override the preset}. `surrogates`, where not empty, override too. Nothing is loaded yet, but surrogates'
// hashes are checked. Throws Error(usage) for unknown names, keys and values, Error(model) for a surrogate's file.
std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options, const std::vector<std::string>& surrogates = {});

struct AttackRow {
  std::string name, help;
  bool needs_surrogates;
  std::vector<std::string> notes;
  std::shared_ptr<Attack> (*make)(Spec&, AttackSettings);
};
const std::vector<AttackRow>& attack_registry();

// For attacks: N×3×H×W uniform numbers in [low, high), each photo from its own stream.
torch::Tensor uniform_noise(const Faces& faces, Seed seed, const std::string& purpose, double low, double high);

// d objective / d pixels; the graph is freed.
torch::Tensor gradient(const torch::Tensor& objective, const torch::Tensor& pixels);

// −1, 0 or 1; NaN where the direction is not finite (torch's own sign makes that 0, and the photo would look feasible).
torch::Tensor sign_of(const torch::Tensor& direction);

}  // namespace facepoison
