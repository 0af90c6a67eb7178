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

std::vector<Photo> World::clean(std::int16_t treatment) {
  const auto& [attack, transform, seed] = this->treatment(treatment);
  std::vector<Photo> photos;
  for (const auto row : treated_.at(treatment).rows) photos.push_back(before_attacks(dataset_.photos[row]));
  if (attack && attack->settings().before) photos = transformed(photos, *attack->settings().before, seed, store_);
  return transform ? transformed(photos, *transform, seed, store_) : photos;
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
    if (attack) audit(clean(treatment), *attack, options_, store_, made);
    for (std::size_t n = 0; n < before.size(); ++n) {
      made.budget[n].transform = transform->name();
      made.budget[n].energy_left = std::pow(made.budget[n].l2 / before[n].l2, 2);  // of nothing: NaN
    }
  }
  for (auto& row : made.budget) row.seed = seed;
  treated.posted = std::move(made);
  return *treated.posted;
}

std::span<const Photo> World::photos(std::int16_t treatment) {
  return treatment == 0 ? std::span<const Photo>(dataset_.photos) : posted(treatment).photos;
}

void World::turn_to(const std::shared_ptr<const FeatureExtractor>& extractor) {
  if (extractor_ == extractor) return;
  extractor_ = extractor;
  sides_.clear();
  for (auto& treated : treated_) treated.embedded.reset();
}

const Embedded& World::embedded(std::int16_t treatment) {
  auto& held = treated_[static_cast<std::size_t>(treatment)].embedded;
  if (!held) held = facepoison::embedded(photos(treatment), *extractor_, options_, store_);
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
  return {
      sha256(names), {needs.begin(), needs.end()}, [rows = std::move(rows), dimension = extractor_->card().dimension] {
        std::vector<torch::Tensor> parts = {torch::empty({0, dimension})};
        for (std::size_t i = 0; i < rows.size();) {  // runs of one treatment at once
          std::vector<std::int64_t> run;
          const auto* held = rows[i].first;
          for (; i < rows.size() && rows[i].first == held; ++i) run.push_back(rows[i].second);
          parts.push_back(held->matrix().index_select(0, torch::tensor(run)));
        }
        return torch::cat(parts);
      }};
}

bool World::is_dropped(const Scenario& scenario, const Pick& pick) {
  if (!scenario.filter) return false;
  auto& flagged = flagged_[{scenario.filter.get(), pick.treatment}];
  if (flagged.empty()) {
    const auto found = facepoison::embedded(photos(pick.treatment), *scenario.filter, options_, store_);
    const auto logits = store_.planning() ? found->matrix_or(-INFINITY) : found->matrix();
    for (const auto score : scores_of(logits)) flagged.push_back(score >= scenario.filter->card().threshold);
  }
  return flagged[treated_.at(pick.treatment).places.at(pick.row)];
}

std::vector<Pick> World::gallery_of(const Scenario& scenario) {
  std::vector<Pick> picks;
  for (const auto row : gallery_) picks.push_back({static_cast<std::int32_t>(row), scenario.gallery});
  for (const auto& pick : scenario.crowd) picks[static_cast<std::size_t>(in_gallery_.at(pick.row))] = pick;
  std::erase_if(picks, [&](const Pick& pick) { return is_dropped(scenario, pick); });
  return picks;
}

std::map<std::int32_t, std::int64_t> World::places_of(const Scenario& scenario) {
  if (!scenario.filter) return in_gallery_;
  std::map<std::int32_t, std::int64_t> places;  // with gaps
  for (const auto& pick : gallery_of(scenario)) places.emplace(pick.row, static_cast<std::int64_t>(places.size()));
  return places;
}

std::vector<Pick> World::probe_picks(const Scenario& scenario) const {
  std::vector<Pick> picks;
  for (const auto row : probes_) picks.push_back({static_cast<std::int32_t>(row), scenario.probes});
  picks.insert(picks.end(), scenario.posed.begin(), scenario.posed.end());
  return picks;
}

std::vector<std::int64_t> World::labels_of(const std::vector<Pick>& picks) const {
  std::vector<std::int64_t> labels;
  for (const auto& pick : picks) labels.push_back(label_of(pick));
  return labels;
}

const Photo& World::photo_of(const Pick& pick) {
  return photos(pick.treatment)[treated_.at(pick.treatment).places.at(pick.row)];
}

std::int64_t World::label_of(const std::string& person) const {
  return std::lower_bound(people_.begin(), people_.end(), person) - people_.begin();
}

Probes World::probes(const Scenario& scenario) const { return {labels_of(probe_picks(scenario)), probes_.size()}; }

std::vector<Photo> World::probe_photos(const Scenario& scenario) {
  std::vector<Photo> some;
  for (const auto& pick : probe_picks(scenario)) some.push_back(photo_of(pick));
  return some;
}

std::vector<std::vector<Pick>> World::galleries(const Scenario& scenario) {
  const auto everybody = gallery_of(scenario);
  const auto places = places_of(scenario);
  std::vector<std::vector<Pick>> all;
  for (const auto& game : scenario.games) {
    const auto changed = changes(scenario, game, places);
    auto& picks = all.emplace_back(everybody);
    for (std::size_t i = 0; i < changed.rows.size(); ++i)
      picks[static_cast<std::size_t>(changed.rows[i])] = changed.there[i];
    for (auto place = changed.removed.rbegin(); place != changed.removed.rend(); ++place)
      picks.erase(picks.begin() + *place);
    picks.insert(picks.end(), changed.added.begin(), changed.added.end());
  }
  return all;
}

World::Changes World::changes(const Scenario& scenario, const Game& game,
                              const std::map<std::int32_t, std::int64_t>& places) {
  Changes out;
  const auto remove = [&](std::int32_t row) {
    if (const auto place = places.find(row); place != places.end()) out.removed.push_back(place->second);
  };
  const auto replace = [&](const Pick& pick) {
    const auto place = places.find(pick.row);
    if (place == places.end()) return out.added.push_back(pick);  // the clean one is dropped, this one is not
    out.rows.push_back(place->second);
    out.there.push_back(pick);
  };
  for (const auto& pick : game.replaced) is_dropped(scenario, pick) ? remove(pick.row) : replace(pick);
  for (const auto& pick : game.added)
    if (!is_dropped(scenario, pick)) out.added.push_back(pick);
  for (const auto row : game.removed) remove(row);
  if (!out.rows.empty() || !out.added.empty() || !out.removed.empty()) return out;
  // Nothing is changed any more, which is a game still: the person's photos that are there, in their own places.
  for (const auto& [row, place] : places)
    if (dataset_.photos[static_cast<std::size_t>(row)].person == game.person) replace({row, scenario.gallery});
  return out;
}

const Sides& World::sides(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  turn_to(extractor);
  const auto [found, is_new] = sides_.try_emplace(
      {scenario.gallery, scenario.probes, scenario.filter.get(), scenario.shares_sides() ? nullptr : &scenario});
  if (!is_new) return found->second;
  const auto gallery = gallery_of(scenario);
  found->second = {probes(scenario), features(gallery), features(probe_picks(scenario)), labels_of(gallery)};
  return found->second;
}

std::vector<Swapped> World::swaps(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  turn_to(extractor);
  const auto places = places_of(scenario);
  std::vector<Swapped> out;
  for (const auto& game : scenario.games) {
    auto changed = changes(scenario, game, places);
    auto& swapped = out.emplace_back();
    swapped.person = game.person;
    swapped.label = label_of(game.person);
    swapped.rows = std::move(changed.rows);
    swapped.added = changed.added.size();
    swapped.removed = std::move(changed.removed);
    auto picks = std::move(changed.there);
    picks.insert(picks.end(), changed.added.begin(), changed.added.end());
    swapped.features = features(picks);
  }
  return out;
}

torch::Tensor World::gallery_under(const std::shared_ptr<const FeatureExtractor>& extractor, std::int16_t treatment) {
  turn_to(extractor);
  std::vector<Pick> picks;
  for (const auto row : gallery_) picks.push_back({static_cast<std::int32_t>(row), treatment});
  return features(picks).read();
}

void World::refuse_zeros() {
  std::string found = "a photo";
  for (std::int16_t t = 0; t < treatments(); ++t) {
    if (!treated_[static_cast<std::size_t>(t)].embedded) continue;
    const auto zeros = (embedded(t).matrix() == 0).all(1).nonzero();
    if (zeros.size(0) == 0) continue;
    const auto& by = treatment(t).attack;
    found = concat("photo ", photos(t)[static_cast<std::size_t>(zeros[0].item<std::int64_t>())].id,
                   by ? " under " + by->settings().name : "");
    break;
  }
  throw Error(Exit::input, concat(extractor_->card().name, " gives ", found,
                                  " an embedding of zeros, which has no direction to compare"));
}

}  // namespace facepoison
