// Measures, on held-out people, a network that still learns.
#include <algorithm>

#include "facepoison/classifier.hpp"
#include "facepoison/stats.hpp"
#include "training/fit.hpp"

namespace facepoison {
namespace {

// Embeds the first `count` rows, in evaluation mode: photos, and their versions if these are among the rows.
torch::Tensor embed_first(Trainee& trainee, const TrainingPhotos& known, std::int64_t count, torch::Device device) {
  const torch::NoGradGuard no_grad;
  trainee.learn(false);
  std::vector<torch::Tensor> features;
  constexpr std::int64_t at_once = 64;
  for (std::int64_t i = 0; i < count; i += at_once) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = i; k < std::min(i + at_once, count); ++k) rows.push_back(k);
    Faces faces = known.decoded->rows(rows);
    faces.pixels = faces.pixels.to(torch::kFloat32).div(255);
    features.push_back(trainee.embed(faces.to(device)));
  }
  trainee.learn(true);
  return torch::cat(features);
}

}  // namespace

torch::Tensor embed_photos(Trainee& trainee, const TrainingPhotos& known, torch::Device device) {
  return embed_first(trainee, known, known.photos(), device);
}

double held_out_accuracy(Trainee& trainee, const TrainingPhotos& known, torch::Device device) {
  const auto all = embed_photos(trainee, known, device).to(torch::kCPU);
  std::vector<std::int64_t> gallery, probes, gallery_labels, probe_labels;
  for (std::size_t i = 0; i < known.labels.size(); ++i) {
    (known.train[i] ? gallery : probes).push_back(static_cast<std::int64_t>(i));
    (known.train[i] ? gallery_labels : probe_labels).push_back(known.labels[i]);
  }
  const auto found = make_classifier("nearest-cosine")
                         ->predict(all.index_select(0, torch::tensor(gallery)), gallery_labels,
                                   all.index_select(0, torch::tensor(probes)));
  double right = 0;
  for (std::size_t i = 0; i < probe_labels.size(); ++i) right += found.labels[i] == probe_labels[i];
  return right / static_cast<double>(probe_labels.size());
}

Scores held_out_scores(Trainee& trainee, const Dense& head, const TrainingPhotos& known, torch::Device device) {
  const torch::NoGradGuard no_grad;
  const auto embeddings = embed_first(trainee, known, known.versions * known.photos(), device);
  const auto scores = head.scores(embeddings).squeeze(1).to(torch::kFloat64).sigmoid().to(torch::kCPU).contiguous();
  const auto* first = scores.data_ptr<double>();
  const auto* twins = first + known.row(known.clean_versions, 0);
  return {{first, twins}, {twins, first + scores.numel()}};
}

double loss_of(const Scores& scores) {
  const auto mean_loss = [](const std::vector<double>& of, bool perturbed) {
    double sum = 0;
    for (const auto score : of) sum -= std::log(std::max(perturbed ? score : 1 - score, 1e-12));
    return sum / static_cast<double>(of.size());
  };
  return (mean_loss(scores.clean, false) + mean_loss(scores.perturbed, true)) / 2;
}

double best_threshold(const Scores& scores) {
  auto all = scores.clean;
  all.insert(all.end(), scores.perturbed.begin(), scores.perturbed.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  double most = -1;
  std::vector<double> best;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const double threshold = (all[i - 1] + all[i]) / 2;
    const double told_apart = share_below(scores.clean, threshold) - share_below(scores.perturbed, threshold);
    if (told_apart > most) best.clear(), most = told_apart;
    if (told_apart == most) best.push_back(threshold);
  }
  return best.empty() ? 0.5 : best[best.size() / 2];
}

}  // namespace facepoison
