#include "experiments/impersonation.hpp"

#include <cmath>

#include "facepoison/stats.hpp"
#include "facepoison/verification.hpp"
#include "experiments/measures.hpp"
#include "experiments/people_pairs.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

std::set<std::string> names_never_protected(const Experiment& e) {
  std::set<std::string> names;
  for (const auto row : e.train) names.insert(e.dataset.photos[row].person);
  for (const auto& drawn : e.protected_people)
    for (const auto& person : drawn) names.erase(person);
  return names;
}

// The share of these pairs that pass at each threshold.
std::vector<double> passing(const torch::Tensor& distances, const std::vector<double>& thresholds) {
  const auto pairs = numbers(distances);
  std::vector<double> shares;
  for (const double threshold : thresholds)
    shares.push_back(std::isnan(threshold) ? threshold : share_below(pairs, threshold));
  return shares;
}

}  // namespace

void check_impersonation(const Experiment& e, const Spec& spec) {
  const auto strangers = names_never_protected(e).size();
  if (e.wants("impersonation") && strangers < 2)
    spec.fail("tables", concat("\"impersonation\" sets its thresholds on pairs of people who are not protected: "
                               "expected at least 2 with training photos, found ",
                               strangers));
}

std::set<Label> never_protected(const Experiment& e, const SplitRows& split) {
  std::set<Label> labels;
  for (const auto& person : names_never_protected(e)) labels.insert(split.label_of(person));
  return labels;
}

PeopleToPass::PeopleToPass(const torch::Tensor& gallery, const std::vector<Label>& labels,
                           const std::set<Label>& strangers) {
  const auto unit = directions(gallery);
  for (const auto label : std::set<Label>(labels.begin(), labels.end()))
    people_[label] = unit.index_select(0, rows_where(labels, label, true));
  std::vector<torch::Tensor> strange;
  for (const auto label : strangers) strange.push_back(people_.at(label));
  thresholds_ = PeoplePairs(std::move(strange)).thresholds(impersonation_rates);
}

ImpersonationOf PeopleToPass::judge(const PostedAlbum& album) const {
  const auto posted = directions(album.posted.read()), clean = directions(album.clean.read());
  const auto own = 1 - posted.mm(clean.t());
  const auto others = own.masked_select(torch::eye(own.size(0)) == 0);
  ImpersonationOf person{album.person, -1, others.numel(), 0, {}, std::vector(thresholds_.size(), std::nan(""))};
  for (const double share : passing(others, thresholds_)) person.dodging.push_back(1 - share);
  const auto centre = posted.mean(0);
  double most = -std::numeric_limits<double>::infinity();
  for (const auto& [label, photos] : people_) {
    if (label == album.label) continue;
    const double similarity = photos.mean(0).dot(centre).item<double>();  // the mean cosine of all pairs
    if (similarity > most) most = similarity, person.target = label;
  }
  if (person.target < 0) return person;
  const auto& target = people_.at(person.target);
  person.target_pairs = posted.size(0) * target.size(0);
  person.impersonation = passing(1 - posted.mm(target.t()), thresholds_);
  return person;
}

}  // namespace facepoison
