// Who is on a probe? A recogniser answers the trials of a scenario: an extractor with a classifier, two of these, or a
// network trained end to end.
#pragma once
#include <optional>
#include <set>

#include "facepoison/study.hpp"

namespace facepoison {

class Recogniser {
 public:
  virtual ~Recogniser() = default;
  // The stage that answers each of the scenario's trials. `label` is what the progress says. Study and scenario must
  // outlive the stage.
  virtual std::shared_ptr<AnswerStage> stage(Study& study, const Scenario& scenario,
                                             const std::string& label) const = 0;
  // What decides its answers besides the extractor and the data, defaults and versions included.
  virtual Json settings() const = 0;
};

// A choice without a classifier is {"classifier": "end-to-end", …}: the keys of read_recipe(), and "public_twins",
// a list of attacks under which everybody else's photos stand beside the clean ones, as FaceCure's --robust has them.
// Then the extractor is the start of a training for each trial, which is cached, and resumes where it was killed; what
// its answers call everybody's is the first trial's. Throws Error(usage), and what make_attack() throws.
std::unique_ptr<Recogniser> make_recogniser(std::shared_ptr<const FeatureExtractor> extractor,
                                            const ClassifierChoice& choice, const RunOptions& options);

// Two recognisers asked together: the paper's way to keep an accurate one's accuracy and a robust one's robustness.
struct Pairing {  // the config's "combine"
  enum class Rule {
    top_2,     // two guesses, the accurate one's and the robust one's: wrong if neither is right
    threshold  // the robust one's guess where the accurate one's distance is above a threshold, else the accurate one's
  };
  std::string name;
  Rule rule = Rule::top_2;
  std::string accurate, robust;  // extractors of the same config
  bool always = true;            // top-2: both are asked of every probe; else the robust one only above the threshold
  std::optional<double> above;   // the threshold itself; none: by `share`
  double share = 0.05;           // of clean probes whose distance is above it
  bool thresholds() const { return rule == Rule::threshold || !always; }
  bool has_curve() const { return thresholds() && !above; }  // a threshold for each share
};

// What both said of a scenario's trials, as one recogniser's answers.
// A threshold by share is set on the clean gallery's answers to probes of half of the people (a draw of the seed), but
// for the trial's own; other people's errors are then those of the other half.
class Combined {
 public:
  // `people`: names of the labels. All must outlive it.
  Combined(const Pairing& rule, const Answers& accurate, const Answers& robust, Probes probes,
           const std::vector<std::string>& people, Seed seed);
  // NaN where the rule needs no threshold, and where no probe is there to set it by: then the accurate one answers.
  double threshold(Label person, double share) const;
  Answer answer(std::size_t trial, Label person, double threshold) const;

 private:
  const Pairing& rule_;
  const Answers &accurate_, &robust_;
  Probes probes_;
  std::set<Label> setters_;  // people whose probes set the threshold
};

}  // namespace facepoison
