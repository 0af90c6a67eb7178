#include "experiments/measures.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/classifier.hpp"
#include "facepoison/stats.hpp"
#include "facepoison/verification.hpp"
#include "report/run_folder.hpp"

namespace facepoison {

std::vector<double> numbers(const torch::Tensor& values) {
  const auto flat = values.contiguous().view(-1);
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

torch::Tensor rows_where(const std::vector<std::int64_t>& labels, std::int64_t label, bool own) {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if ((labels[i] == label) == own) rows.push_back(static_cast<std::int64_t>(i));
  return torch::tensor(rows, torch::kInt64);
}

void BottomK::add(const std::vector<double>& numbers) {
  kept_.insert(kept_.end(), numbers.begin(), numbers.end());
  if (kept_.size() <= 2 * count_) return;
  std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count_), kept_.end());
  kept_.resize(count_);
}

double BottomK::at(std::size_t place) {
  std::sort(kept_.begin(), kept_.end());
  return place < kept_.size() ? kept_[place] : std::numeric_limits<double>::infinity();
}

Measures::Measures(const fs::path& folder, const Experiment& experiment, Study& study, Executor& executor)
    : experiment_(experiment), study_(study), executor_(executor) {
  if (experiment.wants("verification") || experiment.wants("det")) {
    std::vector<std::string> columns = {"protected", "genuine", "impostors", "auc"};
    for (const auto* rate : false_accept_rates) columns.push_back(concat("accepted_at_", rate));
    pairs_.emplace(folder / "pairs.csv", columns_of(study, columns));
  }
  if (experiment.wants("displacement"))
    displacement_.emplace(folder / "displacements.csv",
                          columns_of(study, {"protected", "id", "moved", "nearest_other"}));
  if (experiment.wants("linkage")) {
    std::vector<std::string> columns = {"protected", "queries", "pairs", "photos"};
    columns.insert(columns.end(), linkage_cells.begin(), linkage_cells.end());
    for (const auto* rate : linkage_rates) columns.push_back(concat("tar_at_", rate));
    columns.insert(columns.end(), {"bcubed_precision", "bcubed_recall", "bcubed_f"});
    links_.emplace(folder / "links.csv", columns_of(study, columns));
  }
  if (experiment.wants("impersonation")) {
    std::vector<std::string> columns = {"protected", "target", "own_pairs", "target_pairs"};
    for (const auto* measured : {"threshold_at_", "dodging_at_", "impersonation_at_"})
      for (const auto* rate : impersonation_rates) columns.push_back(concat(measured, rate));
    impersonations_.emplace(folder / "impersonations.csv", columns_of(study, columns));
  }
}

void Measures::of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  const bool any = pairs_ || displacement_ || links_ || impersonations_;
  if (!any || !done_.insert({extractor->card().name, &scenario}).second) return;
  const auto coordinates = coordinates_of(extractor->card().name, scenario, "");
  for (const auto& stage : study_.stages_of(extractor, scenario)) executor_.run(stage);
  for (const auto& stage : study_.filter_stages(scenario)) executor_.run(stage);
  const auto question = study_.filtered_question(extractor, scenario);
  try {
    if (pairs_)
      for (const auto& person : compare_pairs(*question.sides, question.trials)) {
        auto cells = joined(coordinates, {person.person, static_cast<std::int64_t>(person.genuine.size()),
                                          person.impostors, person.area});
        cells.insert(cells.end(), person.accepted.begin(), person.accepted.end());
        pairs_->add(std::move(cells));
      }
    if (!scenario.filter) measure_albums(coordinates, extractor, scenario, *question.sides);
  } catch (const NoDirection&) {
    study_.refuse_zeros(extractor, scenario);
  }
  if (displacement_ && !scenario.filter)  // a filter moves nothing
    measure_displacement(coordinates, extractor, scenario, question);
}

std::vector<PairsOf> compare_pairs(const GalleryAndProbes& sides, const std::vector<TrialSwap>& trials) {
  std::vector<double> rates;
  for (const auto* rate : false_accept_rates) rates.push_back(std::stod(rate));
  const auto gallery = directions(sides.gallery.read()), probes = directions(sides.probes.read());
  std::vector<PairsOf> people;
  std::int64_t total = 0;
  BottomK nearest(static_cast<std::size_t>(rates.back() * static_cast<double>(gallery.size(0) * probes.size(0))) + 1);
  for (const auto& swap : trials) {
    if (swap.rows.size() + swap.added == 0) continue;  // nothing was posted
    const auto own = probes.index_select(0, torch::tensor(sides.probes_of(swap.label)));
    auto& person = people.emplace_back(PairsOf{swap.person, numbers(1 - own.mm(directions(swap.features.read()).t()))});
    const auto others = rows_where(sides.gallery_labels, swap.label, false);
    const auto impostors = numbers(1 - own.mm(gallery.t()).index_select(1, others));
    person.impostors = static_cast<std::int64_t>(impostors.size());
    person.area = impostors.empty() ? std::nan("") : area_under_curve(person.genuine, impostors);
    total += person.impostors;
    nearest.add(impostors);
  }
  for (const double rate : rates) {
    const double threshold = nearest.at(let_through(rate, static_cast<double>(total)));
    for (auto& person : people)
      person.accepted.push_back(total == 0 ? std::nan("") : share_below(person.genuine, threshold));
  }
  return people;
}

CleanGallery::CleanGallery(const torch::Tensor& features, std::vector<std::int64_t> labels)
    : features_(features.to(torch::kFloat64)), squares_(features_.square().sum(1)), labels_(std::move(labels)) {}

// A matrix product finds the nearest row of somebody else; its distance is then computed exactly, by difference.
std::vector<CleanGallery::Moved> CleanGallery::displacements(const torch::Tensor& posted,
                                                             const std::vector<std::int64_t>& rows,
                                                             std::int64_t person) const {
  const auto wide = posted.to(torch::kFloat64);
  const auto distances = [&](const torch::Tensor& places) {
    return numbers((wide - features_.index_select(0, places)).norm(2, 1));
  };
  const auto by = distances(torch::tensor(rows, torch::kInt64));
  const auto own = rows_where(labels_, person, true);
  std::vector<double> nearest(by.size(), std::nan(""));
  if (own.size(0) < features_.size(0)) {
    auto rough = at::addmm(squares_.unsqueeze(0), wide, features_.t(), 1, -2);
    rough.index_fill_(1, own, std::numeric_limits<double>::infinity());
    nearest = distances(rough.argmin(1));
  }
  std::vector<Moved> moved;
  for (std::size_t i = 0; i < by.size(); ++i) moved.push_back({by[i], nearest[i]});
  return moved;
}

void Measures::measure_displacement(const Row& coordinates, const std::shared_ptr<const FeatureExtractor>& extractor,
                                    const Scenario& scenario, const Question& question) {
  const CleanGallery gallery(study_.plain_gallery(extractor, scenario).read(), question.sides->gallery_labels);
  const Assembly assembly = assemble(study_.split(), scenario);
  std::map<PhotoRow, std::int64_t> rows_of;  // in everybody's gallery
  for (std::size_t row = 0; row < assembly.gallery.size(); ++row)
    rows_of[assembly.gallery[row].photo] = static_cast<std::int64_t>(row);
  for (std::size_t t = 0; t < scenario.trials.size(); ++t) {
    auto picks = assembly.trials[t].pictures;
    picks.insert(picks.end(), assembly.trials[t].added.begin(), assembly.trials[t].added.end());
    if (picks.empty()) continue;
    std::vector<std::int64_t> rows;
    for (const auto& pick : picks) rows.push_back(rows_of.at(pick.photo));
    const auto& trial = question.trials[t];
    const auto moved = gallery.displacements(trial.features.read(), rows, trial.label);
    for (std::size_t i = 0; i < picks.size(); ++i) {
      if (picks[i].treatment == scenario.gallery) continue;  // posted unchanged
      displacement_->add(joined(coordinates, {trial.person, experiment_.dataset.photos[picks[i].photo].id, moved[i].by,
                                              moved[i].nearest_other}));
    }
  }
}

void Measures::measure_albums(const Row& coordinates, const std::shared_ptr<const FeatureExtractor>& extractor,
                              const Scenario& scenario, const GalleryAndProbes& sides) {
  if (!links_ && !impersonations_) return;
  const auto albums = study_.albums(extractor, scenario);
  if (links_)
    for (const auto& person : link_albums(sides.gallery.read(), sides.gallery_labels, albums, scenario.seed))
      add_links(coordinates, person);
  if (!impersonations_ || albums.empty()) return;
  const auto gallery = study_.plain_gallery(extractor, scenario);
  if (to_pass_name_ != gallery.name) {
    to_pass_.emplace(gallery.read(), sides.gallery_labels, never_protected(experiment_, study_.split()));
    to_pass_name_ = gallery.name;
  }
  for (const auto& album : albums) add_impersonation(coordinates, to_pass_->judge(album));
}

void Measures::add_links(const Row& coordinates, const LinksOf& person) {
  auto cells = joined(coordinates, {person.person, person.queries, person.pairs, person.photos});
  for (const auto* some : {&person.retrieved, &person.accepted}) cells.insert(cells.end(), some->begin(), some->end());
  cells.insert(cells.end(), {person.precision, person.recall, person.f});
  links_->add(std::move(cells));
}

void Measures::add_impersonation(const Row& coordinates, const ImpersonationOf& person) {
  const auto target = person.target < 0 ? "" : study_.split().people[static_cast<std::size_t>(person.target)];
  auto cells = joined(coordinates, {person.person, target, person.own_pairs, person.target_pairs});
  for (const double threshold : to_pass_->thresholds()) cells.emplace_back(1 - threshold);
  for (const auto* some : {&person.dodging, &person.impersonation})
    cells.insert(cells.end(), some->begin(), some->end());
  impersonations_->add(std::move(cells));
}

void Measures::finish() {
  for (auto* file : {&pairs_, &displacement_, &links_, &impersonations_})
    if (*file) (*file)->finish();
}

}  // namespace facepoison
