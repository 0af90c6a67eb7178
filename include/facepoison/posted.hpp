// What happens to photos before a trainer gets them: stages that perturb and transform pictures, and measure changes.
#pragma once
#include <cmath>

#include "facepoison/attack.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/pictures.hpp"
#include "facepoison/table.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// A perturbed photo's file compared with the clean canvas, both after the transform if there is one. NaN: not known.
struct Audit {
  std::string id, attack, status;  // status: see Perturbed
  std::string transform = "none";
  Seed seed = 0;
  std::int64_t iterations = 0;        // steps taken
  double linf = 0;                    // grey levels, 0 … 255
  double l2 = 0;                      // Euclidean length of the difference, pixels in [0,1]
  double psnr = 0;                    // dB; infinite for equal pictures
  double dssim = 0;                   // over the whole canvas, 0 … 1
  double dssim_seen = std::nan("");   // over the part that the attack's surrogates see, if it has some
  double own_measure = std::nan("");  // the attack's own measure, if it has one
  double lpips = std::nan("");        // if models/lpips.pt exists
  double energy_left = std::nan("");  // share of the squared difference that the transform left
};
// Unknown numbers are empty cells; the column lpips is there if one number is.
Table budget_table(const std::vector<Audit>& budget);

// The same photos, through the transform: a stage makes their pictures. Random numbers come from the stream of the seed
// and the photo.
StagedPhotos transformed(StagedPhotos photos, std::shared_ptr<const Transform> transform, Seed seed);

// Measures written pictures against clean ones.
class AuditStage : public Stage {
 public:
  using Stage::Stage;
  // Sets the measures of each row of a budget, in the photos' order.
  virtual void read(const ArtifactStore& store, std::vector<Audit>& budget) const = 0;
};
// Clean and written pictures are in the same order. The attack must outlive the stage.
std::shared_ptr<AuditStage> audit(StagedPhotos clean, StagedPhotos written, const Attack& attack,
                                  const RunOptions& options);

// Photos that an attack perturbs: planned, and read once the stages ran.
class PerturbedPhotos {
 public:
  // The attack's photos first go through AttackSettings::before. Pictures are rounded to 8 bits, written as PNG, read
  // back and audited. `everybody`: the data set's photos, from which an attack may choose a target. A photo's picture
  // does not depend on which other people's photos are perturbed. A photo that was perturbed before is audited against
  // its picture before that: throws as before_attacks(). The attack must outlive it. An attack that learns masks learns
  // each person's from `learn_from`, or from all of the person's `photos`.
  PerturbedPhotos(StagedPhotos photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
                  const RunOptions& options, const MaskPhotos& learn_from = {});

  const StagedPhotos& pictures() const { return pictures_; }
  // Run each for budget(); the pictures alone need pictures().made_by().
  std::vector<std::shared_ptr<Stage>> stages() const;

  std::vector<Audit> budget(const ArtifactStore& store) const;     // a row for each photo
  std::vector<fs::path> traces(const ArtifactStore& store) const;  // files; see read_traces()

 private:
  const Attack& attack_;
  StagedPhotos pictures_, clean_;   // the audit compares the two
  std::shared_ptr<Stage> perturb_;  // the last of the chain's; none: the attack leaves photos as they are
  std::shared_ptr<AuditStage> audit_;
};

// id, iteration, loss, dssim, similarity (the own measure): of the pictures after that many steps.
Table read_traces(const std::vector<fs::path>& traces);

// Photos that went through an attack.
struct Posted {
  std::vector<Photo> photos;     // as given, with the perturbed pictures' path and sha256
  std::vector<Audit> budget;     // a row for each
  std::vector<fs::path> traces;  // files; see read_traces()
};

// Plans, runs and reads PerturbedPhotos.
Posted perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
               const RunOptions& options, ArtifactStore& store);

}  // namespace facepoison
