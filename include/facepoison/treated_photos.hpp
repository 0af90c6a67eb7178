// A data set's photos under every treatment of some scenarios.
#pragma once
#include <map>

#include "facepoison/posted.hpp"
#include "facepoison/scenario.hpp"

namespace facepoison {

// Its constructor plans; an Executor runs the stages. The photos must outlive it.
class TreatedPhotos {
 public:
  TreatedPhotos(const std::vector<Photo>& photos, const SplitRows& split, const Scenarios& scenarios,
                const RunOptions& options);

  std::size_t size() const { return treated_.size(); }  // how many treatments
  const Treatment& treatment(TreatmentId id) const { return treated_.at(id).treatment; }

  // A treatment's photos: all gallery photos of the people who are picked under it, so that a unit of work does not
  // depend on how many photos are; all gallery photos and all probes if everybody's are. For 0: all.
  const StagedPhotos& photos(TreatmentId id) const { return treated_.at(id).photos; }
  std::optional<std::size_t> place(TreatmentId id, PhotoRow photo) const;  // index among them, if it is one
  const Photo& photo_of(const Pick& pick) const;
  // The same photos without the attack, but through the same transforms.
  StagedPhotos clean(TreatmentId id) const;

  // The stages that budget() reads.
  std::vector<std::shared_ptr<Stage>> stages(TreatmentId id) const;
  // A row for each photo; none if the treatment has no attack.
  std::vector<Audit> budget(TreatmentId id, const ArtifactStore& store) const;

 private:
  struct Treated {
    Treatment treatment;
    std::vector<PhotoRow> rows;
    std::map<PhotoRow, std::size_t> places;
    StagedPhotos photos;
    std::shared_ptr<const PerturbedPhotos> perturbed;  // before the transform; or none
    std::shared_ptr<AuditStage> audit;                 // after the transform, if both are there
  };
  void add_rows(const SplitRows& split, const Scenarios& scenarios);
  std::vector<Photo> photos_of(const std::vector<PhotoRow>& rows) const;
  MaskPhotos photos_to_learn_from(const Treated& treated) const;  // none if the attack learns no masks
  const std::vector<Photo>& dataset_;
  std::vector<Treated> treated_;  // by TreatmentId
};

}  // namespace facepoison
