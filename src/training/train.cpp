// A training from its config to the card that it leaves.
#include <ATen/Parallel.h>

#include <cmath>
#include <ctime>

#include "facepoison/error.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/version.hpp"
#include "training/fit.hpp"

namespace facepoison {
namespace {

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

// What a training came to, besides the weights.
struct Outcome {
  Progression at;
  double threshold = 0;  // a cloak detector's
};

// The start's card with what is new.
Json card_of(const TrainingConfig& c, const Outcome& outcome, const std::string& weights_sha256,
             const std::string& seen_sha256) {
  Json card = read_json(c.start.path);
  for (const auto* key : {"source", "golden", "notes"}) card.erase(key);
  if (c.detects()) {
    for (const auto* key : {"in_style_of", "method"}) card.erase(key);
    card["task"] = "cloak-detector";
    card["threshold"] = outcome.threshold;
    card["dimension"] = 1;
  }
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

// Whom the start saw, and now these; by a cloak detector its held-out people are seen too, who choose its threshold.
std::vector<Training> seen_after(const TrainingConfig& c) {
  auto trainings = c.start_saw;
  auto people = c.people;
  if (c.detects()) people.insert(people.end(), c.held_out_people.begin(), c.held_out_people.end());
  trainings.push_back(training_on(c.dataset, people, c.name));
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

void publish(const TrainingConfig& c, const Paths& paths, const std::string& config_hash, const std::string& bytes,
             const Outcome& outcome) {
  const std::string seen = print(seen_after(c));
  write_file(paths.weights, bytes);
  write_file(paths.seen, seen);
  const Json card = card_of(c, outcome, sha256(bytes), sha256(seen));
  write_file(paths.card, card.dump(2) + "\n");
  {  // as whoever loads it will run it
    const c10::InferenceMode inference;
    Faces faces;
    faces.pixels = golden_picture(c.start.side);
    write_npy(paths.golden, make_extractor(read_card(paths.card.string(), {c.task}), RunOptions{})->embed(faces));
  }
  const auto& at = outcome.at;
  Json record = {{"config", c.resolved},
                 {"config_sha256", config_hash},
                 {"people", c.people.size()},
                 {"held_out_people", c.held_out_people.size()},
                 {"held_out_accuracy", std::isnan(at.checked) ? Json() : Json(at.checked)},
                 {"seconds", std::round(at.seconds)},
                 {"threads", at::get_num_threads()},
                 {"weights_sha256", sha256(bytes)},
                 {"facepoison", version()},
                 {"commit", commit()}};
  if (c.detects()) record.erase("held_out_accuracy"), record["held_out_loss"] = at.least;
  write_file(paths.record, record.dump(2) + "\n");
  std::error_code ignored;
  fs::remove(paths.checkpoint, ignored);
}

}  // namespace

void train(const TrainingConfig& c, const fs::path& output, ArtifactStore& store) {
  const Paths paths(output, c.name);
  const std::string config_hash = sha256(c.resolved.dump());
  if (is_finished(paths, config_hash)) return log_info(concat(c.name, " is trained already, in ", output.string()));

  refuse_to_replace(c, paths);
  Trainee trainee(c);
  Json loss_parameters = c.loss;
  Spec loss_spec(loss_parameters, "loss");
  const auto loss = make_loss(loss_spec, static_cast<std::int64_t>(c.people.size()), c.start.dimension, c.seed, c.task);
  loss->to(c.options.device);
  const TrainingPhotos known = load_photos(c, c.people, true, store);
  for (std::size_t i = 0; i < c.twins.size(); ++i)
    if (known.unchanged[i] > 0)
      log_warning(concat(c.twins[i].attack->settings().name, " left ", known.unchanged[i], " of ", known.photos(),
                         " photos as they were; they are among the twins"));
  const TrainingPhotos held_out =
      c.held_out_people.empty() ? TrainingPhotos{} : load_photos(c, c.held_out_people, c.detects(), store);
  Fit how{c, known, trainee, *loss, config_hash, paths.checkpoint, paths.log, "held_out_accuracy"};
  const auto* head = dynamic_cast<const Dense*>(loss.get());
  const auto device = c.options.device;
  if (c.detects()) {
    how.called = "held_out_loss";
    how.check = [&] { return loss_of(held_out_scores(trainee, *head, held_out, device)); };
    how.keeps_least = true;
  } else if (!held_out.labels.empty()) {
    how.check = [&] { return held_out_accuracy(trainee, held_out, device); };
  }
  Outcome outcome{fit(how)};
  if (c.detects()) outcome.threshold = best_threshold(held_out_scores(trainee, *head, held_out, device));
  publish(c, paths, config_hash, trainee.archive(c.detects() ? loss->parameters() : std::vector<torch::Tensor>{}),
          outcome);
  const auto& at = outcome.at;
  log_info(concat(c.name, ": trained in ", std::round(at.seconds), " s",
                  std::isnan(at.checked) ? "" : concat("; ", how.called, ": ", c.detects() ? at.least : at.checked),
                  "; card: ", paths.card.string()));
}

}  // namespace facepoison
