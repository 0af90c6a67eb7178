// What recognisers answer: whom each probe is taken for, in every protected person's trial.
#pragma once
#include "facepoison/classifier.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/rows.hpp"

namespace facepoison {

// Embeddings that are named before they are read: an answer that is in the store needs no more of them.
struct Features {
  std::string name;                     // depends on what decides the numbers
  std::vector<ArtefactId> artefacts;    // that hold them, each once
  std::function<torch::Tensor()> read;  // N×D float32 on the CPU
};

// Who is on the probes.
struct Probes {
  std::vector<Label> probe_labels;
  // The probes from here on are overrides: some people's, as their own trials have them; those before are everybody's.
  std::size_t overrides_from = 0;
  std::vector<std::int64_t> probes_of(Label label) const;  // in that person's own trial: rows, rising
  // Is the probe one of the other people's there?
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
  std::vector<std::int64_t> rows;     // of the gallery, rising: have other embeddings
  std::size_t added = 0;              // how many rows the gallery has besides
  std::vector<std::int64_t> removed;  // of the gallery, rising: rows that are not there
  Features features;                  // of `rows`, then of what is added; not read where that is nothing
};

// Whom a probe is taken for.
struct ProbeResult {
  std::size_t probe = 0;  // its row
  Label label = 0;        // −1: nobody, since a filter left nobody in the gallery
  double distance = 0;    // see Prediction; NaN: to nobody
  bool operator==(const ProbeResult&) const = default;
};

struct Answer {
  std::vector<Label> labels;        // whom the person's own probes are taken for, in their order; see ProbeResult
  std::vector<double> distances;    // likewise
  std::vector<std::int64_t> ranks;  // the person's rank among all, 1 the first guess; 0: not in the gallery
  // Other people's probes, how many of them were taken for another, and how many of these for this person.
  std::int64_t others = 0, others_errors = 0, others_as_person = 0;
  std::vector<ProbeResult> changed;  // other people's probes whose result is not `Answers::everybody`'s
};

struct Answers {
  std::vector<Answer> trials;          // for each trial of the scenario
  std::vector<ProbeResult> everybody;  // every probe, where nobody's photos are swapped
};

// Every probe's.
std::vector<ProbeResult> results_of(const Prediction& prediction);

// What the prediction says of a person's trial; without ranks the person is not in the gallery. `everybody`: see
// Answers.
Answer answer_of(const Prediction& prediction, const Probes& probes, Label person,
                 const std::vector<ProbeResult>& everybody);

// A stage that answers every trial of a scenario.
class AnswerStage : public Stage {
 public:
  using Stage::Stage;
  virtual Answers read(const ArtifactStore& store) const = 0;
};

// What a classifier is asked.
struct Question {
  std::shared_ptr<const GalleryAndProbes> sides;
  std::vector<TrialSwap> trials;
};

struct ClassifyOptions {
  std::string label;                           // what the progress says
  std::vector<std::shared_ptr<Stage>> inputs;  // that make the features, and the scores of a filter
  // Where a filter decides what is in the gallery, which its scores alone tell: what decides them, for keys, the
  // artefacts that hold them, and the question as it is once they are there.
  Json filter;
  std::vector<std::shared_ptr<const Group>> scores;
  std::function<Question()> filtered;
  // Called when an embedding has no direction: throws an Error that names the photo.
  std::function<void()> refuse_zeros;
};

// The classifier must outlive it.
std::shared_ptr<AnswerStage> classify_stage(Question question, const Classifier& classifier, ClassifyOptions options);

// Plans, runs and reads it, where the features need no stage.
Answers answer(const GalleryAndProbes& sides, std::span<const TrialSwap> trials, const Classifier& classifier,
               const std::string& label, ArtifactStore& store);

}  // namespace facepoison
