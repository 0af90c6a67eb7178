// The product of a config's axes.
#include "facepoison/experiment.hpp"

namespace facepoison {

Scenarios scenarios(const Experiment& e, const std::vector<std::string>& people) {
  std::map<std::string, std::vector<std::int32_t>> albums;
  for (const auto row : e.train) albums[e.dataset.photos[row].person].push_back(static_cast<std::int32_t>(row));
  Scenarios out{{Treatment{}}, {}};
  for (const auto& attack : e.attacks) {
    const auto treatment = static_cast<std::int16_t>(out.treatments.size());
    out.treatments.push_back({attack, e.seed});
    auto& scenario = out.list.emplace_back();
    scenario.at = {{"attack", attack->settings().name}};
    for (const auto& person : people) {
      auto& game = scenario.games.emplace_back(Game{person, {}});
      for (const auto row : albums.at(person)) game.gallery.push_back({row, treatment});
    }
  }
  return out;
}

World world_of(const Experiment& e, const std::vector<std::string>& people, ArtifactStore& store) {
  return {e.dataset, e.train, e.test, scenarios(e, people), e.options, store};
}

}  // namespace facepoison
