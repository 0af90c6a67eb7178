#include "facepoison/world.hpp"

#include <algorithm>
#include <cmath>

namespace facepoison {

World::World(const Dataset& dataset, std::vector<std::size_t> gallery, std::vector<std::size_t> probes,
             Scenarios scenarios, const RunOptions& options, ArtifactStore& store)
    : dataset_(dataset),
      gallery_(std::move(gallery)),
      probes_(std::move(probes)),
      scenarios_(std::move(scenarios)),
      options_(options),
      store_(store),
      people_(dataset.people()),
      treated_(scenarios_.treatments.size()) {
  std::map<std::string, std::vector<std::size_t>> albums;
  for (const auto& photo : dataset_.photos)
    labels_.push_back(std::lower_bound(people_.begin(), people_.end(), photo.person) - people_.begin());
  for (const auto row : gallery_) {
    in_gallery_[static_cast<std::int32_t>(row)] = static_cast<std::int64_t>(in_gallery_.size());
    albums[dataset_.photos[row].person].push_back(row);
  }
  for (const auto row : probes_) probes_by_person_[dataset_.photos[row].person].push_back(row);
  const auto post = [](Treated& treated, std::size_t row) {
    if (treated.places.emplace(row, treated.rows.size()).second) treated.rows.push_back(row);
  };
  const auto post_all = [&](std::int16_t treatment) {
    if (treatment == 0) return;  // has all photos
    for (const auto* side : {&gallery_, &probes_})
      for (const auto row : *side) post(treated_.at(treatment), row);
  };
  for (std::size_t row = 0; row < dataset_.photos.size(); ++row) post(treated_[0], row);
  const auto post_albums = [&](const std::vector<Pick>& picks) {
    for (const auto& pick : picks)
      if (auto& treated = treated_.at(pick.treatment); !treated.places.count(pick.row))
        for (const auto row : albums.at(dataset_.photos[static_cast<std::size_t>(pick.row)].person)) post(treated, row);
  };
  for (const auto& scenario : scenarios_.list) {
    post_all(scenario.gallery);
    post_all(scenario.probes);
    post_albums(scenario.crowd);
    for (const auto& game : scenario.games) post_albums(game.replaced), post_albums(game.added);
  }
  // After the albums, whose units must not depend on it.
  for (const auto& scenario : scenarios_.list)
    for (const auto& pick : scenario.posed)
      for (const auto row : probes_by_person_.at(dataset_.photos[static_cast<std::size_t>(pick.row)].person))
        post(treated_.at(pick.treatment), row);
}

std::optional<std::size_t> World::place(std::int16_t treatment, std::int32_t row) const {
  const auto& places = treated_.at(treatment).places;
  const auto found = places.find(row);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

const Posted& World::posted(std::int16_t treatment) {
  const auto& [attack, transform, seed] = this->treatment(treatment);
  auto& treated = treated_.at(treatment);
  if (treated.posted) return *treated.posted;
  std::vector<Photo> photos;
  for (const auto row : treated.rows) photos.push_back(dataset_.photos[row]);
  Posted made{photos, {}, {}};
  if (attack) made = perturb(photos, dataset_.photos, *attack, seed, options_, store_);
  if (transform) {
    const auto before = made.budget;
    made.photos = transformed(made.photos, *transform, seed, store_);
    if (attack) audit(transformed(photos, *transform, seed, store_), *attack, options_, store_, made);
    for (std::size_t n = 0; n < before.size(); ++n) {
      made.budget[n].transform = transform->name();
      made.budget[n].energy_left = std::pow(made.budget[n].l2 / before[n].l2, 2);  // of nothing: NaN
    }
  }
  for (auto& row : made.budget) row.seed = seed;
  treated.posted = std::move(made);
  return *treated.posted;
}

void World::turn_to(const std::shared_ptr<const FeatureExtractor>& extractor) {
  if (extractor_ == extractor) return;
  extractor_ = extractor;
  sides_.clear();
  for (auto& treated : treated_) treated.embedded.reset();
}

const Embedded& World::embedded(std::int16_t treatment) {
  auto& held = treated_[static_cast<std::size_t>(treatment)].embedded;
  if (!held) held = facepoison::embedded(posted(treatment).photos, *extractor_, options_, store_);
  return *held;
}

Features World::features(const std::vector<Pick>& picks) {
  std::string names;
  std::set<std::string> needs;
  std::vector<std::pair<const Embedded*, std::int64_t>> rows;
  for (const auto& pick : picks) {
    const auto& held = embedded(pick.treatment);
    const auto place = treated_.at(pick.treatment).places.at(pick.row);
    names += held.name(place) + "\n";
    if (store_.planning()) needs.insert(held.artefact(place));
    rows.emplace_back(&held, static_cast<std::int64_t>(place));
  }
  return {sha256(names), {needs.begin(), needs.end()}, [rows = std::move(rows)] {
            std::vector<torch::Tensor> parts;
            for (std::size_t i = 0; i < rows.size();) {  // runs of one treatment at once
              std::vector<std::int64_t> run;
              const auto* held = rows[i].first;
              for (; i < rows.size() && rows[i].first == held; ++i) run.push_back(rows[i].second);
              parts.push_back(held->matrix().index_select(0, torch::tensor(run)));
            }
            return torch::cat(parts);
          }};
}

const Sides& World::sides(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  turn_to(extractor);
  const auto [found, is_new] =
      sides_.try_emplace({scenario.gallery, scenario.probes, scenario.shares_sides() ? nullptr : &scenario});
  if (!is_new) return found->second;
  const auto picks_of = [](const std::vector<std::size_t>& rows, std::int16_t treatment) {
    std::vector<Pick> picks;
    for (const auto row : rows) picks.push_back({static_cast<std::int32_t>(row), treatment});
    return picks;
  };
  auto gallery = picks_of(gallery_, scenario.gallery);
  for (const auto& pick : scenario.crowd) gallery[static_cast<std::size_t>(in_gallery_.at(pick.row))] = pick;
  const auto labels = [&](const std::vector<std::size_t>& rows) {
    std::vector<std::int64_t> names;
    for (const auto row : rows) names.push_back(labels_[row]);
    return names;
  };
  auto probes = picks_of(probes_, scenario.probes);
  probes.insert(probes.end(), scenario.posed.begin(), scenario.posed.end());
  auto probe_labels = labels(probes_);
  for (const auto& pick : scenario.posed) probe_labels.push_back(labels_[static_cast<std::size_t>(pick.row)]);
  found->second = {features(gallery), features(probes), labels(gallery_), std::move(probe_labels), probes_.size()};
  return found->second;
}

std::vector<Swapped> World::swaps(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  turn_to(extractor);
  std::vector<Swapped> out;
  for (const auto& game : scenario.games) {
    auto& swapped = out.emplace_back();
    swapped.person = game.person;
    swapped.label = std::lower_bound(people_.begin(), people_.end(), game.person) - people_.begin();
    for (const auto& pick : game.replaced) swapped.rows.push_back(in_gallery_.at(pick.row));
    swapped.added = game.added.size();
    for (const auto row : game.removed) swapped.removed.push_back(in_gallery_.at(row));
    auto picks = game.replaced;
    picks.insert(picks.end(), game.added.begin(), game.added.end());
    swapped.features = features(picks);
  }
  return out;
}

}  // namespace facepoison
