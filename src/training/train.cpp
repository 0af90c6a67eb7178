// The loop: draw people, draw photos of them, change the photos, one step of AdamW; check, log, checkpoint.
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
#include "training/trainee.hpp"

namespace facepoison {
namespace {

// Photos in memory, 100 kB each at a canvas of 184 pixels, and whose they are.
struct TrainingPhotos {
  Faces faces;                                  // pixels uint8
  std::vector<std::int64_t> labels;             // places in `people`
  std::vector<std::vector<std::int64_t>> rows;  // of each person
  std::vector<bool> train;                      // the data set's split
};

TrainingPhotos load_photos(const Dataset& dataset, const std::vector<std::string>& people) {
  TrainingPhotos known;
  known.rows.resize(people.size());
  std::map<std::string, std::int64_t> places;
  for (std::size_t i = 0; i < people.size(); ++i) places[people[i]] = static_cast<std::int64_t>(i);
  std::vector<Photo> photos;
  for (const auto& photo : dataset.photos) {
    const auto place = places.find(photo.person);
    if (place == places.end()) continue;
    known.rows[static_cast<std::size_t>(place->second)].push_back(static_cast<std::int64_t>(photos.size()));
    known.labels.push_back(place->second);
    known.train.push_back(photo.train());
    photos.push_back(photo);
  }
  std::vector<torch::Tensor> pixels, landmarks;
  constexpr std::size_t at_once = 256;  // as float they take four times the room
  for (std::size_t i = 0; i < photos.size(); i += at_once) {
    stop_if_interrupted();
    const Faces faces = load_faces(std::span(photos).subspan(i, std::min(at_once, photos.size() - i)));
    pixels.push_back(faces.pixels.mul(255).round().to(torch::kUInt8));
    if (faces.landmarks.defined()) landmarks.push_back(faces.landmarks);
  }
  known.faces.pixels = torch::cat(pixels);
  if (!landmarks.empty()) known.faces.landmarks = torch::cat(landmarks);
  return known;
}

Faces rows_of(const Faces& faces, const std::vector<std::int64_t>& rows) {
  const auto index = torch::tensor(rows);
  Faces chosen;
  chosen.pixels = faces.pixels.index_select(0, index);
  if (faces.landmarks.defined()) chosen.landmarks = faces.landmarks.index_select(0, index);
  return chosen;
}

struct Batch {
  torch::Tensor views, labels;
};

// As many photos of each person, person after person; nobody twice, and no photo twice while there are others.
Batch draw_batch(const TrainingConfig& c, const TrainingPhotos& known, const FeatureExtractor& extractor,
                 std::int64_t step) {
  Stream stream(c.seed, "batch", std::to_string(step));
  std::vector<std::int64_t> people(known.rows.size()), rows, labels;
  for (std::size_t i = 0; i < people.size(); ++i) people[i] = static_cast<std::int64_t>(i);
  stream.shuffle(people);
  for (std::size_t i = 0; i < c.people_per_batch; ++i) {
    std::vector<std::int64_t> own = known.rows[static_cast<std::size_t>(people[i])];
    stream.shuffle(own);
    for (std::size_t k = 0; k < c.photos_per_person; ++k) {
      rows.push_back(own[k % own.size()]);
      labels.push_back(people[i]);
    }
  }
  return {augmented_views(extractor, rows_of(known.faces, rows), c.augmentation, c.seed, step), torch::tensor(labels)};
}

// Share of the held-out people's test photos that their training photos name, by cosine.
double held_out_accuracy(Trainee& trainee, const TrainingPhotos& known, torch::Device device) {
  const torch::NoGradGuard no_grad;
  trainee.learn(false);
  std::vector<torch::Tensor> features;
  constexpr std::int64_t at_once = 64;
  for (std::int64_t i = 0; i < known.faces.size(); i += at_once) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = i; k < std::min(i + at_once, known.faces.size()); ++k) rows.push_back(k);
    Faces faces = rows_of(known.faces, rows);
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

// Rises in a line, falls as a half cosine, to nothing.
double rate_at(const TrainingConfig& c, std::int64_t step) {
  if (step < c.warmup) return c.rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup);
  const double done =
      static_cast<double>(step - c.warmup) / static_cast<double>(std::max<std::int64_t>(c.steps - c.warmup, 1));
  return c.rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

// Decay pulls on weights; biases, norms and slopes are left alone.
torch::optim::AdamW make_optimiser(const TrainingConfig& c, const Trainee& trainee,
                                   const std::vector<torch::Tensor>& beside) {
  std::vector<torch::Tensor> decayed, free;
  for (const auto& parameter : trainee.parameters()) (parameter.dim() > 1 ? decayed : free).push_back(parameter);
  free.insert(free.end(), beside.begin(), beside.end());
  const auto options = [&](double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(c.rate).weight_decay(decay));
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(decayed, options(c.weight_decay));
  groups.emplace_back(free, options(0));
  return torch::optim::AdamW(groups);
}

struct Paths {
  fs::path weights, card, golden, record, log, checkpoint;
  Paths(const fs::path& folder, const std::string& name)
      : weights(folder / (name + ".pt")),
        card(folder / (name + ".json")),
        golden(folder / "golden" / (name + ".npy")),
        record(folder / "training" / (name + ".json")),
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
Json card_of(const TrainingConfig& c, const std::string& weights_sha256) {
  Json card = read_json(c.start.path);
  for (const auto* key : {"source", "golden", "notes"}) card.erase(key);
  card["released"] = this_month();
  card.update(c.card);
  card["file"] = "./" + c.name + ".pt";
  card["sha256"] = weights_sha256;
  card["golden"] = {{"file", "golden/" + c.name + ".npy"},
                    {"made_with", concat("facepoison ", version(), " on LibTorch ", libtorch_version(),
                                         ", CPU, float32, when training ended")}};
  return card;
}

// A card or weights of that name that no training left here are somebody's: the config itself, or a recogniser.
void refuse_to_replace(const Paths& paths, const std::string& name) {
  if (fs::exists(paths.record) || fs::exists(paths.checkpoint)) return;
  for (const auto& path : {paths.card, paths.weights})
    if (fs::exists(path))
      throw Error(Exit::usage, concat(path.string(),
                                      " is there already and no training made it; choose another folder, "
                                      "or another name than ",
                                      name, " (\"name\", else the config's file)"));
}

bool is_finished(const Paths& paths, const std::string& config_hash) {
  if (!fs::exists(paths.record) || !fs::exists(paths.card) || !fs::exists(paths.weights)) return false;
  return read_json(paths.record).value("config_sha256", "") == config_hash &&
         read_json(paths.card).value("sha256", "") == sha256_of_file(paths.weights);
}

void publish(const TrainingConfig& c, const Paths& paths, const std::string& config_hash, Trainee& trainee,
             const Progression& at, double accuracy) {
  const std::string bytes = trainee.archive();
  write_file(paths.weights, bytes);
  const Json card = card_of(c, sha256(bytes));
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

void train(const TrainingConfig& c, const fs::path& output) {
  using Clock = std::chrono::steady_clock;
  const Paths paths(output, c.name);
  const std::string config_hash = sha256(c.resolved.dump());
  if (is_finished(paths, config_hash)) return log_info(concat(c.name, " is trained already, in ", output.string()));

  refuse_to_replace(paths, c.name);
  Trainee trainee(c);
  Json loss_parameters = c.loss;
  Spec loss_spec(loss_parameters, "loss");
  const auto loss = make_loss(loss_spec, static_cast<std::int64_t>(c.people.size()), c.start.dimension, c.seed);
  loss->to(c.options.device);
  auto beside = loss->parameters();
  auto optimiser = make_optimiser(c, trainee, beside);
  Progression at;
  at.log = "step,loss,rate,held_out_accuracy\n";
  if (fs::exists(paths.checkpoint)) {
    at = read_checkpoint(paths.checkpoint, trainee, beside, optimiser, config_hash);
    log_info(concat(c.name, ": going on after step ", at.step, " of ", c.steps));
  }
  const TrainingPhotos known = load_photos(c.dataset, c.people);
  const TrainingPhotos held_out =
      c.held_out_people.empty() ? TrainingPhotos{} : load_photos(c.dataset, c.held_out_people);

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
    write_file(paths.checkpoint, write_checkpoint(at, trainee, beside, optimiser, config_hash));
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
    for (auto& group : optimiser.param_groups())
      static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate_at(c, at.step));
    optimiser.zero_grad();
    const auto value = (*loss)(trainee.embed_view(batch.views.to(c.options.device)), batch.labels.to(c.options.device));
    value.backward();
    torch::nn::utils::clip_grad_norm_(trained_parameters, c.gradient_limit);
    optimiser.step();
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
  log_info(concat(c.name, ": trained in ", std::round(at.seconds), " s; held-out people recognised: ", accuracy,
                  "; card: ", paths.card.string()));
}

}  // namespace facepoison
