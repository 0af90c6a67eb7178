// Impersonation and dodging in 1:1 checks: does a posted photo pass for another person, or fail to pass for its own?
#pragma once
#include <map>
#include <set>

#include "facepoison/experiment.hpp"

namespace facepoison {

// Refuses the table "impersonation" unless two people with gallery photos are never protected: they set its thresholds.
void check_impersonation(const Experiment& experiment, const Spec& spec);

// The labels of the people of the data set with gallery photos who are never protected.
std::set<Label> never_protected(const Experiment& experiment, const SplitRows& split);

// A person's row of impersonations.csv. NaN: not known.
struct ImpersonationOf {
  std::string person;
  Label target = -1;  // −1: there is nobody else
  std::int64_t own_pairs = 0, target_pairs = 0;
  std::vector<double> dodging, impersonation;  // by impersonation_rates
};

// Everybody's clean gallery, in which posted photos pass for somebody.
class PeopleToPass {
 public:
  // `gallery` G×D and its labels. Pairs of the strangers' photos set the thresholds. Throws NoDirection.
  PeopleToPass(const torch::Tensor& gallery, const std::vector<Label>& labels, const std::set<Label>& strangers);

  // Cosine distances, by impersonation_rates: nearer pairs pass. NaN for fewer than two strangers.
  const std::vector<double>& thresholds() const { return thresholds_; }
  // A person's target is the other person whose photos are on average most similar to the posted ones. A posted photo
  // is not compared with its own clean version. Throws NoDirection.
  ImpersonationOf judge(const PostedAlbum& album) const;

 private:
  std::map<Label, torch::Tensor> people_;  // directions
  std::vector<double> thresholds_;
};

}  // namespace facepoison
