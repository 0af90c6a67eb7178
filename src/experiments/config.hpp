// The steps of reading a config, by subject.
#pragma once
#include "facepoison/experiment.hpp"

namespace facepoison {

// Makes every path in a part of a config absolute: relative paths start from `base`. A part with "seed" removes "seeds"
// from the config that it overrides, and the reverse.
void anchor_experiment(Json& config, const fs::path& base);

// Finds the people that can be protected: those with train and test photos. Throws Error(input) if there are none.
void find_eligible(Experiment& experiment);

// Leaves at most this many training photos of each person in the gallery, drawn; a larger number includes those of a
// smaller one.
void limit_gallery(Experiment& experiment, std::int64_t photos);

// Adds one photo of each person of another data set, prepared with `prepare`, to the experiment's data set, in an order
// that the axis "distractors" takes from the front. Leaves out people with a name that the data set has. Throws
// Error(usage) if they are fewer than the axis needs or their canvases have another size, and as dataset_of().
void add_distractors(const Spec& spec, const fs::path& dataset, PrepareOptions prepare, bool allow_perturbed,
                     Experiment& experiment, ArtifactStore& store);

// The eligible people that the config's "protected" (`wanted`) selects, in the order of the seed's draw. Throws
// Error(usage).
std::vector<std::string> choose_protected(const Spec& spec, const Json& wanted, const Experiment& experiment,
                                          Seed seed);

// Records whom each network saw in training. Throws Error(usage) if a protected person is among them: a trainer who
// already has a person's photos needs no recogniser.
void check_seen(Experiment& experiment);

// The content of config.resolved.json: the run's identity. `dataset`: as the config names it.
Json resolve(const Experiment& experiment, const std::string& dataset);

// The rows of the run's table, as far as they are known without the data: their keys, "strategy" and "surrogate".
Table planned_rows(const Experiment& experiment);

// The same with the rows of all seeds together, which tables have if there are several seeds.
Table with_all_seeds(Table table);

}  // namespace facepoison
