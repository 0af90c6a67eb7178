// The batches of recognisers and cloak detectors: augmented views, and their loss.
#include "training/fit.hpp"

namespace facepoison {
namespace {

struct Lesson {
  const TrainingConfig& config;
  const TrainingPhotos& known;
  Trainee& trainee;
  Loss& loss;
  torch::Tensor kept;  // photos × dimension: the start's embeddings, to which `keep` pulls; or undefined
};

struct Views {
  std::vector<torch::Tensor> draws;  // of the augmentation
  torch::Tensor labels, photos;      // of each view: the label and the photo
};

// The mean of 1 − cosine between each photo and its twin in the next row.
torch::Tensor apart(const torch::Tensor& embeddings, bool anchored) {
  const auto pairs = embeddings.view({-1, 2, embeddings.size(1)});
  const auto photos = pairs.select(1, 0), twins = pairs.select(1, 1);
  return (1 - at::cosine_similarity(anchored ? photos.detach() : photos, twins, 1)).mean();
}

// The mean of 1 − cosine between embeddings and the start network's embeddings of the clean photos.
torch::Tensor away(const torch::Tensor& embeddings, const torch::Tensor& kept, const torch::Tensor& photos) {
  return (1 - at::cosine_similarity(embeddings, kept.index_select(0, photos.to(kept.device())), 1)).mean();
}

torch::Tensor loss_of_rows(const Lesson& lesson, const torch::Tensor& embeddings, const torch::Tensor& labels,
                           const torch::Tensor& photos) {
  const auto& recipe = lesson.config.recipe;
  auto value = lesson.loss(embeddings, labels.to(lesson.config.options.device));
  if (recipe.pair > 0) value = value + recipe.pair * apart(embeddings, recipe.anchored);
  if (recipe.keep > 0) value = value + recipe.keep * away(embeddings, lesson.kept, photos);
  return value;
}

// Each draw's loss of each photo alone, in evaluation mode, so that looking does not change batch norm's statistics.
torch::Tensor losses_of_draws(const Lesson& lesson, const Views& views) {
  const torch::NoGradGuard no_grad;
  lesson.trainee.learn(false);
  std::vector<torch::Tensor> all;
  for (const auto& draw : views.draws) {
    const auto embeddings = lesson.trainee.embed_view(draw.to(lesson.config.options.device));
    std::vector<torch::Tensor> losses;
    for (std::int64_t row = 0; row < embeddings.size(0); ++row)
      losses.push_back(loss_of_rows(lesson, embeddings.narrow(0, row, 1), views.labels.narrow(0, row, 1),
                                    views.photos.narrow(0, row, 1)));
    all.push_back(torch::stack(losses));
  }
  lesson.trainee.learn(true);
  return torch::stack(all);
}

Views draw_of(const Lesson& lesson, std::int64_t step) {
  const auto& c = lesson.config;
  const auto draw = draw_rows(c, lesson.known, step);
  const auto faces = lesson.known.decoded->rows(draw.rows);
  Views views{{}, torch::tensor(draw.labels), torch::tensor(draw.rows).remainder(lesson.known.photos())};
  for (std::int64_t k = 0; k < c.recipe.augmentation.worst_of; ++k)
    views.draws.push_back(augmented_views(lesson.trainee, faces, c.recipe.augmentation, c.seed, step, k));
  return views;
}

torch::Tensor loss_of_batch(const Lesson& lesson, const Views& views) {
  const auto& draws = views.draws;
  const auto learnt = draws.size() == 1 ? draws.front() : hardest(draws, losses_of_draws(lesson, views));
  const auto embeddings = lesson.trainee.embed_view(learnt.to(lesson.config.options.device));
  return loss_of_rows(lesson, embeddings, views.labels, views.photos);
}

}  // namespace

torch::Tensor hardest(const std::vector<torch::Tensor>& draws, const torch::Tensor& losses) {
  const auto worst = losses.argmax(0).to(torch::kCPU);
  std::vector<torch::Tensor> chosen;
  for (std::int64_t row = 0; row < worst.size(0); ++row)
    chosen.push_back(draws[static_cast<std::size_t>(worst[row].item<std::int64_t>())][row]);
  return torch::stack(chosen);
}

std::function<Batch(std::int64_t)> draw_views(const TrainingConfig& config, const TrainingPhotos& known,
                                              Trainee& trainee, Loss& loss) {
  const auto kept = config.recipe.keep > 0 ? embed_photos(trainee, known, config.options.device) : torch::Tensor();
  return [lesson = Lesson{config, known, trainee, loss, kept}](std::int64_t step) -> Batch {
    return [lesson, views = draw_of(lesson, step)] { return loss_of_batch(lesson, views); };
  };
}

}  // namespace facepoison
