#include "facepoison/treated_photos.hpp"

#include <cmath>

namespace facepoison {

TreatedPhotos::TreatedPhotos(const std::vector<Photo>& photos, const SplitRows& split, const Scenarios& scenarios,
                             const RunOptions& options)
    : dataset_(photos) {
  for (const auto& treatment : scenarios.treatments) treated_.push_back({treatment, {}, {}, {}, {}, {}});
  add_rows(split, scenarios);
  for (std::size_t t = 0; t < treated_.size(); ++t) {
    auto& treated = treated_[t];
    const auto& [attack, transform, seed, learned_from] = treated.treatment;
    treated.photos = t == 0
                         ? StagedPhotos(std::shared_ptr<const std::vector<Photo>>(std::shared_ptr<void>(), &dataset_))
                         : StagedPhotos(photos_of(treated.rows));
    if (attack) {
      // Nobody aims at a distractor: a perturbed photo does not depend on who else is in the gallery.
      const auto everybody = std::span(dataset_).first(dataset_.size() - split.distractors.size());
      treated.perturbed = std::make_shared<PerturbedPhotos>(std::move(treated.photos), everybody, *attack, seed,
                                                            options, photos_to_learn_from(treated));
      treated.photos = treated.perturbed->pictures();
    }
    if (transform) treated.photos = transformed(std::move(treated.photos), transform, seed);
    if (attack && transform) treated.audit = audit(clean(TreatmentId(t)), treated.photos, *attack, options);
  }
}

MaskPhotos TreatedPhotos::photos_to_learn_from(const Treated& treated) const {
  MaskPhotos photos;
  if (!treated.treatment.attack->learns_masks()) return photos;
  for (const auto row : treated.rows) {
    const auto& person = dataset_[row].person;
    if (const auto [found, is_new] = photos.try_emplace(person); is_new)
      found->second = photos_of(mask_photos(dataset_, person, treated.treatment.learned_from, treated.treatment.seed));
  }
  return photos;
}

std::vector<Photo> TreatedPhotos::photos_of(const std::vector<PhotoRow>& rows) const {
  std::vector<Photo> some;
  for (const auto row : rows) some.push_back(dataset_[row]);
  return some;
}

void TreatedPhotos::add_rows(const SplitRows& split, const Scenarios& scenarios) {
  std::map<Label, std::vector<PhotoRow>> albums, probes;
  for (const auto photo : split.gallery) albums[split.labels[photo]].push_back(photo);
  for (const auto photo : split.probes) probes[split.labels[photo]].push_back(photo);
  const auto add = [&](TreatmentId id, const std::vector<PhotoRow>& photos) {
    auto& treated = treated_.at(id);
    for (const auto photo : photos)
      if (treated.places.emplace(photo, treated.rows.size()).second) treated.rows.push_back(photo);
  };
  const auto add_all = [&](TreatmentId id) {
    if (id == TreatmentId()) return;  // has all photos
    add(id, split.gallery);
    add(id, split.distractors);
    add(id, split.probes);
  };
  const auto add_albums = [&](const std::vector<Pick>& picks) {
    for (const auto& pick : picks)
      if (!place(pick.treatment, pick.photo)) add(pick.treatment, albums.at(split.labels[pick.photo]));
  };
  for (std::size_t row = 0; row < dataset_.size(); ++row) add(TreatmentId(), {PhotoRow(row)});
  for (const auto& scenario : scenarios.list) {
    add_all(scenario.gallery);
    add_all(scenario.probes);
    add_albums(scenario.co_protected);
    for (const auto& trial : scenario.trials) add_albums(trial.replaced), add_albums(trial.added);
  }
  // Added after the albums, because their units must not depend on it.
  for (const auto& scenario : scenarios.list)
    for (const auto& pick : scenario.probe_overrides) add(pick.treatment, probes.at(split.labels[pick.photo]));
}

std::optional<std::size_t> TreatedPhotos::place(TreatmentId id, PhotoRow photo) const {
  const auto& places = treated_.at(id).places;
  const auto found = places.find(photo);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

const Photo& TreatedPhotos::photo_of(const Pick& pick) const {
  return photos(pick.treatment).list()[place(pick.treatment, pick.photo).value()];
}

StagedPhotos TreatedPhotos::clean(TreatmentId id) const {
  const auto& [attack, transform, seed, learned_from] = treatment(id);
  StagedPhotos photos(before_attacks(photos_of(treated_.at(id).rows)));
  if (attack && attack->settings().before) photos = transformed(std::move(photos), attack->settings().before, seed);
  return transform ? transformed(std::move(photos), transform, seed) : photos;
}

std::vector<std::shared_ptr<Stage>> TreatedPhotos::stages(TreatmentId id) const {
  const auto& treated = treated_.at(id);
  auto all = treated.perturbed ? treated.perturbed->stages() : std::vector<std::shared_ptr<Stage>>();
  all.insert(all.end(), treated.photos.made_by().begin(), treated.photos.made_by().end());
  if (treated.audit) all.push_back(treated.audit);
  return all;
}

std::vector<Audit> TreatedPhotos::budget(TreatmentId id, const ArtifactStore& store) const {
  const auto& treated = treated_.at(id);
  if (!treated.perturbed) return {};
  auto rows = treated.perturbed->budget(store);
  if (treated.audit) {
    const auto before = rows;
    treated.audit->read(store, rows);
    for (std::size_t n = 0; n < rows.size(); ++n) {
      rows[n].transform = treated.treatment.transform->name();
      rows[n].energy_left = std::pow(rows[n].l2 / before[n].l2, 2);  // NaN if nothing was perturbed
    }
  }
  for (auto& row : rows) {
    row.attack = name_of(treated.treatment);
    row.seed = treated.treatment.seed;
  }
  return rows;
}

}  // namespace facepoison
