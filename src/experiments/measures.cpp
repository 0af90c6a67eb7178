#include "experiments/measures.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/stats.hpp"

namespace facepoison {
namespace {

torch::Tensor directions(const torch::Tensor& rows) {
  const auto wide = rows.to(torch::kFloat64);
  return wide / wide.norm(2, 1, true);
}

std::vector<double> numbers(const torch::Tensor& values) {
  const auto flat = values.contiguous().view(-1);
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

torch::Tensor rows_not_of(const std::vector<std::int64_t>& labels, std::int64_t label) {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != label) rows.push_back(static_cast<std::int64_t>(i));
  return torch::tensor(rows, torch::kInt64);
}

}  // namespace

void Least::add(const std::vector<double>& numbers) {
  kept_.insert(kept_.end(), numbers.begin(), numbers.end());
  if (kept_.size() <= 2 * count_) return;
  std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count_), kept_.end());
  kept_.resize(count_);
}

double Least::at(std::size_t place) {
  std::sort(kept_.begin(), kept_.end());
  return place < kept_.size() ? kept_[place] : std::numeric_limits<double>::infinity();
}

Measures::Measures(const fs::path& folder, const Experiment& experiment, World& world)
    : experiment_(experiment), world_(world) {
  if (experiment.wants("verification"))
    pairs_.emplace(folder / "pairs.csv", columns_of(world, {"protected", "genuine", "impostors", "auc",
                                                            "accepted_at_0.01", "accepted_at_0.001"}));
  if (experiment.wants("displacement"))
    displacement_.emplace(folder / "displacements.csv",
                          columns_of(world, {"protected", "id", "moved", "nearest_other"}));
}

void Measures::of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  if ((!pairs_ && !displacement_) || !done_.insert({extractor->card().name, &scenario}).second) return;
  const auto place = cell_of(extractor->card().name, scenario, "");
  const auto swaps = world_.swaps(extractor, scenario);
  const auto& sides = world_.sides(extractor, scenario);
  if (pairs_) compare_pairs(place, sides, swaps);
  if (displacement_ && !scenario.filter) measure_displacement(place, scenario, sides, swaps);  // moves nothing
}

void Measures::compare_pairs(const Row& place, const Sides& sides, const std::vector<Swapped>& swaps) {
  const std::vector<double> rates = {0.01, 0.001};
  const auto gallery = directions(sides.gallery.read()), probes = directions(sides.probes.read());
  struct Person {
    std::string name;
    std::vector<double> genuine;
    std::size_t impostors = 0;
    double area = 0;
  };
  std::vector<Person> people;
  std::size_t total = 0;
  Least nearest(static_cast<std::size_t>(rates.front() * static_cast<double>(gallery.size(0) * probes.size(0))) + 1);
  for (const auto& swap : swaps) {
    if (swap.rows.size() + swap.added == 0) continue;  // nothing was posted
    const auto own = probes.index_select(0, torch::tensor(sides.probes_of(swap.label)));
    const auto others = gallery.index_select(0, rows_not_of(sides.gallery_labels, swap.label));
    auto& person = people.emplace_back(Person{swap.person, numbers(1 - own.mm(directions(swap.features.read()).t()))});
    const auto impostors = numbers(1 - own.mm(others.t()));
    person.impostors = impostors.size();
    person.area = area_under_curve(person.genuine, impostors);
    total += impostors.size();
    nearest.add(impostors);
  }
  std::vector<double> thresholds;
  for (const auto rate : rates)
    thresholds.push_back(nearest.at(static_cast<std::size_t>(std::floor(rate * static_cast<double>(total) + 1e-9))));
  for (const auto& person : people)
    pairs_->add(joined(
        place,
        {person.name, static_cast<std::int64_t>(person.genuine.size()), static_cast<std::int64_t>(person.impostors),
         person.area, share_below(person.genuine, thresholds[0]), share_below(person.genuine, thresholds[1])}));
}

void Measures::measure_displacement(const Row& place, const Scenario& scenario, const Sides& sides,
                                    const std::vector<Swapped>& swaps) {
  const auto gallery = sides.gallery.read().to(torch::kFloat64);
  for (std::size_t g = 0; g < swaps.size(); ++g) {
    auto picks = scenario.games[g].replaced;
    picks.insert(picks.end(), scenario.games[g].added.begin(), scenario.games[g].added.end());
    if (picks.empty()) continue;
    const auto others = gallery.index_select(0, rows_not_of(sides.gallery_labels, swaps[g].label));
    const auto posted = swaps[g].features.read().to(torch::kFloat64);
    const auto nearest = numbers(std::get<0>(torch::cdist(posted, others).min(1)));
    for (std::size_t i = 0; i < picks.size(); ++i) {
      if (picks[i].treatment == scenario.gallery) continue;  // posted as it was
      const auto clean = gallery[world_.gallery_row(picks[i].row)];
      const auto moved = (posted[static_cast<std::int64_t>(i)] - clean).norm().item<double>();
      displacement_->add(
          joined(place, {scenario.games[g].person,
                         experiment_.dataset.photos[static_cast<std::size_t>(picks[i].row)].id, moved, nearest[i]}));
    }
  }
}

void Measures::finish() {
  for (auto* file : {&pairs_, &displacement_})
    if (*file) (*file)->finish();
}

}  // namespace facepoison
