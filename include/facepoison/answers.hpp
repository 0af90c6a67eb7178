// Answers of recognisers: the person named for each probe, in every protected person's trial.
#pragma once
#include "facepoison/classifier.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/rows.hpp"

namespace facepoison {

// Embeddings, known by name before they are read. An answer that is in the store needs only the name.
struct Features {
  std::string name;                     // depends on all that decides the numbers
  std::vector<ArtefactId> artefacts;    // with the embeddings, each once
  std::function<torch::Tensor()> read;  // N×D float32 on the CPU
};

// Who is on the probes.
struct Probes {
  std::vector<Label> probe_labels;
  // Probes from here on are overrides, which replace a person's probes in that person's own trial.
  std::size_t overrides_from = 0;
  std::vector<std::int64_t> probes_of(Label label) const;  // rows in that person's own trial, ascending
  // Whether the probe shows another person in that trial.
  bool is_of_others(std::size_t probe, Label label) const {
    return probe < overrides_from && probe_labels[probe] != label;
  }
};

// Everybody's gallery and the probes, by rows.
struct GalleryAndProbes : Probes {
  Features gallery, probes;
  std::vector<Label> gallery_labels;
};

// What a trial changes in everybody's gallery.
struct TrialSwap {
  std::string person;
  Label label = 0;
  std::vector<std::int64_t> rows;     // gallery rows with other embeddings, ascending
  std::size_t added = 0;              // number of rows added to the gallery
  std::vector<std::int64_t> removed;  // gallery rows that are left out, ascending
  Features features;                  // of `rows`, then of the added rows; not read if there are none
};

// The person that a probe is identified as.
struct ProbeResult {
  std::size_t probe = 0;  // its row
  Label label = 0;        // −1: nobody, since a filter emptied the gallery
  double distance = 0;    // see Prediction; NaN for nobody
  bool operator==(const ProbeResult&) const = default;
};

struct Answer {
  std::vector<Label> labels;        // for the person's own probes, in their order: see ProbeResult
  std::vector<double> distances;    // likewise
  std::vector<std::int64_t> ranks;  // the person's rank among all, 1 the first guess; 0: not in the gallery
  // Counts of other people's probes: all, misidentified, and misidentified as this person.
  std::int64_t others = 0, others_errors = 0, others_as_person = 0;
  std::vector<ProbeResult> changed;  // other people's probes that differ from `Answers::everybody`
};

struct Answers {
  std::vector<Answer> trials;          // for each trial of the scenario
  std::vector<ProbeResult> everybody;  // every probe, without any trial's change
};

// For every probe.
std::vector<ProbeResult> results_of(const Prediction& prediction);

// The prediction's answer for a person's trial. Without ranks the person is not in the gallery. `everybody`: see
// Answers.
Answer answer_of(const Prediction& prediction, const Probes& probes, Label person,
                 const std::vector<ProbeResult>& everybody);

// A stage that answers every trial of a scenario.
class AnswerStage : public Stage {
 public:
  using Stage::Stage;
  virtual Answers read(const ArtifactStore& store) const = 0;
};

// A question to a classifier.
struct Question {
  std::shared_ptr<const GalleryAndProbes> sides;
  std::vector<TrialSwap> trials;
};

struct ClassifyOptions {
  std::string label;                           // shown as progress
  std::vector<std::shared_ptr<Stage>> inputs;  // stages that make the features and a filter's scores
  // With a filter the gallery depends on its scores: what decides them, for keys; the artefacts that hold them; and a
  // function that gives the question once they are in the store.
  Json filter;
  std::vector<std::shared_ptr<const Group>> scores;
  std::function<Question()> filtered;
  // Called when an embedding has no direction: throws an Error that names the photo.
  std::function<void()> refuse_zeros;
};

// The classifier must outlive it.
std::shared_ptr<AnswerStage> classify_stage(Question question, const Classifier& classifier, ClassifyOptions options);

// Plans, runs and reads it, for features that need no stage.
Answers answer(const GalleryAndProbes& sides, std::span<const TrialSwap> trials, const Classifier& classifier,
               const std::string& label, ArtifactStore& store);

}  // namespace facepoison
