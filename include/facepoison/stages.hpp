// The expensive arrows, cached in the store: photos → perturbed photos → what they differ by, photos → embeddings →
// answers.
#pragma once
#include <cmath>

#include "facepoison/attack.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// Rows in the photos' order: N×D float32 on the CPU. Throws Error(model) that names the photo of a non-finite
// embedding.
torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options,
                    ArtifactStore& store);

// A plain folder of crops of any sizes: plain resize, nothing cached. A crop that cannot be decoded is a row (id,
// person, reason) of `rejected` and is missing from `kept`, whose order the rows have.
torch::Tensor embed_crops(const PhotoFolder& folder, Exif exif, const FeatureExtractor& extractor,
                          const RunOptions& options, std::vector<PhotoFile>& kept, Table& rejected);

// What a perturbed photo's file holds, compared with the clean canvas's. NaN: not known.
struct Audit {
  std::string id, attack, status;    // status: see Perturbed
  std::int64_t iterations = 0;       // steps taken
  double linf = 0;                   // grey levels, 0 … 255
  double l2 = 0;                     // Euclidean length of the difference, pixels in [0,1]
  double psnr = 0;                   // dB; infinite for equal pictures
  double dssim = 0;                  // over the whole canvas, 0 … 1
  double dssim_seen = std::nan("");  // over what the attack's surrogates see of it, where it has some
  double similarity = std::nan("");  // the attack's own measure, where it has one
  double lpips = std::nan("");       // where models/lpips.pt is there
};
// Cells of what is not known are empty; the column lpips is there where one number is.
Table budget_table(const std::vector<Audit>& budget);

struct Album {
  std::vector<Photo> photos;     // as given, with the perturbed pictures' path and sha256
  std::vector<Audit> budget;     // a row for each
  std::vector<fs::path> traces;  // files; see read_traces()
};

// Perturbs, rounds to 8 bits, writes PNG, reads back and audits. `everybody`: the data set's photos, among whom an
// attack may aim at somebody. A photo's picture depends on nobody else's being perturbed.
Album perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
              const RunOptions& options, ArtifactStore& store);

// Measures an album against its clean photos, in the same order.
void audit(std::span<const Photo> clean, const Attack& attack, const RunOptions& options, ArtifactStore& store,
           Album& album);

// id, iteration, loss, dssim, similarity: of the pictures after so many steps.
Table read_traces(const Album& album);

// A clean gallery and the probes, by rows; people are numbers.
struct Clean {
  torch::Tensor gallery, probes;  // G×D, N×D float32 on the CPU
  std::vector<std::int64_t> gallery_labels, probe_labels;
};

// One person's gallery photos swapped.
struct Game {
  std::string person;
  std::int64_t label = 0;
  Swap swap;
};

struct Answer {
  std::vector<std::int64_t> labels;            // what the person's own probes are taken for, in their order
  std::vector<double> distances;               // see Prediction
  std::int64_t others = 0, others_errors = 0;  // other people's probes, and how many of them were taken for another
};

// For each game; `label` is what the progress says. `classifier`: see make_classifier().
std::vector<Answer> answer(const Clean& clean, std::span<const Game> games, const Json& classifier,
                           const std::string& label, ArtifactStore& store);

}  // namespace facepoison
