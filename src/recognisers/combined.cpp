// Combines the answers of two recognisers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "facepoison/random.hpp"
#include "facepoison/recogniser.hpp"

namespace facepoison {
namespace {

// The results of every probe in a trial: those of the clean gallery, with the trial's changes.
std::vector<ProbeResult> all_results(const Answers& answers, std::size_t trial) {
  auto all = answers.everybody;
  for (const auto& result : answers.trials[trial].changed) all[result.probe] = result;
  return all;
}

struct Guess {
  std::int64_t label = 0, rank = 0;  // rank: see Answer; −1: not known
  double distance = 0;
};

// Combines the guesses of the accurate and the robust recogniser on a probe of `person`.
Guess guess_of(const Pairing& rule, const Guess& accurate, const Guess& robust, std::int64_t person, double threshold) {
  const bool ask = !rule.thresholds() || accurate.distance > threshold;
  if (!ask) return accurate;
  if (rule.rule == Pairing::Rule::threshold) return robust;
  if (accurate.label == person || accurate.rank == 0) return accurate;
  return robust.label == person ? Guess{robust.label, 2, robust.distance}
                                : Guess{accurate.label, -1, accurate.distance};
}

}  // namespace

Combined::Combined(const Pairing& rule, const Answers& accurate, const Answers& robust, Probes probes,
                   const std::vector<std::string>& people, Seed seed)
    : rule_(rule), accurate_(accurate), robust_(robust), probes_(std::move(probes)) {
  if (!rule.has_curve()) return;
  std::set<std::int64_t> judged(probes_.probe_labels.begin(), probes_.probe_labels.end());
  std::vector<std::string> names;
  for (const auto label : judged) names.push_back(people[static_cast<std::size_t>(label)]);
  Stream(seed, "threshold").shuffle(names);
  names.resize(names.size() / 2);
  for (const auto& name : names) setters_.insert(std::lower_bound(people.begin(), people.end(), name) - people.begin());
}

double Combined::threshold(Label person, double share) const {
  if (!rule_.thresholds()) return std::nan("");
  if (rule_.above) return *rule_.above;
  std::vector<double> distances;
  for (const auto& result : accurate_.everybody)
    if (!std::isnan(result.distance) && probes_.is_of_others(result.probe, person) &&
        setters_.count(probes_.probe_labels[result.probe]))
      distances.push_back(result.distance);
  if (distances.empty()) return std::nan("");  // a filter left nobody in the gallery
  std::sort(distances.begin(), distances.end());
  const auto above = static_cast<std::size_t>(std::floor(share * static_cast<double>(distances.size()) + 1e-9));
  return above == distances.size() ? -std::numeric_limits<double>::infinity() : distances[distances.size() - 1 - above];
}

Answer Combined::answer(std::size_t trial, Label person, double threshold) const {
  const auto &a = accurate_.trials[trial], &r = robust_.trials[trial];
  Answer out;
  for (std::size_t i = 0; i < a.labels.size(); ++i) {
    const auto guess = guess_of(rule_, {a.labels[i], a.ranks[i], a.distances[i]},
                                {r.labels[i], r.ranks[i], r.distances[i]}, person, threshold);
    out.labels.push_back(guess.label);
    out.ranks.push_back(guess.rank);
    out.distances.push_back(guess.distance);
  }
  const auto by_accurate = all_results(accurate_, trial), by_robust = all_results(robust_, trial);
  for (std::size_t p = 0; p < by_accurate.size(); ++p) {
    const auto label = probes_.probe_labels[p];
    if (!probes_.is_of_others(p, person) || setters_.count(label)) continue;
    const auto guess = guess_of(rule_, {by_accurate[p].label, -1, by_accurate[p].distance},
                                {by_robust[p].label, -1, by_robust[p].distance}, label, threshold);
    ++out.others;
    out.others_errors += guess.label != label;
    out.others_as_person += guess.label == person;
  }
  return out;
}

}  // namespace facepoison
