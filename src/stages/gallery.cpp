#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/scenario.hpp"

namespace facepoison {
namespace {

// The row of each photo in a gallery.
class Places {
 public:
  Places(std::span<const Pick> gallery, std::size_t photos) : places_(photos) {
    for (std::size_t row = 0; row < gallery.size(); ++row) places_[gallery[row].photo] = GalleryRow(row);
  }
  std::optional<GalleryRow> of(PhotoRow photo) const { return places_[photo]; }

 private:
  std::vector<std::optional<GalleryRow>> places_;
};

std::vector<Pick> gallery_before_trials(const SplitRows& split, const Scenario& scenario, const Places& unfiltered) {
  std::vector<Pick> picks;
  for (const auto photo : split.gallery_of(scenario)) picks.push_back({photo, scenario.gallery});
  for (const auto& pick : scenario.co_protected) picks[*unfiltered.of(pick.photo)] = pick;
  return picks;
}

Places places_without_filter(const SplitRows& split, const Scenario& scenario) {
  std::vector<Pick> picks;
  for (const auto photo : split.gallery_of(scenario)) picks.push_back({photo, {}});
  return {picks, split.labels.size()};
}

// A trial's change to a gallery from which a filter dropped photos.
Assembly::Change change_of(const SplitRows& split, const Scenario& scenario, const Trial& trial, const Places& places,
                           const std::function<bool(const Pick&)>& is_dropped) {
  Assembly::Change out;
  const auto remove = [&](PhotoRow photo) {
    if (const auto row = places.of(photo)) out.removed.push_back(*row);
  };
  const auto replace = [&](const Pick& pick) {
    const auto row = places.of(pick.photo);
    if (!row) return out.added.push_back(pick);  // the clean one is dropped, this one is not
    out.rows.push_back(*row);
    out.pictures.push_back(pick);
  };
  for (const auto& pick : trial.replaced) is_dropped(pick) ? remove(pick.photo) : replace(pick);
  for (const auto& pick : trial.added)
    if (!is_dropped(pick)) out.added.push_back(pick);
  for (const auto photo : trial.removed) remove(photo);
  if (!out.rows.empty() || !out.added.empty() || !out.removed.empty()) return out;
  // A trial without changes is still a trial: it replaces each of the person's remaining photos by itself.
  const auto own = split.label_of(trial.person);
  for (const auto photo : split.gallery)
    if (split.labels[photo] == own && places.of(photo)) replace({photo, scenario.gallery});
  return out;
}

}  // namespace

std::string name_of(const Treatment& treatment) {
  const auto& name = treatment.attack->settings().name;
  return treatment.learned_from ? concat(name, ", learned from ", treatment.learned_from) : name;
}

std::vector<PhotoRow> mask_photos(std::span<const Photo> photos, const std::string& person, std::int64_t number,
                                  Seed seed) {
  std::vector<PhotoRow> rows;
  for (std::size_t row = 0; row < photos.size(); ++row)
    if (photos[row].train() && photos[row].person == person) rows.emplace_back(row);
  if (number == 0 || number >= static_cast<std::int64_t>(rows.size())) return rows;
  Stream(seed, "mask photos", person).shuffle(rows);
  rows.resize(static_cast<std::size_t>(number));
  std::sort(rows.begin(), rows.end());
  return rows;
}

SplitRows::SplitRows(std::span<const Photo> photos, std::vector<PhotoRow> gallery, std::vector<PhotoRow> probes,
                     std::vector<PhotoRow> distractors)
    : gallery(std::move(gallery)), probes(std::move(probes)), distractors(std::move(distractors)) {
  for (const auto& photo : photos) people.push_back(photo.person);
  std::sort(people.begin(), people.end());
  people.erase(std::unique(people.begin(), people.end()), people.end());
  for (const auto& photo : photos) labels.push_back(label_of(photo.person));
}

Label SplitRows::label_of(const std::string& person) const {
  return std::lower_bound(people.begin(), people.end(), person) - people.begin();
}

std::vector<PhotoRow> SplitRows::probes_of(const std::string& person) const {
  std::vector<PhotoRow> own;
  const auto label = label_of(person);
  for (const auto photo : probes)
    if (labels[photo] == label) own.push_back(photo);
  return own;
}

std::vector<PhotoRow> SplitRows::gallery_of(const Scenario& scenario) const {
  auto rows = gallery;
  rows.insert(rows.end(), distractors.begin(), distractors.begin() + static_cast<std::ptrdiff_t>(scenario.distractors));
  return rows;
}

Assembly assemble(const SplitRows& split, const Scenario& scenario,
                  const std::function<bool(const Pick&)>& is_dropped) {
  Assembly out;
  Places places = places_without_filter(split, scenario);
  out.gallery = gallery_before_trials(split, scenario, places);
  if (is_dropped) {
    std::erase_if(out.gallery, is_dropped);
    places = Places(out.gallery, split.labels.size());
  }
  const auto dropped = is_dropped ? is_dropped : [](const Pick&) { return false; };
  for (const auto& trial : scenario.trials) out.trials.push_back(change_of(split, scenario, trial, places, dropped));
  for (const auto photo : split.probes) out.probes.push_back({photo, scenario.probes});
  out.overrides_from = out.probes.size();
  out.probes.insert(out.probes.end(), scenario.probe_overrides.begin(), scenario.probe_overrides.end());
  return out;
}

std::vector<Pick> gallery_of(const Assembly& assembly, std::size_t trial) {
  auto picks = assembly.gallery;
  const auto& change = assembly.trials[trial];
  for (std::size_t i = 0; i < change.rows.size(); ++i) picks[change.rows[i]] = change.pictures[i];
  for (auto row = change.removed.rbegin(); row != change.removed.rend(); ++row)
    picks.erase(picks.begin() + static_cast<std::ptrdiff_t>(*row));
  picks.insert(picks.end(), change.added.begin(), change.added.end());
  return picks;
}

}  // namespace facepoison
