// Attacks: people's photos in, perturbed photos out. A new attack is one .cpp and one row in registry.cpp.
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/perceptual.hpp"
#include "facepoison/pictures.hpp"
#include "facepoison/random.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

using Surrogates = std::vector<std::shared_ptr<const FeatureExtractor>>;

// What every attack has besides its own parameters.
struct AttackSettings {
  std::string name;       // the preset's, or the user's label
  int version = 1;        // see AttackRow
  std::string released;   // "2021-03", of the tool that it is; empty for none
  Json parameters;        // everything that was read, defaults included
  Surrogates surrogates;  // the extractors it optimises against; empty for attacks that need none
  Surrogates exact;       // the same in float32: themselves, unless the precision is bf16
  std::shared_ptr<const Perceptual> perceptual;  // for attacks that look at one, where the preset names one
  std::shared_ptr<const Transform> before;       // what a photo goes through first; or none
  std::vector<Photo> targets;      // photos of the people whom it may aim at; empty: the data set's other people
  std::vector<std::string> notes;  // deviations and caveats, printed under every table
};

// What came of a photo.
enum class Status {
  ok,
  last_iterate,  // Fawkes's rescue
  infeasible,    // the photo has its clean pixels
  missing        // so has this one: its file is missing
};
std::string name_of(Status status);  // "ok", "last-iterate", "infeasible", "missing": as tables have it

struct Perturbed {
  torch::Tensor pixels;  // N×3×H×W in [0,1] on the 8-bit grid, on the CPU
  std::vector<Status> status;
  std::vector<std::int64_t> iterations;  // steps taken
  std::vector<double> own_measure;       // the attack's own measure of the rounded pixels; NaN where it has none
  torch::Tensor trace;  // K×N×3 float64 on the CPU: loss, DSSIM, own measure of the picture after k = 0 … K−1 steps,
                        // NaN where a photo had left; or undefined
};

// Embeddings of photos, a row for each.
class EmbeddingStage : public Stage {
 public:
  using Stage::Stage;
  virtual torch::Tensor read(const ArtifactStore& store) const = 0;  // N×D float32 on the CPU
};
using EmbedPhotos =
    std::function<std::shared_ptr<EmbeddingStage>(StagedPhotos, std::shared_ptr<const FeatureExtractor>)>;

// A picture beside each photo of an album, for attacks that want one: somebody to resemble, or what another tool made
// of the photo.
class Companions {
 public:
  virtual ~Companions() = default;
  // The stages to run before read().
  virtual std::vector<std::shared_ptr<Stage>> inputs() const = 0;
  // What decides the companions of the album's photos first … first + count − 1, all of one person, for keys; and the
  // artefacts that hold it.
  virtual Json key(std::size_t first, std::size_t count) const = 0;
  virtual Needs needs(std::size_t first, std::size_t count) const = 0;
  // One for each photo of the album. An empty id: there is none.
  virtual std::vector<Photo> read(const ArtifactStore& store) const = 0;
};

class Attack {
 public:
  explicit Attack(AttackSettings settings) : settings_(std::move(settings)) {}
  virtual ~Attack() = default;

  // Photos of any number of people. Random numbers come from one stream a photo, so that neither the
  // order nor the other photos of the batch change a photo's result beyond float rounding. `companions` has a picture
  // for each photo, where the attack wants them.
  Perturbed perturb(const Faces& faces, Seed seed, const Faces& companions = {}) const;

  virtual bool changes_photos() const { return true; }

  virtual bool wants_companions() const { return false; }
  // Of an album of any people; none where the attack wants none. `everybody`: the data set's photos. The attack must
  // outlive them. Throws Error(input) where there is nobody to choose.
  virtual std::shared_ptr<const Companions> companions(const StagedPhotos& album, std::span<const Photo> everybody,
                                                       Seed seed, const EmbedPhotos& embed) const {
    return nullptr;
  }

  const AttackSettings& settings() const { return settings_; }
  Json identity() const;  // parameters and surrogates, without the label: for cache keys
  // For make_attack, once they are read.
  void set_parameters(Json parameters) { settings_.parameters = std::move(parameters); }

 protected:
  struct Found {
    torch::Tensor pixels;                  // on any grid; non-finite pixels mean: infeasible
    std::vector<std::int64_t> iterations;  // or empty: none
    std::vector<Status> status;            // or empty: ok
    torch::Tensor trace;                   // as Perturbed's, or undefined
  };

 private:
  virtual Found run(const Faces& faces, const Faces& companions, Seed seed) const = 0;
  // N, or undefined.
  virtual torch::Tensor own_measure(const Faces& faces, const Faces& companions, const torch::Tensor& pixels) const {
    return {};
  }
  AttackSettings settings_;
};

// `preset` is the name of a file in configs/attacks or the path of one; or a JSON object {"preset": …, "name": …, other
// keys override the preset}, which a preset's file may be too. "before": a transform, see AttackSettings. `surrogates`,
// where not empty, override too. Where none of a preset's own surrogates is on this machine its "stand_ins" are taken,
// and where none of those is, small-surrogate, which ships; a note says so. No surrogate is loaded yet, but their
// hashes are checked. Throws Error(usage) for unknown names, keys and values, Error(model) for the file of a surrogate
// or of a perceptual distance.
std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options,
                                          const std::vector<std::string>& surrogates = {});

Json read_preset(const std::string& name);  // what it builds on included

// Makes the paths in such a `preset` of a config absolute, from `base`.
void anchor_attack(Json& preset, const fs::path& base);

struct AttackRow {
  std::string name;
  int version;  // of what it computes, a part of cache keys: to be raised when a photo's bytes change, which a test
                // sees
  std::string help;
  bool needs_surrogates, aims, sees_perceptual;
  std::vector<std::string> notes;
  std::shared_ptr<Attack> (*make)(Spec&, AttackSettings);
};
const std::vector<AttackRow>& attack_registry();

// For attacks: N×3×H×W uniform numbers in [low, high), each photo from its own stream.
torch::Tensor uniform_noise(const Faces& faces, Seed seed, const std::string& purpose, double low, double high);

// Where DSSIM's windows lie wholly inside the part of the canvas that one of the surrogates looks at:
// N×1×(H−10)×(W−10), 1 there and 0 elsewhere. Undefined where that is everywhere, or where there are no surrogates.
torch::Tensor seen_windows(const Faces& faces, const Surrogates& surrogates);

// The key dssim_over, "seen" (the default) or "canvas": is a budget of DSSIM spent over those windows alone?
bool seen_from(Spec& spec);

// d objective / d pixels; the graph is freed.
torch::Tensor gradient(const torch::Tensor& objective, const torch::Tensor& pixels);

// −1, 0 or 1; NaN where the direction is not finite (torch's own sign makes that 0, and the photo would look feasible).
torch::Tensor sign_of(const torch::Tensor& direction);

}  // namespace facepoison
