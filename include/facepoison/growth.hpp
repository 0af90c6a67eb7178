// A gallery that grows: a tracker has one clean photo of a person and everybody else's gallery photos. In each round it
// names the photos of a queue and moves those that are named as the person into the gallery, until a round moves none.
#pragma once
#include "facepoison/study.hpp"

namespace facepoison {

// How many photos a tracker has moved by the end of a round: of the person, and of others.
struct Moved {
  std::int64_t right = 0, wrong = 0;
  bool operator==(const Moved&) const = default;
};

// One tracker.
struct Tracker {
  Label person = 0;
  Swap gallery;                     // leaves one photo of the person in everybody's gallery
  std::vector<std::int64_t> queue;  // rows of the photos that it may move, ascending
};

// Runs the trackers at once. `trained` knows everybody's gallery, and `photos` N×D as its probes; `people`: who is on
// each. Returns what each tracker has after each of its rounds: at least the first one, and those that moved a photo.
// Throws as Trained::predict_swapped().
std::vector<std::vector<Moved>> grow(const Trained& trained, const torch::Tensor& photos,
                                     const std::vector<Label>& people, std::vector<Tracker> trackers);

// The rounds of a person's two trackers.
struct Growth {
  std::vector<Moved> oracle;    // moves only the person's own photos: it knows which of its answers are right
  std::vector<Moved> believed;  // moves every photo that it names as the person
};

// A stage with a unit for each of the scenario's posted albums. The tracker starts with the clean version of one of the
// posted photos, drawn by the seed; the queue has the other posted photos, and other people's probes.
class GrowthStage : public Stage {
 public:
  using Stage::Stage;
  virtual const std::vector<PostedAlbum>& albums() const = 0;
  virtual std::vector<Growth> read(const ArtifactStore& store) const = 0;  // of each album
};

// The scenario has no filter. All but the extractor must outlive the stage.
std::shared_ptr<GrowthStage> growth_stage(Study& study, const std::shared_ptr<const FeatureExtractor>& extractor,
                                          const Scenario& scenario, const Classifier& classifier,
                                          const std::string& label);

}  // namespace facepoison
