// Runs a training, from its config to the card of the trained network.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "facepoison/error.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/version.hpp"
#include "training/purifier.hpp"

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

// The result of a training, besides the weights.
struct Outcome {
  Progression at;
  double threshold = 0;  // a cloak detector's
  Json held_out;         // how far held-out people's pictures are from clean photos, before and after a purifier
};

// The trained network's card: the start's card with changes.
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
  for (const auto& twin : c.data.twins) {
    const Json one = {{"name", twin.attack->settings().name}, {"identity", sha256(twin.attack->identity().dump())}};
    if (std::find(against.begin(), against.end(), one) == against.end()) against.push_back(one);
  }
  if (!against.empty()) card["trained_against"] = against;
  card["trained_on"] = {{"file", "training/" + c.name + ".seen.json"}, {"sha256", seen_sha256}};
  card.erase("trained_from");
  if (c.start.name != c.name) card["trained_from"] = c.start.name;
  card["released"] = this_month();
  c.card.apply(card);
  card["file"] = "./" + c.name + ".pt";
  card["sha256"] = weights_sha256;
  card["golden"] = {{"file", "golden/" + c.name + ".npy"},
                    {"made_with", concat("facepoison ", version(), " on LibTorch ", libtorch_version(),
                                         ", CPU, float32, when training ended")}};
  return card;
}

// The start's trainings and this one. The held-out people of a cloak detector or a purifier count as trained on: they
// choose its step.
std::vector<Training> all_trainings(const TrainingConfig& c) {
  auto trainings = c.start_trainings;
  auto people = c.data.people;
  if (c.needs_twins()) people.insert(people.end(), c.data.held_out.begin(), c.data.held_out.end());
  trainings.push_back(training_on(c.data.dataset, people, c.name));
  return trainings;
}

// The digest of the weights in a training's record, or "" if the file is not such a record.
std::string weights_of_record(const fs::path& file) try {
  const Json record = read_json(file);
  if (!record.is_object() || !record.contains("config_sha256") || !record.contains("weights_sha256")) return "";
  return record["weights_sha256"].is_string() ? record["weights_sha256"].get<std::string>() : "";
} catch (const Error&) {
  return "";
}

std::string weights_of_card(const fs::path& file) try {
  const Json card = read_json(file);
  return card.is_object() && card.contains("sha256") && card["sha256"].is_string() ? card["sha256"] : "";
} catch (const Error&) {
  return "";
}

// The first of the files that was not written by a training, or "". The record is written before the card and the
// weights. So if it exists, they are a training's: those that it names or, if the training did not finish, partly
// replaced ones.
fs::path foreign_file(const Paths& paths) {
  const auto is_log = [](const fs::path& log) { return read_file(log).starts_with("step,loss,rate,held_out_"); };
  if (fs::exists(paths.log) && !(fs::is_regular_file(paths.log) && is_log(paths.log))) return paths.log;
  if (!fs::exists(paths.record)) {
    for (const auto& path : {paths.card, paths.weights, paths.golden, paths.seen})
      if (fs::exists(path)) return path;
    return {};
  }
  const auto weights = weights_of_record(paths.record);
  if (weights.empty()) return paths.record;
  if (fs::exists(paths.checkpoint)) return {};
  if (fs::exists(paths.card) && weights_of_card(paths.card) != weights) return paths.card;
  if (fs::exists(paths.weights) && sha256_of_file(paths.weights) != weights) return paths.weights;
  return {};
}

bool is_finished(const Paths& paths, const std::string& config_hash) {
  for (const auto& path : {paths.record, paths.card, paths.weights, paths.seen})
    if (!fs::exists(path)) return false;
  const Json record = read_json(paths.record);
  const auto weights = sha256_of_file(paths.weights);
  return record.value("config_sha256", "") == config_hash && record.value("weights_sha256", "") == weights &&
         weights_of_card(paths.card) == weights;
}

void require_finite(const TrainingConfig& c, const std::vector<torch::Tensor>& numbers, const char* what) {
  for (const auto& some : numbers)
    if (!some.isfinite().all().item<bool>())
      throw Error(Exit::failure, concat(c.name, ": ", what, " is not finite after the last step, so nothing is ",
                                        "published; a smaller rate or gradient_limit may help"));
}

Faces golden_faces(const TrainingConfig& c) {
  Faces faces;
  faces.pixels = golden_picture(c.start.height, c.start.width);
  return faces;
}

void require_finite_embedding(const TrainingConfig& c, Trainee& trainee) {
  const torch::NoGradGuard no_grad;
  trainee.learn(false);
  require_finite(c, {trainee.embed(golden_faces(c).to(c.options.device))}, "the golden embedding");
}

// The embedding of the golden picture, as a program that loads the card will compute it.
torch::Tensor golden_embedding(const TrainingConfig& c, const Paths& paths, const std::string& weights_sha256) {
  Card card = c.start;
  card.path = paths.card;
  card.file = "./" + c.name + ".pt";
  card.sha256 = weights_sha256;
  if (c.detects()) card.task = c.task, card.method = "forward", card.dimension = 1;
  const c10::InferenceMode inference;
  return make_extractor(card, RunOptions{})->embed(golden_faces(c));
}

// Writes the results. The card comes last: without it there is no recogniser.
void publish(const TrainingConfig& c, const Paths& paths, const std::string& config_hash, const std::string& bytes,
             const Outcome& outcome) {
  const std::string seen = print(all_trainings(c)), weights_sha256 = sha256(bytes);
  const auto& at = outcome.at;
  Json record = {{"config", c.resolved},
                 {"config_sha256", config_hash},
                 {"people", c.data.people.size()},
                 {"held_out_people", c.data.held_out.size()},
                 {"held_out_accuracy", std::isnan(at.checked) ? Json() : Json(at.checked)},
                 {"seconds", std::round(at.seconds)},
                 {"threads", at::get_num_threads()},
                 {"weights_sha256", weights_sha256},
                 {"facepoison", version()},
                 {"commit", commit()}};
  if (c.needs_twins()) record.erase("held_out_accuracy"), record["held_out_loss"] = at.least;
  if (c.purifies()) record["held_out"] = outcome.held_out;
  if (!c.data.perturbed_note.empty()) record["perturbed"] = c.data.perturbed_note;
  write_file(paths.record, record.dump(2) + "\n");
  write_file(paths.weights, bytes);
  write_file(paths.seen, seen);
  write_npy(paths.golden, golden_embedding(c, paths, weights_sha256));
  refuse_after_shortage_of_memory();
  write_file(paths.card, card_of(c, outcome, weights_sha256, sha256(seen)).dump(2) + "\n");
  std::error_code ignored;
  fs::remove(paths.checkpoint, ignored);
}

// Throws if nothing was learnt: the rate is 0, or the loss is 0 from the start.
void require_learnt(const TrainingConfig& c, const Trainee& trainee, const std::vector<torch::Tensor>& before) {
  const auto after = trainee.parameters();
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!torch::equal(before[i], after[i])) return;
  throw Error(Exit::failure, concat(c.name, ": after ", c.recipe.steps, " steps no weight of the network ",
                                    "has changed, so nothing is published; look at the loss in the log"));
}

// Throws if a cloak detector or a purifier has only pictures that are not perturbed.
void require_twins(const TrainingConfig& c, const TrainingPhotos& known, const char* whose) {
  const auto left_alone = [&](std::size_t photos) { return photos == known.labels.size(); };
  if (c.needs_twins() && std::all_of(known.unchanged.begin(), known.unchanged.end(), left_alone))
    throw Error(Exit::input, concat(c.name, ": the twins of the people ", whose, " are all identical to their photos, ",
                                    "so there is nothing to learn"));
}

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> copies;
  for (const auto& tensor : tensors) copies.push_back(tensor.detach().clone());
  return copies;
}

// Warns of twins that are no twins.
void warn_of_unchanged(const TrainingConfig& c, const TrainingPhotos& known) {
  for (std::size_t i = 0; i < c.data.twins.size(); ++i)
    if (known.unchanged[i] > 0)
      log_warning(concat(c.data.twins[i].attack->settings().name, " did not change ", known.unchanged[i], " of ",
                         known.photos(), " photos; they are used as twins"));
}

// What held-out people's photos say, for the log: an accuracy, or for networks that need twins a loss. None without
// such people.
std::function<double()> check_of(const TrainingConfig& c, const TrainingPhotos& held_out, Trainee& trainee,
                                 const Dense* head) {
  const auto device = c.options.device;
  if (held_out.labels.empty()) return {};
  if (c.purifies()) return [&] { return loss_of(purity_after(c, held_out, trainee), c.purification.feature_weight); };
  if (c.detects())
    return [&held_out, &trainee, head, device] { return loss_of(held_out_scores(trainee, *head, held_out, device)); };
  return [&held_out, &trainee, device] { return held_out_accuracy(trainee, held_out, device); };
}

}  // namespace

void refuse_to_replace(const std::string& name, const fs::path& output) {
  if (const auto file = foreign_file(Paths(output, name)); !file.empty())
    throw Error(Exit::usage, concat(file.string(), " exists and was not written by a training of ", name,
                                    "; choose another folder, or rename the config file, which names the network"));
}

void train(const TrainingConfig& c, const fs::path& output, ArtifactStore& store) {
  const Paths paths(output, c.name);
  const std::string config_hash = sha256(c.resolved.dump());
  refuse_to_replace(c.name, output);
  if (is_finished(paths, config_hash)) return log_info(concat(c.name, " is already trained, in ", output.string()));
  std::error_code none;
  if (fs::equivalent(paths.card, c.start.path, none))
    throw Error(Exit::usage,
                concat(paths.card.string(), " is the card that the training starts from; choose another folder"));
  Trainee trainee(c);
  const auto start = copies_of(trainee.parameters());
  const auto device = c.options.device;
  std::unique_ptr<Loss> loss;  // over labels, which a purifier does not need
  if (!c.purifies()) {
    loss = c.recipe.loss.make(static_cast<std::int64_t>(c.data.people.size()), trainee.card().dimension, c.seed);
    loss->to(device);
  }
  const TrainingPhotos known = load_photos(c, c.data.people, true, store);
  warn_of_unchanged(c, known);
  const TrainingPhotos held_out =
      c.data.held_out.empty() ? TrainingPhotos{} : load_photos(c, c.data.held_out, c.needs_twins(), store);
  require_twins(c, known, "trained on");
  require_twins(c, held_out, "held out");
  const auto beside = loss ? loss->parameters() : std::vector<torch::Tensor>();
  const auto* head = dynamic_cast<const Dense*>(loss.get());
  const auto* called = c.needs_twins() ? "held_out_loss" : "held_out_accuracy";
  Outcome outcome{
      fit({c, trainee, loss ? draw_views(c, known, trainee, *loss) : draw_pairs(c, known, trainee), beside, config_hash,
           paths.checkpoint, paths.log, called, check_of(c, held_out, trainee, head), c.needs_twins()})};
  require_finite(c, state_of(trainee, beside), "a weight");
  require_learnt(c, trainee, start);
  require_finite_embedding(c, trainee);
  if (c.detects()) outcome.threshold = best_threshold(held_out_scores(trainee, *head, held_out, device));
  if (c.purifies())
    outcome.held_out = {{"before", record_of(purity_before(c, held_out), c.purification.features)},
                        {"after", record_of(purity_after(c, held_out, trainee), c.purification.features)}};
  publish(c, paths, config_hash, trainee.archive(c.detects() ? beside : std::vector<torch::Tensor>{}), outcome);
  const auto& at = outcome.at;
  log_info(concat(c.name, ": trained in ", std::round(at.seconds), " s",
                  std::isnan(at.checked) ? "" : concat("; ", called, ": ", c.needs_twins() ? at.least : at.checked),
                  "; card: ", paths.card.string()));
}

}  // namespace facepoison
