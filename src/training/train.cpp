// The loop: draw people, draw photos of them, change the photos, one step; check, log, checkpoint.
#include <ATen/Parallel.h>
#include <torch/nn/utils/clip_grad.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <numbers>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/version.hpp"
#include "facepoison/worker.hpp"
#include "training/optimiser.hpp"
#include "training/photos.hpp"
#include "training/trainee.hpp"

namespace facepoison {
namespace {

struct Batch {
  torch::Tensor views, labels;
};

Batch draw_batch(const TrainingConfig& c, const TrainingPhotos& known, const FeatureExtractor& extractor,
                 std::int64_t step) {
  const auto draw = draw_rows(c, known, step);
  return {augmented_views(extractor, known.decoded->rows(draw.rows), c.augmentation, c.seed, step),
          torch::tensor(draw.labels)};
}

// How far photos and their twins, who follow them, are apart: 1 − cosine, mean.
torch::Tensor apart(const torch::Tensor& embeddings, bool anchored) {
  const auto pairs = embeddings.view({-1, 2, embeddings.size(1)});
  const auto photos = pairs.select(1, 0), twins = pairs.select(1, 1);
  return (1 - at::cosine_similarity(anchored ? photos.detach() : photos, twins, 1)).mean();
}

// Share of the held-out people's test photos that their training photos name, by cosine.
double held_out_accuracy(Trainee& trainee, const TrainingPhotos& known, torch::Device device) {
  const torch::NoGradGuard no_grad;
  trainee.learn(false);
  std::vector<torch::Tensor> features;
  constexpr std::int64_t at_once = 64;
  for (std::int64_t i = 0; i < known.photos(); i += at_once) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = i; k < std::min(i + at_once, known.photos()); ++k) rows.push_back(k);
    Faces faces = known.decoded->rows(rows);
    faces.pixels = faces.pixels.to(torch::kFloat32).div(255);
    features.push_back(trainee.embed(faces.to(device)).to(torch::kCPU));
  }
  trainee.learn(true);
  std::vector<std::int64_t> gallery, probes, gallery_labels, probe_labels;
  for (std::size_t i = 0; i < known.labels.size(); ++i) {
    (known.train[i] ? gallery : probes).push_back(static_cast<std::int64_t>(i));
    (known.train[i] ? gallery_labels : probe_labels).push_back(known.labels[i]);
  }
  const auto all = torch::cat(features);
  const auto found = make_classifier("nearest-cosine")
                         ->predict(all.index_select(0, torch::tensor(gallery)), gallery_labels,
                                   all.index_select(0, torch::tensor(probes)));
  double right = 0;
  for (std::size_t i = 0; i < probe_labels.size(); ++i) right += found.labels[i] == probe_labels[i];
  return right / static_cast<double>(probe_labels.size());
}

// Rises in a line, falls as a half cosine, to nothing, or stays.
double rate_at(const TrainingConfig& c, std::int64_t step) {
  const double rate = c.optimiser.rate;
  if (step < c.warmup) return rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup);
  if (!c.decays) return rate;
  const double done =
      static_cast<double>(step - c.warmup) / static_cast<double>(std::max<std::int64_t>(c.steps - c.warmup, 1));
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

// Decay pulls on weights; biases, norms and slopes are left alone.
std::unique_ptr<torch::optim::Optimizer> optimiser_of(const TrainingConfig& c, const Trainee& trainee,
                                                      const std::vector<torch::Tensor>& beside) {
  std::vector<torch::Tensor> decayed, free;
  for (const auto& parameter : trainee.parameters()) (parameter.dim() > 1 ? decayed : free).push_back(parameter);
  free.insert(free.end(), beside.begin(), beside.end());
  return make_optimiser(c.optimiser, decayed, free);
}

struct Paths {
  fs::path weights, card, golden, record, seen, log, checkpoint;
  Paths(const fs::path& folder, const std::string& name)
      : weights(folder / (name + ".pt")),
        card(folder / (name + ".json")),
        golden(folder / "golden" / (name + ".npy")),
        record(folder / "training" / (name + ".json")),
        seen(folder / "training" / (name + ".seen.json")),
        log(folder / "training" / (name + ".csv")),
        checkpoint(folder / "training" / (name + ".checkpoint")) {}
};

std::string this_month() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m", std::gmtime(&now));
  return text;
}

// The start's card with what is new.
Json card_of(const TrainingConfig& c, const std::string& weights_sha256, const std::string& seen_sha256) {
  Json card = read_json(c.start.path);
  for (const auto* key : {"source", "golden", "notes"}) card.erase(key);
  Json against = card.value("trained_against", Json::array());
  for (const auto& twin : c.twins) {
    const Json one = {{"name", twin.attack->settings().name}, {"identity", sha256(twin.attack->identity().dump())}};
    if (std::find(against.begin(), against.end(), one) == against.end()) against.push_back(one);
  }
  if (!against.empty()) card["trained_against"] = against;
  card["trained_on"] = {{"file", "training/" + c.name + ".seen.json"}, {"sha256", seen_sha256}};
  card["released"] = this_month();
  card.update(c.card);
  card["file"] = "./" + c.name + ".pt";
  card["sha256"] = weights_sha256;
  card["golden"] = {{"file", "golden/" + c.name + ".npy"},
                    {"made_with", concat("facepoison ", version(), " on LibTorch ", libtorch_version(),
                                         ", CPU, float32, when training ended")}};
  return card;
}

// Whom the start saw, and now these.
std::vector<Training> seen_after(const TrainingConfig& c) {
  auto trainings = c.start_saw;
  trainings.push_back(training_on(c.dataset, c.people, c.name));
  return trainings;
}

// A card or weights of that name that no training left here are somebody's: the config itself, or a recogniser.
void refuse_to_replace(const TrainingConfig& c, const Paths& paths) {
  std::error_code ignored;
  if (fs::equivalent(paths.card, c.start.path, ignored))
    throw Error(Exit::usage, concat(paths.card.string(), " is the card that it starts from; choose another folder"));
  if (fs::exists(paths.record) || fs::exists(paths.checkpoint)) return;
  for (const auto& path : {paths.card, paths.weights})
    if (fs::exists(path))
      throw Error(Exit::usage, concat(path.string(),
                                      " is there already and no training made it; choose another folder, "
                                      "or another name than ",
                                      c.name, " (\"name\", else the config's file)"));
}

bool is_finished(const Paths& paths, const std::string& config_hash) {
  for (const auto& path : {paths.record, paths.card, paths.weights, paths.seen})
    if (!fs::exists(path)) return false;
  return read_json(paths.record).value("config_sha256", "") == config_hash &&
         read_json(paths.card).value("sha256", "") == sha256_of_file(paths.weights);
}

void publish(const TrainingConfig& c, const Paths& paths, const std::string& config_hash, Trainee& trainee,
             const Progression& at, double accuracy) {
  const std::string bytes = trainee.archive();
  const std::string seen = print(seen_after(c));
  write_file(paths.weights, bytes);
  write_file(paths.seen, seen);
  const Json card = card_of(c, sha256(bytes), sha256(seen));
  write_file(paths.card, card.dump(2) + "\n");
  {  // as whoever loads it will run it
    const c10::InferenceMode inference;
    RunOptions plain;
    Faces faces;
    faces.pixels = golden_picture(c.start.side);
    Card read = c.start;
    read.path = paths.card, read.name = c.name, read.file = "./" + c.name + ".pt", read.sha256 = sha256(bytes);
    write_npy(paths.golden, make_extractor(read, plain)->embed(faces));
  }
  const Json record = {{"config", c.resolved},
                       {"config_sha256", config_hash},
                       {"people", c.people.size()},
                       {"held_out_people", c.held_out_people.size()},
                       {"held_out_accuracy", std::isnan(accuracy) ? Json() : Json(accuracy)},
                       {"seconds", std::round(at.seconds)},
                       {"threads", at::get_num_threads()},
                       {"weights_sha256", sha256(bytes)},
                       {"facepoison", version()},
                       {"commit", commit()}};
  write_file(paths.record, record.dump(2) + "\n");
  std::error_code ignored;
  fs::remove(paths.checkpoint, ignored);
}

}  // namespace

void train(const TrainingConfig& c, const fs::path& output, ArtifactStore& store) {
  using Clock = std::chrono::steady_clock;
  const Paths paths(output, c.name);
  const std::string config_hash = sha256(c.resolved.dump());
  if (is_finished(paths, config_hash)) return log_info(concat(c.name, " is trained already, in ", output.string()));

  refuse_to_replace(c, paths);
  Trainee trainee(c);
  Json loss_parameters = c.loss;
  Spec loss_spec(loss_parameters, "loss");
  const auto loss = make_loss(loss_spec, static_cast<std::int64_t>(c.people.size()), c.start.dimension, c.seed);
  loss->to(c.options.device);
  auto beside = loss->parameters();
  const auto optimiser = optimiser_of(c, trainee, beside);
  Progression at;
  at.log = "step,loss,rate,held_out_accuracy\n";
  if (fs::exists(paths.checkpoint)) {
    at = read_checkpoint(paths.checkpoint, trainee, beside, *optimiser, config_hash);
    log_info(concat(c.name, ": going on after step ", at.step, " of ", c.steps));
  }
  const TrainingPhotos known = load_photos(c, c.people, true, store);
  for (std::size_t i = 0; i < c.twins.size(); ++i)
    if (known.unchanged[i] > 0)
      log_warning(concat(c.twins[i].attack->settings().name, " left ", known.unchanged[i], " of ", known.photos(),
                         " photos as they were; they are among the twins"));
  const TrainingPhotos held_out =
      c.held_out_people.empty() ? TrainingPhotos{} : load_photos(c, c.held_out_people, false, store);

  auto trained_parameters = trainee.parameters();
  trained_parameters.insert(trained_parameters.end(), beside.begin(), beside.end());
  Worker worker;
  const auto batch_of = [&](std::int64_t step) {
    return worker.start([&, step] { return draw_batch(c, known, trainee, step); });
  };
  double accuracy = std::nan("");
  auto resumed = Clock::now();
  double before = at.seconds;
  const auto save = [&] {
    at.seconds = before + std::chrono::duration<double>(Clock::now() - resumed).count();
    write_file(paths.checkpoint, write_checkpoint(at, trainee, beside, *optimiser, config_hash));
  };
  trainee.learn(true);
  Progress progress(concat("train, ", c.name), static_cast<std::size_t>(c.steps), "steps");
  progress.advance(static_cast<std::size_t>(at.step), true);
  auto next = batch_of(at.step);
  while (at.step < c.steps) {
    const Batch batch = next.get();
    try {
      stop_if_interrupted();
    } catch (const Error&) {
      save();
      throw;
    }
    if (at.step + 1 < c.steps) next = batch_of(at.step + 1);
    // Dropout inside a scripted network draws from the global generator, so it is set anew for each step.
    torch::manual_seed(Stream(c.seed, "network", std::to_string(at.step)).bits());
    for (auto& group : optimiser->param_groups()) group.options().set_lr(rate_at(c, at.step));
    optimiser->zero_grad();
    const auto embeddings = trainee.embed_view(batch.views.to(c.options.device));
    auto value = (*loss)(embeddings, batch.labels.to(c.options.device));
    if (c.pair > 0) value = value + c.pair * apart(embeddings, c.anchored);
    value.backward();
    torch::nn::utils::clip_grad_norm_(trained_parameters, c.gradient_limit);
    optimiser->step();
    const double number = value.item<double>();
    if (!std::isfinite(number))
      throw Error(Exit::failure, concat(c.name, ": the loss is not finite at step ", at.step,
                                        "; a smaller rate or gradient_limit may help"));
    at.loss_sum += number;
    ++at.loss_count;
    ++at.step;
    progress.advance(1);
    const bool last = at.step == c.steps, check = !held_out.labels.empty() && (at.step % c.check_every == 0 || last);
    if (check) accuracy = held_out_accuracy(trainee, held_out, c.options.device);
    if (check || last || at.step % c.log_every == 0) {
      at.log += concat(at.step, ",", at.loss_sum / static_cast<double>(at.loss_count), ",", rate_at(c, at.step - 1),
                       ",", check ? concat(accuracy) : "", "\n");
      at.loss_sum = 0, at.loss_count = 0;
      write_file(paths.log, at.log);
    }
    if (last || at.step % c.checkpoint_every == 0) save();
  }
  if (std::isnan(accuracy) && !held_out.labels.empty())
    accuracy = held_out_accuracy(trainee, held_out, c.options.device);
  publish(c, paths, config_hash, trainee, at, accuracy);
  log_info(concat(c.name, ": trained in ", std::round(at.seconds), " s",
                  std::isnan(accuracy) ? "" : concat("; held-out people recognised: ", accuracy),
                  "; card: ", paths.card.string()));
}

}  // namespace facepoison
