// The expensive arrows, cached in the store: photos → perturbed photos → what they differ by, photos → embeddings →
// answers.
#pragma once
#include <cmath>
#include <mutex>

#include "facepoison/attack.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/store.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// Photos' embeddings in the store, a row for each. They are read when somebody wants the numbers; whoever wants to know
// which numbers, asks for a row's name.
class Embedded {
 public:
  Embedded(std::vector<std::pair<fs::path, std::size_t>> units, std::int64_t dimension);
  const torch::Tensor& matrix() const;           // N×D float32 on the CPU; several threads may ask at once
  torch::Tensor matrix_or(double number) const;  // that number everywhere, where some are only planned
  // Of the row's artefact, which decides its numbers, and the row's place in it.
  std::string name(std::size_t row) const { return concat(artefact(row), " ", rows_[row].second); }
  std::string artefact(std::size_t row) const { return units_[rows_[row].first].first.filename(); }

 private:
  std::vector<std::pair<fs::path, std::size_t>> units_;    // an artefact and how many rows it has
  std::vector<std::pair<std::size_t, std::size_t>> rows_;  // unit, place
  std::int64_t dimension_;
  mutable std::once_flag once_;
  mutable torch::Tensor matrix_;
};
std::shared_ptr<const Embedded> embedded(std::span<const Photo> photos, const FeatureExtractor& extractor,
                                         const RunOptions& options, ArtifactStore& store);

// Rows in the photos' order: N×D float32 on the CPU. Throws Error(model) that names the photo of a non-finite
// embedding.
torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options,
                    ArtifactStore& store);

// Of a cloak detector's logits N×1: scores, 0 … 1.
std::vector<double> scores_of(const torch::Tensor& logits);

// A plain folder of crops of any sizes, resized plainly; by the files' contents in the store. A crop that cannot be
// decoded is a row (id, person, reason) of `rejected` and is missing from `kept`, whose order the rows have.
torch::Tensor embed_crops(const PhotoFolder& folder, Exif exif, const FeatureExtractor& extractor,
                          const RunOptions& options, ArtifactStore& store, std::vector<PhotoFile>& kept,
                          Table& rejected);

// What a perturbed photo's file holds, compared with the clean canvas's, both after the transform where there is one.
// NaN: not known.
struct Audit {
  std::string id, attack, status;  // status: see Perturbed
  std::string transform = "none";
  Seed seed = 0;
  std::int64_t iterations = 0;        // steps taken
  double linf = 0;                    // grey levels, 0 … 255
  double l2 = 0;                      // Euclidean length of the difference, pixels in [0,1]
  double psnr = 0;                    // dB; infinite for equal pictures
  double dssim = 0;                   // over the whole canvas, 0 … 1
  double dssim_seen = std::nan("");   // over what the attack's surrogates see of it, where it has some
  double own_measure = std::nan("");  // the attack's own measure, where it has one
  double lpips = std::nan("");        // where models/lpips.pt is there
  double energy_left = std::nan("");  // share of the squared difference that the transform left
};
// Cells of what is not known are empty; the column lpips is there where one number is.
Table budget_table(const std::vector<Audit>& budget);

struct Posted {
  std::vector<Photo> photos;     // as given, with the perturbed pictures' path and sha256
  std::vector<Audit> budget;     // a row for each
  std::vector<fs::path> traces;  // files; see read_traces()
};

// Perturbs, after what the attack's photos go through first; rounds to 8 bits, writes PNG, reads back and audits.
// `everybody`: the data set's photos, among whom an attack may aim at somebody. A photo's picture depends on nobody
// else's being perturbed. Of a photo that was perturbed before, the audit is against the picture from before that:
// throws as before_attacks().
Posted perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
               const RunOptions& options, ArtifactStore& store);

// What becomes of photos: the same with the pictures' new paths, digests and landmarks.
std::vector<Photo> transformed(std::span<const Photo> photos, const Transform& transform, Seed seed,
                               ArtifactStore& store);

// Measures posted photos against the clean ones, in the same order.
void audit(std::span<const Photo> clean, const Attack& attack, const RunOptions& options, ArtifactStore& store,
           Posted& posted);

// id, iteration, loss, dssim, similarity (the own measure): of the pictures after so many steps.
Table read_traces(const Posted& posted);

// Embeddings by name: an answer that is in the store needs no more of them.
struct Features {
  std::string name;                     // of what decided them; alike for alike numbers
  std::vector<std::string> needs;       // the artefacts that hold them, each once
  std::function<torch::Tensor()> read;  // N×D float32 on the CPU
};

// Who is on the probes; people are numbers.
struct Probes {
  std::vector<std::int64_t> probe_labels;
  // The probes from here on are some people's as their own games have them; those before are everybody's.
  std::size_t posed_from = 0;
  std::vector<std::int64_t> probes_of(std::int64_t label) const;  // a game's own: rows, rising
  // Is the probe one of the other people's there?
  bool is_of_others(std::size_t probe, std::int64_t label) const {
    return probe < posed_from && probe_labels[probe] != label;
  }
};

// Everybody's gallery and the probes, by rows.
struct Sides : Probes {
  Features gallery, probes;
  std::vector<std::int64_t> gallery_labels;
};

// One person's gallery photos swapped.
struct Swapped {
  std::string person;
  std::int64_t label = 0;
  std::vector<std::int64_t> rows;     // of the gallery, rising
  std::size_t added = 0;              // how many rows the gallery has besides
  std::vector<std::int64_t> removed;  // of the gallery, rising: rows that are not there
  Features features;                  // what stands there, then what is added; not read where that is nothing
};

// What a probe is taken for.
struct Naming {
  std::size_t probe = 0;   // its row
  std::int64_t label = 0;  // −1: nobody, since a filter left nobody in the gallery
  double distance = 0;     // see Prediction; NaN: to nobody
  bool operator==(const Naming&) const = default;
};

struct Answer {
  std::vector<std::int64_t> labels;  // what the person's own probes are taken for, in their order; see Naming
  std::vector<double> distances;     // likewise
  std::vector<std::int64_t> ranks;   // the person's place among all, 1 the first guess; 0: not in the gallery
  // Other people's probes, how many of them were taken for another, and how many of these for this person.
  std::int64_t others = 0, others_errors = 0, others_as_person = 0;
  std::vector<Naming> changed;  // other people's probes whose naming is not `Answers::everybody`'s
};

struct Answers {
  std::vector<Answer> games;      // for each swap
  std::vector<Naming> everybody;  // every probe, where nobody's photos are swapped
};

// Every probe's.
std::vector<Naming> namings(const Prediction& prediction);

// What the prediction says of a person's game; without ranks the person is not in the gallery. `everybody`: see
// Answers.
Answer answer_of(const Prediction& prediction, const Probes& probes, std::int64_t person,
                 const std::vector<Naming>& everybody);

// `label` is what the progress says.
Answers answer(const Sides& sides, std::span<const Swapped> swaps, const Classifier& classifier,
               const std::string& label, ArtifactStore& store);

}  // namespace facepoison
