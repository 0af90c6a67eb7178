// The data for the recognisers of an experiment: its photos under every treatment, their embeddings by any extractor,
// and the galleries of its scenarios.
#pragma once
#include "facepoison/answers.hpp"
#include "facepoison/embeddings.hpp"
#include "facepoison/treated_photos.hpp"

namespace facepoison {

// The photos that a protected person's trial puts into the gallery, and their clean versions, photo by photo.
struct PostedAlbum {
  std::string person;
  Label label = 0;
  std::vector<std::int64_t> rows;  // of the clean versions in everybody's gallery, ascending
  Features clean, posted;          // N×D, in this order
};

// Plans stages; the store is read only when results are asked for. For one thread.
class Study {
 public:
  // The data set and the store must outlive it.
  Study(const Dataset& dataset, SplitRows split, Scenarios scenarios, const RunOptions& options,
        const ArtifactStore& store);

  const std::vector<Scenario>& scenarios() const { return scenarios_.list; }
  const SplitRows& split() const { return split_; }
  const TreatedPhotos& photos() const { return photos_; }

  // Who is on a scenario's probes.
  Probes probes(const Scenario& scenario) const;

  // A treatment's photos, embedded. Those of an extractor are dropped when another one's are asked for.
  const std::shared_ptr<EmbeddingStage>& embeddings(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                    TreatmentId treatment);
  // The gallery, the probes and the trials' changes of a scenario, with the pictures that are there without a filter.
  Question question(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  // The same with the filter. Its scores must be in the store.
  Question filtered_question(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  // Stages that make the embeddings of all pictures that a scenario shows, for question().
  std::vector<std::shared_ptr<Stage>> stages_of(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                const Scenario& scenario);
  // Stages that make the filter's scores of them; none if there is no filter.
  std::vector<std::shared_ptr<EmbeddingStage>> filter_stages(const Scenario& scenario);

  // The scenario's galleries and probes with the filter. Its scores must be in the store.
  Assembly assemble_filtered(const Scenario& scenario);

  // The album of each trial that posts something, without a filter. stages_of() makes the embeddings.
  std::vector<PostedAlbum> albums(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);

  // Embeddings of everybody's gallery photos in a scenario, without changes by co-protected people or a filter: G×D,
  // readable once stages_of() ran.
  Features plain_gallery(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);

  // Throws Error(input) that names a photo with an embedding of zeros by the extractor.
  [[noreturn]] void refuse_zeros(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);

 private:
  std::set<TreatmentId> treatments_of(const Scenario& scenario) const;
  void turn_to(const std::shared_ptr<const FeatureExtractor>& extractor);
  Features features(const std::shared_ptr<const FeatureExtractor>& extractor, const std::vector<Pick>& picks);
  std::shared_ptr<const GalleryAndProbes> sides_of(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                   const Scenario& scenario, const Assembly& assembly, bool filtered);
  Question question_of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario,
                       const Assembly& assembly, bool filtered);
  std::vector<Label> labels_of(const std::vector<Pick>& picks) const;
  bool is_dropped(const Scenario& scenario, const Pick& pick);

  SplitRows split_;
  Scenarios scenarios_;
  RunOptions options_;
  const ArtifactStore& store_;
  TreatedPhotos photos_;
  std::shared_ptr<EmbeddingCache> cache_;

  std::shared_ptr<const FeatureExtractor> extractor_;  // of the next two members
  std::map<TreatmentId, std::shared_ptr<EmbeddingStage>> embedded_;
  // By the treatments of gallery and probes, the distractors and the filter's name, for scenarios that show nothing
  // else there.
  std::map<std::tuple<TreatmentId, TreatmentId, std::size_t, std::string>, std::shared_ptr<const GalleryAndProbes>>
      sides_;
  // By the filter's name and the treatment.
  std::map<std::pair<std::string, TreatmentId>, std::shared_ptr<EmbeddingStage>> scores_;
  std::map<std::pair<std::string, TreatmentId>, std::vector<bool>> flagged_;
};

}  // namespace facepoison
