// A training's config file, read and checked to the last key.
#include <algorithm>
#include <limits>
#include <set>

#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/training.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

constexpr std::int64_t many = 100000000;

void anchor_training(Json& config, const fs::path& base) {
  if (!config.is_object()) return;
  const auto anchor = [&](const char* key) {
    if (config.contains(key) && config[key].is_string())
      config[key] = (base / config[key].get<std::string>()).lexically_normal().string();
  };
  for (const auto* key : {"dataset", "exclude"}) anchor(key);
  if (config.contains("start") && config["start"].is_string() &&
      config["start"].get<std::string>().find('/') != std::string::npos)
    anchor("start");
  if (config.contains("twins") && config["twins"].is_array())
    for (auto& twin : config["twins"]) anchor_attack(twin, base);
}

// What of the card is the trained one's own; the input contract stays the start's.
Json card_changes(Spec spec) {
  Json changes = Json::object();
  for (const auto* key : {"title", "released", "licence", "notes"})
    if (spec.has(key)) changes[key] = spec.text(key);
  if (spec.has("in_style_of")) {
    Spec style = spec.object("in_style_of");
    changes["in_style_of"] = {{"name", style.text("name")}, {"year", style.text("year")}};
  }
  return changes;
}

// People to hold out, then people to train on: the first of one shuffled list, so that more of either keeps everybody
// of fewer.
void choose_people(TrainingConfig& c, Spec& spec, std::int64_t wanted, const std::set<std::string>& left_out) {
  auto there = c.dataset.people();
  std::erase_if(there, [&](const auto& person) { return left_out.count(person) > 0; });
  if (c.held_out + 2 > there.size())
    spec.fail("held_out", concat("found ", c.held_out, ", but there are ", there.size(), " people",
                                 left_out.empty() ? "" : concat(" besides ", left_out.size(), " excluded ones"),
                                 ", of whom at least two are to be trained on"));
  auto people = there;
  Stream(c.seed, "held out").shuffle(people);
  c.held_out_people.assign(people.begin(), people.begin() + static_cast<std::ptrdiff_t>(c.held_out));
  people.erase(people.begin(), people.begin() + static_cast<std::ptrdiff_t>(c.held_out));
  if (wanted > static_cast<std::int64_t>(people.size()))
    spec.fail("people", concat("found ", wanted, ", but ", people.size(), " are left to train on"));
  if (wanted > 0) people.resize(static_cast<std::size_t>(wanted));
  std::sort(people.begin(), people.end());
  c.people = people;
}

std::vector<Photo> photos_of(const Dataset& dataset, const std::vector<std::string>& people) {
  const std::set<std::string> wanted(people.begin(), people.end());
  std::vector<Photo> photos;
  for (const auto& photo : dataset.photos)
    if (wanted.count(photo.person)) photos.push_back(photo);
  return photos;
}

// A loss that compares photos of one person learns nothing where a batch has one of each.
void check_batch(const TrainingConfig& c, const Spec& batch) {
  const auto kind = c.loss["kind"].get<std::string>();
  if (kind == "contrastive" && c.photos_per_person != 2)
    batch.fail("photos", concat("found ", c.photos_per_person, ", but the contrastive loss compares 2"));
  if (compares_photos(kind) && c.photos_per_person < 2)
    batch.fail("photos", concat("found ", c.photos_per_person, ", but the ", kind,
                                " loss compares photos of a person: 2 at least"));
}

// Nor does it where nobody has a second photo, or a twin of the first.
void check_pairs(const TrainingConfig& c, const std::vector<Photo>& photos, const Spec& spec) {
  const auto kind = c.loss["kind"].get<std::string>();
  if (compares_photos(kind) && c.twins.empty() && photos.size() == c.people.size())
    spec.fail("dataset", concat("nobody who is trained on has a second photo, and the ", kind,
                                " loss compares photos of a person"));
}

// A recogniser's held-out people: their test photos are looked for among their train photos.
void check_held_out(const TrainingConfig& c, const std::vector<Photo>& photos, const Spec& spec) {
  if (c.detects() || c.held_out == 0) return;
  if (c.held_out == 1)
    spec.fail("held_out", "found 1, but who is on a photo is asked among 2 people at least; 0 holds nobody out");
  std::set<std::string> known;
  for (const auto& photo : photos)
    if (photo.train()) known.insert(photo.person);
  if (std::none_of(photos.begin(), photos.end(),
                   [&](const Photo& photo) { return photo.test() && known.count(photo.person); }))
    spec.fail("held_out", concat("none of the ", c.held_out,
                                 " people has both a train and a test photo, by which the network is judged; ",
                                 "0 holds nobody out"));
}

// A cloak detector's batches are photos, each followed by a twin that went through the same.
void check_detector(const TrainingConfig& c, const Spec& spec, const Spec& batch) {
  if (c.twins.empty()) spec.fail("twins", "a cloak detector learns from photos and their twins, and there are none");
  if (c.held_out == 0) spec.fail("held_out", "a cloak detector's threshold is chosen on people held out: 1 at least");
  if (c.photos_per_person % 2)
    batch.fail("photos", concat("found ", c.photos_per_person, "; half of a cloak detector's batch are twins"));
  for (const auto* key : {"twin_share", "pair", "anchored"})
    if (spec.has(key)) spec.fail(key, "of a recogniser's training alone");
}

// Attacks by transforms, and how they enter a batch.
void read_twins(TrainingConfig& c, Spec& spec, Spec& batch) {
  const Json wanted = spec.raw("twins", Json::array()), after = spec.raw("twin_transforms", Json::array({"none"}));
  if (!wanted.is_array()) spec.fail("twins", concat("found ", wanted.dump(), ", expected a list of attacks"));
  if (!after.is_array() || after.empty())
    spec.fail("twin_transforms", concat("found ", after.dump(), ", expected a list of transforms"));
  for (const auto& one : wanted) {
    const auto attack = make_attack(one, c.options);
    if (!attack->changes_photos()) spec.fail("twins", concat(one.dump(), " leaves photos as they are"));
    for (const auto& transform : after) c.twins.push_back({attack, make_transform(transform)});
  }
  if (c.detects()) {
    c.clean.clear();
    for (const auto& transform : after) c.clean.push_back(make_transform(transform));
    return check_detector(c, spec, batch);
  }
  const auto needs_twins = [&](const char* key) {
    if (spec.has(key) && c.twins.empty()) spec.fail(key, "there are no \"twins\"");
  };
  for (const auto* key : {"twin_share", "twin_transforms", "pair", "anchored"}) needs_twins(key);
  if (spec.has("twin_share")) c.twin_share = spec.number("twin_share", 0, 1);
  c.pair = spec.number("pair", 0, 1e6, 0);
  c.anchored = spec.flag("anchored", false);
  if (c.pair == 0) return;
  if (c.twin_share) spec.fail("twin_share", "with a \"pair\" each photo of a batch comes with one of its twins");
  if (c.photos_per_person % 2)
    batch.fail("photos", concat("found ", c.photos_per_person, "; with a \"pair\" half of them are twins"));
}

// What decides the twins' pictures.
Json twins_identity(const TrainingConfig& c) {
  Json list = Json::array();
  for (const auto& [attack, transform] : c.twins)
    list.push_back({{"name", attack->settings().name},
                    {"identity", attack->identity()},
                    {"transform", transform ? transform->identity() : Json()}});
  return list;
}

}  // namespace

Spec read_how(TrainingConfig& c, Spec& spec) {
  c.steps = spec.integer("steps", 1, many);
  c.warmup = spec.integer("warmup", 0, many, c.steps / 20);
  c.optimiser = OptimiserSettings::from(spec);
  c.decays = spec.choice("schedule", {"cosine", "constant"}, "cosine") == "cosine";
  c.batch_norm_learns = spec.choice("batch_norm", {"train", "frozen"}, "train") == "train";
  c.frozen = spec.texts("frozen", std::vector<std::string>{});
  c.gradient_limit = spec.number("gradient_limit", 1e-6, 1e6, 5);
  c.log_every = spec.integer("log_every", 1, many, 50);
  c.check_every = spec.integer("check_every", 1, many, std::max<std::int64_t>(c.steps / 10, 1));
  c.checkpoint_every = spec.integer("checkpoint_every", 1, many, 200);
  Spec batch = spec.object("batch");
  c.people_per_batch = static_cast<std::size_t>(batch.integer("people", 2, 65536));
  c.photos_per_person = static_cast<std::size_t>(batch.integer("photos", 1, 65536));
  c.replacement = batch.flag("replacement", false);
  Spec augmentation =
      spec.has("augmentation") ? spec.object("augmentation") : Spec(Json::object(), spec.where() + ", augmentation");
  c.augmentation = Augmentation::from(augmentation);
  augmentation.finish();
  c.resolved["augmentation"] = augmentation.record();
  return batch;
}

TrainingConfig read_training(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                             const ReadExcluded& read_excluded, ArtifactStore& store) {
  TrainingConfig c;
  c.name = config.stem().string();
  Spec spec(read_config(config, overrides, anchor_training), config.string());
  if (spec.choice("task", {"recogniser", "cloak-detector"}, "recogniser") == "cloak-detector")
    c.task = Task::cloak_detector;
  const auto start = spec.text("start"), dataset = spec.text("dataset"), exclude = spec.text("exclude", "");
  c.held_out = static_cast<std::size_t>(spec.integer("held_out", 0, many, 0));
  const auto wanted = spec.integer("people", 0, many, 0);
  c.seed = static_cast<Seed>(spec.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 0));
  Spec batch = read_how(c, spec);
  const auto device = spec.text("device", "auto"),
             precision = spec.choice("precision", {"fp32", "tf32", "bf16"}, "fp32");
  c.card = spec.has("card") ? card_changes(spec.object("card")) : Json::object();
  c.start = read_card(start, c.detects() ? every_task : std::vector{Task::recogniser});
  Spec loss = spec.object("loss");
  c.loss = loss.record();
  c.start_saw = trainings_of(c.start);
  c.options = run_options(device, precision, trust_model);
  read_twins(c, spec, batch);
  make_loss(loss, 2, c.start.dimension, c.seed, c.task);  // its keys, checked before the data are touched
  const auto prepare_options = PrepareOptions::of_config(spec);
  const bool allow_perturbed = spec.flag("allow_perturbed", false);
  spec.finish();
  c.loss = loss.record();
  check_batch(c, batch);
  const auto weights =
      verify_model(c.start.file, c.start.path.parent_path(), c.start.sha256, trust_model, c.start.how_to_get());
  c.dataset = dataset_of(dataset, prepare_options, store);
  if (c.dataset.photos.empty()) return c;  // of a plan: who is to be trained on is not known
  std::set<std::string> left_out;
  if (!exclude.empty()) {
    const Dataset others = read_excluded(exclude);
    left_out = people_seen({training_on(others, others.people(), "")}, c.dataset);
  }
  choose_people(c, spec, wanted, left_out);
  auto photos = photos_of(c.dataset, c.people);
  const auto held_out = photos_of(c.dataset, c.held_out_people);
  check_pairs(c, photos, spec);
  check_held_out(c, held_out, spec);
  photos.insert(photos.end(), held_out.begin(), held_out.end());
  c.perturbed_note = perturbed_note(photos);
  require_clean(dataset, c.perturbed_note, allow_perturbed);
  if (!c.replacement && c.people_per_batch > c.people.size())
    batch.fail("people", concat("found ", c.people_per_batch, ", but only ", c.people.size(), " are trained on"));
  const Json augmentation = c.resolved.at("augmentation");
  c.resolved = spec.record();
  for (const auto* key :
       {"task", "dataset", "start", "card", "log_every", "checkpoint_every", "exclude", "prepare", "allow_perturbed"})
    c.resolved.erase(key);  // what does not decide the weights, or is said below
  if (c.detects()) c.resolved["task"] = "cloak-detector", c.resolved["people_held_out"] = c.held_out_people;
  c.resolved["augmentation"] = augmentation;
  c.resolved["twins"] = twins_identity(c);
  c.resolved["people_trained_on"] = c.people;
  c.resolved["manifest_sha256"] = c.dataset.manifest_sha256;
  c.resolved["start"] = {{"weights", weights.sha256}, {"contract", c.start.contract()}};
  c.resolved["device"] = device_name(c.options.device);
  c.resolved["libtorch"] = libtorch_version();
  return c;
}

}  // namespace facepoison
