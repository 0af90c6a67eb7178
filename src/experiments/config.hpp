// The steps of reading a config, by subject.
#pragma once
#include "facepoison/experiment.hpp"

namespace facepoison {

// Makes every path in a part of a config absolute, from the folder that it was meant from. Where it says "seed" it
// takes out "seeds" of what it goes over, and the other way round.
void anchor_experiment(Json& config, const fs::path& base);

// Finds who can be protected: people with train and test photos. Throws Error(input) where there is nobody.
void find_eligible(Experiment& experiment);

// The people whom the config's "protected" (`wanted`) means, of the eligible ones, in the order of the seed's draw.
// Throws Error(usage).
std::vector<std::string> choose_protected(const Spec& spec, const Json& wanted, const Experiment& experiment,
                                          Seed seed);

// Says of each network whom it saw in training. Throws Error(usage) where that is somebody who is protected: a trainer
// who has somebody's photos needs no recogniser.
void check_seen(Experiment& experiment);

// What config.resolved.json says: the run's identity. `dataset`: as the config has it.
Json resolve(const Experiment& experiment, const std::string& dataset);

// The rows of the run's table, as far as they are known without the data: their keys, "strategy" and "surrogate".
Table planned_rows(const Experiment& experiment);

// The same with the rows of all seeds together, which tables have where there are several seeds.
Table with_all_seeds(Table table);

}  // namespace facepoison
