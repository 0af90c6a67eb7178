// A recogniser says who is on a probe, for the trials of a scenario: an extractor with a classifier, two of these, or a
// network trained end to end.
#pragma once
#include <optional>
#include <set>

#include "facepoison/study.hpp"

namespace facepoison {

class Recogniser {
 public:
  virtual ~Recogniser() = default;
  // The stage that answers each of the scenario's trials. `label` is shown as progress. Study and scenario must outlive
  // the stage.
  virtual std::shared_ptr<AnswerStage> stage(Study& study, const Scenario& scenario,
                                             const std::string& label) const = 0;
  // What decides its answers, except the extractor and the data; with defaults and versions.
  virtual Json settings() const = 0;
};

// A choice without a classifier is {"classifier": "end-to-end", …}: the keys of read_recipe(), and "public_twins", a
// list of attacks: everybody else's photos under these are added to the clean ones, as FaceCure's --robust does. Then
// the extractor is the start of a training for each trial, which is cached and continues after a kill;
// Answers::everybody is that of the first trial. Throws Error(usage), and what make_attack() throws.
std::unique_ptr<Recogniser> make_recogniser(std::shared_ptr<const FeatureExtractor> extractor,
                                            const ClassifierChoice& choice, const RunOptions& options);

// Two recognisers asked together: the paper's way to join the accuracy of one with the robustness of the other.
struct Pairing {  // the config's "combine"
  enum class Rule {
    top_2,     // two guesses, the accurate one's and the robust one's: wrong if neither is right
    threshold  // the robust one's guess if the accurate one's distance is above a threshold, else the accurate one's
  };
  std::string name;
  Rule rule = Rule::top_2;
  std::string accurate, robust;  // extractors of the same config
  bool always = true;            // top-2: both are asked for every probe; else the robust one only above the threshold
  std::optional<double> above;   // the threshold itself; none: by `share`
  double share = 0.05;           // of clean probes with a distance above it
  bool thresholds() const { return rule == Rule::threshold || !always; }
  bool has_curve() const { return thresholds() && !above; }  // a threshold for each share
};

// Joins both recognisers' answers to a scenario's trials.
// A threshold by share is set on the clean gallery's answers to probes of half of the people (drawn by the seed),
// without the trial's own; other people's errors are then those of the other half.
class Combined {
 public:
  // `people`: names of the labels. All must outlive it.
  Combined(const Pairing& rule, const Answers& accurate, const Answers& robust, Probes probes,
           const std::vector<std::string>& people, Seed seed);
  // NaN if the rule needs no threshold, or there is no probe to set it by: then the accurate one answers.
  double threshold(Label person, double share) const;
  Answer answer(std::size_t trial, Label person, double threshold) const;

 private:
  const Pairing& rule_;
  const Answers &accurate_, &robust_;
  Probes probes_;
  std::set<Label> setters_;  // people who set the threshold
};

}  // namespace facepoison
