#include "facepoison/world.hpp"

#include <algorithm>

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
  for (std::size_t row = 0; row < dataset_.photos.size(); ++row) post(treated_[0], row);
  for (const auto& scenario : scenarios_.list)
    for (const auto& game : scenario.games)
      for (const auto& pick : game.gallery)
        if (auto& treated = treated_[static_cast<std::size_t>(pick.treatment)]; !treated.places.count(pick.row))
          for (const auto row : albums.at(game.person)) post(treated, row);
}

const Posted& World::posted(std::int16_t treatment) {
  const auto& [attack, seed] = scenarios_.treatments[static_cast<std::size_t>(treatment)];
  auto& treated = treated_[static_cast<std::size_t>(treatment)];
  if (treated.posted) return *treated.posted;
  std::vector<Photo> photos;
  for (const auto row : treated.rows) photos.push_back(dataset_.photos[row]);
  treated.posted = attack ? perturb(photos, dataset_.photos, *attack, seed, options_, store_) : Posted{photos, {}, {}};
  return *treated.posted;
}

void World::turn_to(const std::shared_ptr<const FeatureExtractor>& extractor) {
  if (extractor_ == extractor) return;
  extractor_ = extractor;
  sides_.reset();
  for (auto& treated : treated_) treated.embedded.reset();
}

const Embedded& World::embedded(std::int16_t treatment) {
  auto& held = treated_[static_cast<std::size_t>(treatment)].embedded;
  if (!held) held = facepoison::embedded(posted(treatment).photos, *extractor_, options_, store_);
  return *held;
}

Features World::features(const std::shared_ptr<const FeatureExtractor>& extractor, const std::vector<Pick>& picks) {
  turn_to(extractor);
  std::string names;
  std::set<std::string> needs;
  std::vector<std::pair<const Embedded*, std::int64_t>> rows;
  for (const auto& pick : picks) {
    const auto& attack = treatment(pick.treatment).attack;
    const std::int16_t seen = attack && attack->changes_photos() ? pick.treatment : 0;
    const auto& held = embedded(seen);
    const auto place = treated_[static_cast<std::size_t>(seen)].places.at(pick.row);
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

const Sides& World::sides(const std::shared_ptr<const FeatureExtractor>& extractor) {
  turn_to(extractor);
  if (sides_) return *sides_;
  const auto clean = [&](const std::vector<std::size_t>& rows) {
    std::vector<Pick> picks;
    for (const auto row : rows) picks.push_back({static_cast<std::int32_t>(row), 0});
    return features(extractor, picks);
  };
  const auto labels = [&](const std::vector<std::size_t>& rows) {
    std::vector<std::int64_t> found;
    for (const auto row : rows) found.push_back(labels_[row]);
    return found;
  };
  sides_ = Sides{clean(gallery_), clean(probes_), labels(gallery_), labels(probes_)};
  return *sides_;
}

std::vector<Swapped> World::swaps(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  std::vector<Swapped> out;
  for (const auto& game : scenario.games) {
    auto& swapped = out.emplace_back();
    swapped.person = game.person;
    swapped.label = labels_[static_cast<std::size_t>(game.gallery.front().row)];
    for (const auto& pick : game.gallery) swapped.rows.push_back(in_gallery_.at(pick.row));
    swapped.features = features(extractor, game.gallery);
  }
  return out;
}

}  // namespace facepoison
