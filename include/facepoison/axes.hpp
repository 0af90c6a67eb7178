// What an experiment varies besides recognisers: what people post, what becomes of it, what stays clean, which draw.
#pragma once
#include <array>

#include "facepoison/attack.hpp"
#include "facepoison/coordinates.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// What a protected person does to the photos that they post: an attack, or shares of them under several.
struct Posting {
  std::string name;
  std::vector<std::pair<std::shared_ptr<const Attack>, double>> parts;  // shares of 1
};

// Which photos go through the transform: those that protected people post, all of the gallery, the probes.
struct TransformOn {
  bool perturbed = false, gallery = false, probes = false;
};

// How perturbed photos come into the gallery: in the place of the clean ones, or beside them; or the gallery has none
// of the protected person's photos.
enum class Enrolled { replaced, added, absent };

// Who perturbs photos at the same time: one person alone, or half of the people.
enum class Together { one, half };

// What the trainer's probes of a protected person are.
struct ProbeOverride {
  enum class Kind {
    clean,      // as they are
    as_posted,  // perturbed as the person's training photos are
    attack,     // under `attack`
    transform   // under `transform`, in the place of the transforms' axis
  };
  Kind kind = Kind::clean;
  std::shared_ptr<const Attack> attack = nullptr;
  std::shared_ptr<const Transform> transform = nullptr;
};

// One value of each axis: what a row of the tables is of, but for the recogniser. Copies share attacks and networks.
struct Combination {
  std::array<std::string, axis_columns.size()> names;  // of the values, by axis
  std::shared_ptr<const Posting> attack;
  std::shared_ptr<const Transform> transform;  // or none
  TransformOn transform_on;                    // nothing without a transform
  std::int64_t clean_photos = 0;               // a protected person's training photos that stay clean, at most
  Enrolled enrolled = Enrolled::replaced;
  Together together = Together::one;
  ProbeOverride probes;
  std::shared_ptr<const FeatureExtractor> filter;  // a cloak detector that drops gallery photos, whosever; or none
  Seed seed = 0;                                   // of the draw of people, attacks, leaks and mixes
  std::size_t draw = 0;                            // the seed's index among the experiment's seeds

  // The tables' columns and their values, by axis.
  std::vector<std::pair<std::string, std::string>> coordinates() const;
};

// A value that a config gives an axis.
struct AxisValue {
  std::string name;                         // in the tables; unlike the other values' of the axis
  Json resolved;                            // in config.resolved.json
  std::function<void(Combination&)> apply;  // sets the axis's members of a combination, but for `names`
};

// The values of every axis. Where a config says nothing of an axis it is neutral: every training photo is perturbed,
// nothing else happens to it, and it stands in the place of the clean one.
class Axes {
 public:
  // Reads the keys of axis_registry(). Throws Error(usage), and what make_attack() and make_cloak_detector() throw.
  static Axes from(Spec& spec, const RunOptions& options);

  const std::vector<AxisValue>& operator[](Axis axis) const { return values_[index_of(axis)]; }
  bool is_neutral(Axis axis) const;  // has it the one value of a config that says nothing of it?
  // For each value of the axis a combination in which that axis alone is set.
  std::vector<Combination> each(Axis axis) const;
  std::vector<Seed> seeds() const;

 private:
  std::array<std::vector<AxisValue>, axis_columns.size()> values_;
};

// All that make sense, the last axis fastest: without a transform it makes no difference what it is on, and who is
// absent has posted nothing.
std::vector<Combination> combinations(const Axes& axes);

// How a config gives an axis its values.
struct AxisRow {
  enum class Resolved {
    always,
    unless_neutral,  // so that a run from before the axis was there is the same run
    never            // the seeds are the keys of "protected"
  };
  std::vector<std::string> keys;  // the first holds the list of values; another one is read instead where it is there
  std::optional<Json> neutral;    // the list of a config that says nothing of the axis; none: the key is required
  Resolved resolved;              // does config.resolved.json list its values?
  std::vector<AxisValue> (*read)(Spec& spec, const AxisRow& row, const RunOptions& options);
  void (*anchor)(Json& value, const fs::path& base);  // makes the paths in a value absolute; none: it has no paths
};
const std::array<AxisRow, axis_columns.size()>& axis_registry();  // by axis

// What config.resolved.json says of a cloak detector.
Json resolved_detector(const FeatureExtractor& detector);

// The config's "seeds", or its "seed" alone. Throws Error(usage).
std::vector<Seed> read_seeds(Spec& spec);

}  // namespace facepoison
