// What an experiment varies besides recognisers: what people post, what becomes of it, what stays clean, which draw.
#pragma once
#include "facepoison/attack.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// What a protected person does to the photos that they post: an attack, or shares of them under several.
struct Posting {
  std::string name;
  std::vector<std::pair<std::shared_ptr<const Attack>, double>> parts;  // shares of 1
};

// Under what a protected person's probes are: "clean"; "as-posted", as the same person's perturbed training photos; or
// an attack, or a transform in the place of the transforms' axis.
struct Posing {
  std::string name;
  std::shared_ptr<const Attack> attack = nullptr;
  std::shared_ptr<const Transform> transform = nullptr;
};

// Each a list of values; the defaults are neutral: every training photo is perturbed, nothing else happens to it, and
// it stands in the place of the clean one.
struct Axes {
  std::vector<Posting> attacks;
  std::vector<std::shared_ptr<const Transform>> transforms = {nullptr};
  std::vector<std::string> transform_on = {"perturbed"};  // "perturbed", "gallery" (all of it), "probes", joined by +
  std::vector<std::int64_t> clean_photos = {0};           // a protected person's training photos that stay clean
  // or "added": perturbed photos beside the clean ones; "absent": the trainer has none of the protected person's
  std::vector<std::string> enrolled = {"replaced"};
  std::vector<std::string> together = {"one"};  // or "half": of the people, all perturbing at the same time
  std::vector<Posing> probes = {{"clean"}};     // how the trainer sees a protected person again
  // A cloak detector, by which the trainer drops gallery photos, whosever they are; or none.
  std::vector<std::shared_ptr<const FeatureExtractor>> filters = {nullptr};
  std::vector<Seed> seeds = {0};  // of the draw of people, attacks, leaks and mixes

  // Reads the config's keys "attacks", "transforms", "transform_on", "clean_photos", "enrolled", "together", "probes",
  // "filter", "seed" or "seeds". Throws Error(usage), and what make_attack() and make_cloak_detector() throw.
  static Axes from(Spec& spec, const RunOptions& options);
};

// The config's "seeds", or its "seed" alone.
std::vector<Seed> read_seeds(Spec& spec);

// One value of each axis.
struct Combination {
  const Posting* attack = nullptr;
  std::shared_ptr<const Transform> transform;  // or none
  std::string transform_on;                    // "" without a transform
  std::int64_t clean_photos = 0;
  std::string enrolled;
  std::string together;
  const Posing* probes = nullptr;
  std::shared_ptr<const FeatureExtractor> filter;  // or none
  std::size_t seed = 0;                            // place in the list

  bool transforms(const std::string& what) const;
  // The columns of the tables and their values.
  std::vector<std::pair<std::string, std::string>> coordinates(const Axes& axes) const;
};

// All that make sense, the last axis fastest: without a transform it makes no difference what it is on, and who is
// absent has posted nothing.
std::vector<Combination> combinations(const Axes& axes);

}  // namespace facepoison
