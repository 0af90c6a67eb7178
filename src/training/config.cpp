// Reads a training's config file and checks every key.
#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/training.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

constexpr std::int64_t many = 100000000;

constexpr std::pair<const char*, std::optional<std::string> CardChanges::*> texts[] = {
    {"title", &CardChanges::title},
    {"released", &CardChanges::released},
    {"licence", &CardChanges::licence},
    {"notes", &CardChanges::notes}};

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
  const auto anchor_all = [&](const char* key, void (*anchor_one)(Json&, const fs::path&)) {
    if (!config.contains(key) || !config[key].is_array()) return;
    for (auto& value : config[key]) anchor_one(value, base);
  };
  anchor_all("twins", anchor_attack);
  anchor_all("twin_transforms", anchor_transform);
  anchor_all("features", anchor_path);
}

// How many people to hold out, and how many to train on (0: all others).
struct Wanted {
  std::size_t held_out, people;
};

// Chooses people to hold out, then people to train on: from the start of one shuffled list, so that a larger number
// includes everybody of a smaller one.
void choose_people(TrainingData& data, Seed seed, Spec& spec, const Wanted& wanted,
                   const std::set<std::string>& left_out) {
  auto there = data.dataset.people();
  std::erase_if(there, [&](const auto& person) { return left_out.count(person) > 0; });
  if (wanted.held_out + 2 > there.size())
    spec.fail("held_out", concat("found ", wanted.held_out, ", but there are only ", there.size(), " people",
                                 left_out.empty() ? "" : concat(" besides ", left_out.size(), " excluded ones"),
                                 ", and at least two must be left to train on"));
  auto people = there;
  Stream(seed, "held out").shuffle(people);
  const auto first_trained = people.begin() + static_cast<std::ptrdiff_t>(wanted.held_out);
  data.held_out.assign(people.begin(), first_trained);
  people.erase(people.begin(), first_trained);
  if (wanted.people > people.size())
    spec.fail("people", concat("found ", wanted.people, ", but only ", people.size(), " people are left to train on"));
  if (wanted.people > 0) people.resize(wanted.people);
  std::sort(people.begin(), people.end());
  data.people = people;
}

std::vector<Photo> photos_of(const Dataset& dataset, const std::vector<std::string>& people) {
  const std::set<std::string> wanted(people.begin(), people.end());
  std::vector<Photo> photos;
  for (const auto& photo : dataset.photos)
    if (wanted.count(photo.person)) photos.push_back(photo);
  return photos;
}

// Refuses batches with one photo of each person where the loss compares photos of a person: it would learn nothing; and
// a choice among draws by such a loss.
void check_batch(const Recipe& recipe, const Spec& spec, const Spec& batch) {
  if (recipe.augmentation.worst_of > 1 && (recipe.loss.compares_photos || recipe.pair > 0))
    spec.fail("augmentation", "\"worst_of\" needs a loss of each photo alone; this one compares photos");
  if (recipe.loss.kind == "contrastive" && recipe.photos_per_person != 2)
    batch.fail("photos", concat("found ", recipe.photos_per_person, ", but the contrastive loss needs exactly 2"));
  if (recipe.loss.compares_photos && recipe.photos_per_person < 2)
    batch.fail("photos", concat("found ", recipe.photos_per_person, ", but the ", recipe.loss.kind,
                                " loss compares photos of a person and needs at least 2"));
}

// Refuses people without second photos, or twins of the first ones, for such a loss.
void check_pairs(const TrainingConfig& c, const std::vector<Photo>& photos, const Spec& spec) {
  if (c.recipe.loss.compares_photos && c.data.twins.empty() && photos.size() == c.data.people.size())
    spec.fail("dataset", concat("no person to train on has a second photo, but the ", c.recipe.loss.kind,
                                " loss compares photos of a person"));
}

// Refuses held-out people that cannot be used to judge a recogniser: each test photo is matched to their train photos.
void check_held_out(const TrainingConfig& c, const std::vector<Photo>& photos, const Spec& spec) {
  if (c.needs_twins() || c.data.held_out.empty()) return;
  if (c.data.held_out.size() == 1)
    spec.fail("held_out", "found 1, but identification needs at least 2 people; 0 holds nobody out");
  std::set<std::string> known;
  for (const auto& photo : photos)
    if (photo.train()) known.insert(photo.person);
  if (std::none_of(photos.begin(), photos.end(),
                   [&](const Photo& photo) { return photo.test() && known.count(photo.person); }))
    spec.fail("held_out", concat("none of the ", c.data.held_out.size(),
                                 " people has both a train and a test photo, which are needed to judge the network; ",
                                 "0 holds nobody out"));
}

// Refuses what a cloak detector or a purifier cannot learn from. Their batches are photos, each followed by a twin that
// went through the same transform.
void check_twins(const TrainingConfig& c, std::size_t held_out, const Spec& spec, const Spec& batch) {
  const std::string it = c.detects() ? "a cloak detector" : "a purifier";
  if (c.data.twins.empty())
    spec.fail("twins", concat(it, " learns from photos and their twins, but there are no twins"));
  if (held_out == 0)
    spec.fail("held_out", concat(it, "'s ", c.detects() ? "threshold" : "best step",
                                 " is chosen on held-out people; expected at least 1"));
  if (c.recipe.photos_per_person % 2)
    batch.fail("photos", concat("found ", c.recipe.photos_per_person, ", expected an even number: half of ", it,
                                "'s batch are twins"));
  for (const auto* key : {"twin_share", "pair", "anchored", "keep"})
    if (spec.has(key)) spec.fail(key, "only for the training of a recogniser");
}

// Reads the twins, each attack with each transform, and how they enter a batch.
void read_twins(TrainingConfig& c, std::size_t held_out, Spec& spec, Spec& batch) {
  const Json wanted = spec.raw("twins", Json::array()), after = spec.raw("twin_transforms", Json::array({"none"}));
  if (!wanted.is_array()) spec.fail("twins", concat("found ", wanted.dump(), ", expected a list of attacks"));
  if (!after.is_array() || after.empty())
    spec.fail("twin_transforms", concat("found ", after.dump(), ", expected a list of transforms"));
  for (const auto& one : wanted) {
    const auto attack = make_attack(one, c.options);
    if (!attack->changes_photos()) spec.fail("twins", concat(one.dump(), " does not change photos"));
    for (const auto& transform : after) c.data.twins.push_back({attack, make_transform(transform)});
  }
  if (c.needs_twins()) {
    c.data.clean.clear();
    for (const auto& transform : after) c.data.clean.push_back(make_transform(transform));
    return check_twins(c, held_out, spec, batch);
  }
  const auto needs_twins = [&](const char* key) {
    if (spec.has(key) && c.data.twins.empty()) spec.fail(key, "needs \"twins\", and there are none");
  };
  for (const auto* key : {"twin_share", "twin_transforms", "pair", "anchored"}) needs_twins(key);
  if (spec.has("twin_share")) c.recipe.twin_share = spec.number("twin_share", 0, 1);
  if (spec.has("keep")) c.recipe.keep = spec.number("keep", 0, 1e6);
  c.recipe.pair = spec.number("pair", 0, 1e6, 0);
  c.recipe.anchored = spec.flag("anchored", false);
  if (c.recipe.pair == 0) return;
  if (c.recipe.twin_share)
    spec.fail("twin_share", "cannot be used with \"pair\", where each photo of a batch comes with one of its twins");
  if (c.recipe.photos_per_person % 2)
    batch.fail("photos", concat("found ", c.recipe.photos_per_person,
                                ", expected an even number: with \"pair\" half of them are twins"));
}

// Reads what a recogniser or a cloak detector minimises.
void read_loss(TrainingConfig& c, Spec& spec) {
  Spec loss = spec.object("loss");
  c.recipe.loss = LossChoice::from(loss, c.task);
  if (c.recipe.loss.kind == "none" && c.recipe.keep + c.recipe.pair == 0)
    loss.fail("kind", "\"none\" teaches nothing without \"keep\" or \"pair\"");
}

// Reads what a purifier minimises. Its photos stay as they are: a resampled one has lost a part of its perturbation.
void read_purification(TrainingConfig& c, Spec& spec) {
  if (spec.has("augmentation")) spec.fail("augmentation", "not for a purifier, which learns from photos as they are");
  for (const auto& name : spec.texts("features", std::vector<std::string>{}))
    c.purification.features.push_back(make_extractor(name, c.options));
  c.purification.feature_weight = spec.number("feature_weight", 0, 1e6, 2);
}

// Refuses a purifier for canvases of another size than the data set's.
void check_canvas(const TrainingConfig& c, const Spec& spec) {
  const auto side = c.data.dataset.side;
  if (c.purifies() && (c.start.width != side || c.start.height != side))
    spec.fail("start", concat("found a purifier of pictures of ", c.start.width, "×", c.start.height,
                              " pixels, expected ", side, "×", side, ", the data set's canvas"));
}

// Everything that the twins' pictures depend on.
Json twins_identity(const TrainingConfig& c) {
  Json list = Json::array();
  for (const auto& [attack, transform] : c.data.twins)
    list.push_back({{"name", attack->settings().name},
                    {"identity", attack->identity()},
                    {"transform", transform ? transform->identity() : Json()}});
  return list;
}

}  // namespace

CardChanges CardChanges::from(Spec& spec) {
  CardChanges changes;
  for (const auto& [key, value] : texts)
    if (spec.has(key)) changes.*value = spec.text(key);
  if (spec.has("in_style_of")) {
    Spec style = spec.object("in_style_of");
    const auto name = style.text("name"), year = style.text("year");
    changes.in_style_of = CardChanges::Style{name, year};
  }
  return changes;
}

void CardChanges::apply(Json& card) const {
  for (const auto& [key, value] : texts)
    if (this->*value) card[key] = *(this->*value);
  if (in_style_of) card["in_style_of"] = {{"name", in_style_of->name}, {"year", in_style_of->year}};
}

Spec read_recipe(Recipe& recipe, Spec& spec) {
  recipe.steps = spec.integer("steps", 1, many);
  recipe.warmup = spec.integer("warmup", 0, many, recipe.steps / 20);
  recipe.optimiser = OptimiserSettings::from(spec);
  recipe.decays = spec.choice("schedule", {"cosine", "constant"}, "cosine") == "cosine";
  recipe.batch_norm_learns = spec.choice("batch_norm", {"train", "frozen"}, "train") == "train";
  recipe.frozen = spec.texts("frozen", std::vector<std::string>{});
  recipe.gradient_limit = spec.number("gradient_limit", 1e-6, 1e6, 5);
  recipe.log_every = spec.integer("log_every", 1, many, 50);
  recipe.check_every = spec.integer("check_every", 1, many, std::max<std::int64_t>(recipe.steps / 10, 1));
  recipe.checkpoint_every = spec.integer("checkpoint_every", 1, many, 200);
  Spec batch = spec.object("batch");
  recipe.people_per_batch = static_cast<std::size_t>(batch.integer("people", 2, 65536));
  recipe.photos_per_person = static_cast<std::size_t>(batch.integer("photos", 1, 65536));
  recipe.replacement = batch.flag("replacement", false);
  Spec augmentation =
      spec.has("augmentation") ? spec.object("augmentation") : Spec(Json::object(), spec.where() + ", augmentation");
  recipe.augmentation = Augmentation::from(augmentation);
  augmentation.finish();
  return batch;
}

TrainingConfig read_training(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                             const ReadExcluded& read_excluded, ArtifactStore& store) {
  TrainingConfig c;
  c.name = config.stem().string();
  Spec spec(read_config(config, overrides, anchor_training), config.string());
  const auto task = spec.choice("task", {"recogniser", "cloak-detector", "purifier"}, "recogniser");
  if (task != "recogniser") c.task = task == "purifier" ? Task::purifier : Task::cloak_detector;
  const auto start = spec.text("start"), dataset = spec.text("dataset"), exclude = spec.text("exclude", "");
  Wanted wanted{};
  wanted.held_out = static_cast<std::size_t>(spec.integer("held_out", 0, many, 0));
  wanted.people = static_cast<std::size_t>(spec.integer("people", 0, many, 0));
  c.seed = static_cast<Seed>(spec.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 0));
  Spec batch = read_recipe(c.recipe, spec);
  const auto device = spec.text("device", "auto"),
             precision = spec.choice("precision", {"fp32", "tf32", "bf16"}, "fp32");
  if (spec.has("card")) {
    Spec card = spec.object("card");
    c.card = CardChanges::from(card);
  }
  c.start = read_card(start, c.detects() ? every_task : std::vector{c.task});
  c.start_trainings = trainings_of(c.start);
  c.options = run_options(device, precision, trust_model);
  read_twins(c, wanted.held_out, spec, batch);
  c.purifies() ? read_purification(c, spec) : read_loss(c, spec);
  const auto prepare_options = PrepareOptions::of_config(spec);
  const bool allow_perturbed = spec.flag("allow_perturbed", false);
  spec.finish();
  check_batch(c.recipe, spec, batch);
  const auto weights =
      verify_model(c.start.file, c.start.path.parent_path(), c.start.sha256, trust_model, c.start.how_to_get());
  c.data.dataset = dataset_of(dataset, prepare_options, store);
  if (c.data.dataset.photos.empty()) return c;  // not prepared yet, so the people to train on are unknown
  std::set<std::string> left_out;
  if (!exclude.empty()) {
    const Dataset others = read_excluded(exclude);
    left_out = people_seen({training_on(others, others.people(), "")}, c.data.dataset);
  }
  choose_people(c.data, c.seed, spec, wanted, left_out);
  check_canvas(c, spec);
  auto photos = photos_of(c.data.dataset, c.data.people);
  const auto held_out = photos_of(c.data.dataset, c.data.held_out);
  check_pairs(c, photos, spec);
  check_held_out(c, held_out, spec);
  photos.insert(photos.end(), held_out.begin(), held_out.end());
  c.data.perturbed_note = perturbed_note(photos);
  require_clean(dataset, c.data.perturbed_note, allow_perturbed);
  if (!c.recipe.replacement && c.recipe.people_per_batch > c.data.people.size())
    batch.fail("people", concat("found ", c.recipe.people_per_batch, ", but only ", c.data.people.size(),
                                " people are trained on"));
  c.resolved = spec.record();
  for (const auto* key :
       {"task", "dataset", "start", "card", "log_every", "checkpoint_every", "exclude", "prepare", "allow_perturbed"})
    c.resolved.erase(key);  // keys that do not affect the weights, or are added below
  if (c.needs_twins()) c.resolved["task"] = task, c.resolved["people_held_out"] = c.data.held_out;
  if (c.purifies()) {
    c.resolved["features"] = Json::array();
    for (const auto& extractor : c.purification.features) c.resolved["features"].push_back(extractor->identity());
  } else {
    c.resolved["augmentation"] = c.recipe.augmentation.record();
  }
  c.resolved["twins"] = twins_identity(c);
  c.resolved["people_trained_on"] = c.data.people;
  c.resolved["manifest_sha256"] = c.data.dataset.manifest_sha256;
  c.resolved["start"] = {{"weights", weights.sha256}, {"contract", c.start.contract()}};
  c.resolved["device"] = device_name(c.options.device);
  c.resolved["libtorch"] = libtorch_version();
  return c;
}

}  // namespace facepoison
