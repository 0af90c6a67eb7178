// A recogniser and its head, trained together on the trainer's own gallery.
#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "training/fit.hpp"

namespace facepoison {
namespace {

// The logarithms of the classes' probabilities, N×P on the CPU, in evaluation mode.
torch::Tensor class_scores(Trainee& trainee, const Dense& head, const Decoded& photos, torch::Device device) {
  const torch::NoGradGuard no_grad;
  trainee.learn(false);
  std::vector<torch::Tensor> scores;
  constexpr std::int64_t at_once = 64;
  for (std::int64_t i = 0; i < photos.size(); i += at_once) {
    stop_if_interrupted();
    std::vector<std::int64_t> rows;
    for (auto row = i; row < std::min(i + at_once, photos.size()); ++row) rows.push_back(row);
    auto faces = photos.rows(rows);
    faces.pixels = faces.pixels.to(torch::kFloat32).div(255);
    scores.push_back(head.scores(trainee.embed(faces.to(device))).log_softmax(1).to(torch::kCPU));
  }
  return torch::cat(scores);
}

}  // namespace

ClassScores train_classifier(const TrainingConfig& c, const LabelledPhotos& gallery, std::span<const Photo> probes,
                             const std::string& hash, const fs::path& checkpoint,
                             const std::shared_ptr<DecodedFile>& pictures, ArtifactStore& store) {
  const std::set<std::int64_t> people(gallery.labels.begin(), gallery.labels.end());
  ClassScores out{{people.begin(), people.end()}, {}};
  const auto class_of = [&](std::int64_t label) {
    return std::lower_bound(out.labels.begin(), out.labels.end(), label) - out.labels.begin();
  };
  LabelledPhotos numbered{gallery.photos, {}, {}};
  for (const auto label : gallery.labels) numbered.labels.push_back(class_of(label));
  for (const auto label : gallery.without_twins)
    if (people.count(label)) numbered.without_twins.insert(class_of(label));
  if (!c.recipe.replacement && c.recipe.people_per_batch > people.size())
    throw Error(Exit::usage,
                concat(c.name, ": a batch has ", c.recipe.people_per_batch, " people, but the gallery only ",
                       people.size(), "; set \"replacement\": true to draw a person more than once"));
  Trainee trainee(c);
  const auto loss = c.recipe.loss.make(static_cast<std::int64_t>(people.size()), c.start.dimension, c.seed);
  const auto* head = dynamic_cast<const Dense*>(loss.get());
  loss->to(c.options.device);
  const auto known = load_labelled(c, c.data.twins, numbered, people.size(), pictures, store);
  fit({c, trainee, draw_views(c, known, trainee, *loss), loss->parameters(), hash, checkpoint, {}, "nothing"});
  out.scores = class_scores(trainee, *head, Decoded(probes, pictures), c.options.device);
  return out;
}

}  // namespace facepoison
