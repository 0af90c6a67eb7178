// Attacks: people's photos in, perturbed photos out. A new attack is one .cpp and one row in registry.cpp.
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/perceptual.hpp"
#include "facepoison/pictures.hpp"
#include "facepoison/random.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

class Attack;
using Surrogates = std::vector<std::shared_ptr<const FeatureExtractor>>;

// The settings that every attack has.
struct AttackSettings {
  std::string name;       // the preset's, or the user's label
  int version = 1;        // see AttackRow
  std::string released;   // of a published tool: "2021-03"; empty for others
  Json parameters;        // everything that was read, defaults included
  Surrogates surrogates;  // the extractors it optimises against; empty for attacks that need none
  Surrogates exact;       // the surrogates in float32; the same unless the precision is bf16
  std::shared_ptr<const Perceptual> perceptual;      // a perceptual distance, if the preset names one
  std::shared_ptr<const Transform> before;           // applied to a photo first; or none
  std::vector<std::shared_ptr<const Attack>> after;  // attacks that a photo goes through before this one, in order
  std::vector<Photo> targets;                        // photos of people to aim at; empty: the data set's other people
  Json transform;                                    // the identity of one that the attack itself applies; or null
  std::vector<std::string> notes;                    // deviations and caveats, printed under every table
};

// The result for a photo.
enum class Status {
  ok,
  last_iterate,  // Fawkes's rescue
  infeasible,    // the photo has its clean pixels
  missing        // likewise, since its file is missing
};
std::string name_of(Status status);  // "ok", "last-iterate", "infeasible", "missing", as in tables

struct Perturbed {
  torch::Tensor pixels;  // N×3×H×W in [0,1] on the 8-bit grid, on the CPU
  std::vector<Status> status;
  std::vector<std::int64_t> iterations;  // steps taken
  std::vector<double> own_measure;       // the attack's own measure of the rounded pixels; NaN if it has none
  torch::Tensor trace;  // K×N×3 float64 on the CPU: loss, DSSIM, own measure of the picture after k = 0 … K−1 steps,
                        // NaN once a photo has ended; or undefined
};

// Embeddings of photos, a row for each.
class EmbeddingStage : public Stage {
 public:
  using Stage::Stage;
  virtual torch::Tensor read(const ArtifactStore& store) const = 0;  // N×D float32 on the CPU
};
using EmbedPhotos =
    std::function<std::shared_ptr<EmbeddingStage>(StagedPhotos, std::shared_ptr<const FeatureExtractor>)>;

// The companions of some of an album's photos, by their rows; see Companions. It may be called by several threads.
using CompanionFaces = std::function<Faces(const std::vector<std::size_t>& rows)>;
// One for each photo, decoded when asked for.
CompanionFaces faces_of(std::vector<Photo> companions);

// More pictures for each photo of an album, for attacks that want them: people to resemble, another tool's result, or a
// mask.
class Companions {
 public:
  virtual ~Companions() = default;
  // The stages to run before read().
  virtual std::vector<std::shared_ptr<Stage>> inputs() const = 0;
  // What decides the companions of the album's photos first … first + count − 1, all of one person, for keys; and the
  // artefacts that hold them.
  virtual Json key(std::size_t first, std::size_t count) const = 0;
  virtual Needs needs(std::size_t first, std::size_t count) const = 0;
  // Called once the inputs are in the store. The result gives the companions of these photos of the album, the same
  // number for each photo, those of one photo together. An empty id: there is none.
  virtual CompanionFaces read(const ArtifactStore& store) const = 0;
};

// Photos from which the mask of each person is learned.
using MaskPhotos = std::map<std::string, std::vector<Photo>>;

class Attack {
 public:
  explicit Attack(AttackSettings settings) : settings_(std::move(settings)) {}
  virtual ~Attack() = default;

  // Perturbs photos of any number of people. Each photo has its own stream of random numbers, so that neither the order
  // nor the other photos of the batch change its result beyond float rounding. `companions`: see Companions; for an
  // attack that learns masks, `pixels` are each photo's mask, N×3×H×W.
  Perturbed perturb(const Faces& faces, Seed seed, const Faces& companions = {}) const;

  virtual bool changes_photos() const { return true; }

  virtual bool wants_companions() const { return false; }

  // Whether the attack adds one perturbation of a person, a mask, to each of the person's photos.
  virtual bool learns_masks() const { return false; }
  // The mask of the person on these photos, 3×H×W float32 on their device. Only for an attack that learns masks.
  virtual torch::Tensor fit(const Faces& photos, Seed seed) const { return {}; }
  // For an album of any people; nullptr if the attack wants none. `everybody`: the data set's photos. The attack must
  // outlive them. Throws Error(input) if there is nobody to choose.
  virtual std::shared_ptr<const Companions> companions(const StagedPhotos& album, std::span<const Photo> everybody,
                                                       Seed seed, const EmbedPhotos& embed) const {
    return nullptr;
  }

  const AttackSettings& settings() const { return settings_; }
  Surrogates all_surrogates() const;  // its own, and those of the attacks before it
  Json identity() const;              // parameters and surrogates, without the label: for cache keys
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

// Makes an attack. `preset`: the name of a file in configs/attacks, a path, or a JSON object {"preset": …, "name": …,
// keys that override the preset's}; a file may contain such an object too. "before": a transform, "after": a list of
// such presets, see AttackSettings. A list of presets is the last one after the others; its name joins theirs by " + ".
// `surrogates`, if not empty, override too. If none of a preset's surrogates is on this machine, its "stand_ins" are
// used; if none of those is, the bundled small-surrogate; a note says so. Hashes of surrogates are checked, none is
// loaded yet. Throws Error(usage) for unknown names, keys and values, Error(model) for the file of a surrogate or of a
// perceptual distance.
std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options,
                                          const std::vector<std::string>& surrogates = {});

Json read_preset(const std::string& name);  // with the preset that it builds on

// Makes the paths in such a `preset` of a config absolute, from `base`.
void anchor_attack(Json& preset, const fs::path& base);

struct AttackRow {
  std::string name;
  int version;  // part of cache keys: raise it when a photo's bytes change, which a test detects
  std::string help;
  bool needs_surrogates, aims, sees_perceptual;
  std::vector<std::string> notes;
  std::shared_ptr<Attack> (*make)(Spec&, AttackSettings);
  std::string bound = {};  // the key of its L∞ bound: "epsilon" (a share of 1), "clip" (grey levels) or none
};
const std::vector<AttackRow>& attack_registry();

// The same attack with another L∞ bound, in grey levels, named "NAME at N/255". Its key "step", if there is one, grows
// in proportion, so that the steps still reach the bound. Of a chain, the last attack's; nullptr if it has no bound.
std::shared_ptr<const Attack> with_budget(const Json& preset, std::int64_t levels, const RunOptions& options);

// For attacks: N×3×H×W uniform numbers in [low, high), each photo from its own stream.
torch::Tensor uniform_noise(const Faces& faces, Seed seed, const std::string& purpose, double low, double high);

// Marks the windows of DSSIM that lie wholly inside the part of the canvas that one of the surrogates sees:
// N×1×(H−10)×(W−10), 1 for these and 0 for others. Undefined if all do, or without surrogates.
torch::Tensor seen_windows(const Faces& faces, const Surrogates& surrogates);

// Reads the key dssim_over, "seen" (the default) or "canvas": whether a DSSIM budget counts those windows only.
bool seen_from(Spec& spec);

// d objective / d pixels; the graph is freed.
torch::Tensor gradient(const torch::Tensor& objective, const torch::Tensor& pixels);

// −1, 0 or 1; NaN if the direction is not finite (torch's own sign gives 0, and the photo would look feasible).
torch::Tensor sign_of(const torch::Tensor& direction);

}  // namespace facepoison
