// The axes, which an experiment varies besides recognisers: attacks, transforms, clean photos, seeds and others.
#pragma once
#include <array>

#include "facepoison/attack.hpp"
#include "facepoison/coordinates.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// The attacks on a protected person's posted photos: one, or several, each on a share of them.
struct Posting {
  std::string name;
  std::vector<std::pair<std::shared_ptr<const Attack>, double>> parts;  // shares of 1
  // The same with another L∞ bound, by grey levels; empty if no part has a bound, or the config names no budgets.
  std::map<std::int64_t, std::shared_ptr<const Posting>> at_budget = {};
  bool learns_masks() const;  // does a part?
};

// From how many of a person's training photos a mask is learned, and which photos the person then posts.
struct LearnedFrom {
  std::int64_t photos = 0;  // 0: all, and all are posted
  bool posts_seen = false;  // the photos that the mask was learned from; else the others
};

// Which photos go through the transform: those that protected people post, all of the gallery, the probes.
struct TransformOn {
  bool perturbed = false, gallery = false, probes = false;
};

// How perturbed photos enter the gallery: they replace the clean ones, or are added; or the gallery has no photos of
// the protected person.
enum class Enrolled { replaced, added, absent };

// Who perturbs photos at the same time: one person alone, or half of the people.
enum class Together { one, half };

// The trainer's probes of a protected person.
struct ProbeOverride {
  enum class Kind {
    clean,      // as they are
    as_posted,  // perturbed as the person's training photos are
    attack,     // under `attack`
    transform   // under `transform`, instead of the axis's transform
  };
  Kind kind = Kind::clean;
  std::shared_ptr<const Attack> attack = nullptr;
  std::shared_ptr<const Transform> transform = nullptr;
};

// One value of each axis. With a recogniser, it is a row of the tables. Copies share attacks and networks.
struct Combination {
  std::array<std::string, axis_columns.size()> names;  // of the values, by axis
  std::shared_ptr<const Posting> attack;
  std::int64_t budget = 0;  // of attacks with an L∞ bound, in grey levels; 0: the attack's own
  LearnedFrom learned_from;
  std::shared_ptr<const Transform> transform;  // or none
  TransformOn transform_on;                    // nothing without a transform
  std::int64_t clean_photos = 0;               // a protected person's training photos that stay clean, at most
  Enrolled enrolled = Enrolled::replaced;
  Together together = Together::one;
  ProbeOverride probes;
  std::int64_t distractors = 0;                    // people of another data set in the gallery, a photo of each
  std::shared_ptr<const FeatureExtractor> filter;  // a cloak detector that drops anybody's gallery photos; or none
  Seed seed = 0;                                   // of the draw of people, attacks, leaks and mixes
  std::size_t draw = 0;                            // the seed's index among the experiment's seeds

  // The tables' columns and their values, by axis.
  std::vector<std::pair<std::string, std::string>> coordinates() const;
};

// A value that a config gives an axis.
struct AxisValue {
  std::string name;                         // in the tables; unique on the axis
  Json resolved;                            // in config.resolved.json
  std::function<void(Combination&)> apply;  // sets the axis's members of a combination, except `names`
};

// The values of every axis. An axis that a config does not mention is neutral: every training photo is perturbed,
// nothing else happens to it, and it replaces the clean one.
class Axes {
 public:
  // Reads the keys of axis_registry(). Throws Error(usage), and what make_attack() and make_cloak_detector() throw.
  static Axes from(Spec& spec, const RunOptions& options);

  const std::vector<AxisValue>& operator[](Axis axis) const { return values_[index_of(axis)]; }
  bool is_neutral(Axis axis) const;  // whether the axis has only its neutral value
  // For each value of the axis a combination in which that axis alone is set.
  std::vector<Combination> each(Axis axis) const;
  std::vector<Seed> seeds() const;

 private:
  std::array<std::vector<AxisValue>, axis_columns.size()> values_;
};

// All meaningful combinations, the last axis fastest: a budget varies only for attacks with an L∞ bound, learned_from
// only for attacks that learn masks, transform_on only with a transform, and people who are absent have posted nothing.
std::vector<Combination> combinations(const Axes& axes);

// How a config gives an axis its values.
struct AxisRow {
  enum class Resolved {
    always,
    unless_neutral,  // so that a run from before the axis existed is the same run
    never            // the seeds are the keys of "protected"
  };
  std::vector<std::string> keys;  // the first holds the list of values; another one, if present, is read instead
  std::optional<Json> neutral;    // the list for a config without the key; none: the key is required
  Resolved resolved;              // whether config.resolved.json lists its values
  std::vector<AxisValue> (*read)(Spec& spec, const AxisRow& row, const RunOptions& options);
  void (*anchor)(Json& value, const fs::path& base);  // makes the paths in a value absolute; none: it has no paths
};
const std::array<AxisRow, axis_columns.size()>& axis_registry();  // by axis

// The entry of a cloak detector in config.resolved.json.
Json resolved_detector(const FeatureExtractor& detector);

// The config's "seeds", or its "seed" alone. Throws Error(usage).
std::vector<Seed> read_seeds(Spec& spec);

}  // namespace facepoison
