#include "facepoison/card.hpp"

#include <algorithm>
#include <tuple>

#include "facepoison/error.hpp"
#include "facepoison/geometry.hpp"
#include "facepoison/home.hpp"

namespace facepoison {
namespace {

struct TaskRow {
  Task task;
  std::string name, called;
  std::vector<fs::path> folders;
};
const std::vector<TaskRow> tasks_known = {
    {Task::recogniser, "recogniser", "a recogniser", {"configs/extractors", "data/recognisers"}},
    {Task::cloak_detector, "cloak-detector", "a cloak detector", {"configs/cloak-detectors", "data/cloak-detectors"}},
    {Task::purifier, "purifier", "a purifier", {"configs/purifiers", "data/purifiers"}},
    {Task::image_network, "image-network", "an image network", {"configs/networks"}}};

const TaskRow& row_of(Task task) {
  return *std::find_if(tasks_known.begin(), tasks_known.end(), [&](const auto& row) { return row.task == task; });
}

// The path of a card, also of another task, so that the error does not call its name unknown.
fs::path card_path(const std::string& name_or_path, const std::vector<Task>& tasks) {
  auto rows = tasks_known;
  std::stable_partition(rows.begin(), rows.end(), [&](const auto& row) {
    return std::find(tasks.begin(), tasks.end(), row.task) != tasks.end();
  });
  for (const auto& row : rows)
    for (const auto& folder : row.folders)
      if (const auto path = resolve_named(name_or_path, folder); fs::exists(path)) return path;
  return resolve_named(name_or_path, rows.front().folders.front());
}

Task read_task(Spec& spec, const std::string& name, const std::vector<Task>& wanted) {
  std::vector<std::string> names, called;
  for (const auto& row : tasks_known) names.push_back(row.name);
  const auto is = spec.choice("task", names, names.front());
  const auto& found =
      *std::find_if(tasks_known.begin(), tasks_known.end(), [&](const auto& row) { return row.name == is; });
  for (const auto task : wanted) called.push_back(row_of(task).called);
  if (std::find(wanted.begin(), wanted.end(), found.task) == wanted.end())
    throw Error(Exit::model, concat(name, " is ", found.called, " (", spec.where(), "); expected ", listed(called)));
  return found.task;
}

// Adds what an exporter or a conversion wrote beside the weights: their origin, and a golden embedding and the
// dimension, if the card has none.
void complete(Card& card) {
  card.origin = card.source.value("exported_sha256", "");
  card.verified = card.source.value("verified", "");
  const fs::path record = model_path(card.file, card.path.parent_path()).replace_extension(".json");
  if (!fs::exists(record) || record == card.path) return;
  const Json found = read_json(record);
  if (!found.is_object()) return;
  if (found.contains("source") && found["source"].is_object()) {
    card.origin = found["source"].value("exported_sha256", card.origin);
    card.verified = found["source"].value("verified", card.verified);
  }
  card.origin = found.value("source_sha256", card.origin);
  if (card.golden.empty() && found.contains("golden") && found["golden"].is_object())
    card.golden = record.parent_path() / found["golden"].value("file", "");
  if (card.dimension == 0 && found.contains("dimension") && found["dimension"].is_number_integer())
    card.dimension = static_cast<int>(Spec(found, record.string()).integer("dimension", 1, 65536));
}

// Names of an enum's values; the first is the default.
template <class Value>
using EnumNames = std::vector<std::pair<std::string, Value>>;

const EnumNames<Interpolation> interpolations = {
    {"bilinear", Interpolation::bilinear}, {"bicubic", Interpolation::bicubic}, {"nearest", Interpolation::nearest}};
const EnumNames<Resize> resizings = {{"squash", Resize::squash}, {"centre-crop", Resize::centre_crop}};

template <class Value>
Value choose(Spec& spec, const std::string& key, const EnumNames<Value>& names) {
  std::vector<std::string> choices;
  for (const auto& [name, value] : names) choices.push_back(name);
  const auto chosen = spec.choice(key, choices, choices.front());
  return std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == chosen; })->second;
}

template <class Value>
std::string name_of(Value value, const EnumNames<Value>& names) {
  return std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.second == value; })->first;
}

std::array<double, 3> three(Spec& spec, const std::string& key) {
  const auto values = spec.numbers(key, 3);
  return {values[0], values[1], values[2]};
}

// Reads "trained_against": names, or {"name": …, "identity": the hash of all that decides its pictures}, as training
// writes them.
std::vector<std::string> attacks_of(Spec& spec) {
  const Json attacks = spec.raw("trained_against", Json::array());
  std::vector<std::string> names;
  const auto name_of = [](const Json& one) { return one.is_object() ? one.value("name", Json()) : one; };
  for (const auto& one : attacks.is_array() ? attacks : Json::array({attacks})) {
    if (!attacks.is_array() || !name_of(one).is_string())
      spec.fail("trained_against",
                concat("found ", one.dump(), ", expected a list of names, or of {\"name\", \"identity\"}"));
    names.push_back(name_of(one).get<std::string>());
  }
  return names;
}

// Refuses a purifier that needs any preprocessing: its input and its output are a canvas as it is.
void check_purifier(const Card& card, const Spec& input) {
  const std::array<double, 3> none{}, ones{1, 1, 1};
  if (card.template_name != "none" || card.bgr || card.scale != 1 || card.mean != none || card.std != ones ||
      card.flip_averaging)
    input.fail("scale",
               "a purifier takes pictures as they are: expected template none, channels rgb, scale 1, mean 0, "
               "std 1, no flip_averaging");
}

}  // namespace

std::string name_of(Interpolation interpolation) { return name_of(interpolation, interpolations); }

Json Card::contract() const {
  Json contract = {{"template", template_name},
                   {"bgr", bgr},
                   {"scale", scale},
                   {"mean", mean},
                   {"std", std},
                   {"interpolation", name_of(interpolation)},
                   {"antialias", antialias},
                   {"resize", name_of(resize, resizings)},
                   {"method", method},
                   {"flip_averaging", flip_averaging},
                   {"dimension", dimension}};
  if (width == height)
    contract["side"] = width;
  else
    contract["width"] = width, contract["height"] = height;
  return contract;
}

std::string Card::how_to_get() const {
  if (source.contains("package") || !published.empty()) return "scripts/fetch_models.py " + name;
  return source.value("export", "");
}

Card read_card(const std::string& name_or_path, const std::vector<Task>& tasks) {
  Card card;
  card.path = card_path(name_or_path, tasks);
  if (!fs::exists(card.path)) {
    const auto names = card_names(tasks.front());
    const auto near = nearest_name(name_or_path, names);
    const auto what = tasks.front() == Task::recogniser ? "extractor"
                      : tasks.front() == Task::purifier ? "purifier"
                                                        : "cloak detector";
    throw Error(Exit::usage, concat("no ", what, " \"", name_or_path, "\" (", card.path.string(), "); ",
                                    near.empty() ? "there are " + listed(names) : "did you mean " + near + "?"));
  }
  card.name = card.path.stem().string();
  Spec spec(read_json(card.path), card.path.string());
  card.task = read_task(spec, card.name, tasks);
  if (card.task == Task::cloak_detector) card.threshold = spec.number("threshold", 0, 1);
  card.title = spec.text("title");
  card.released = spec.text("released");
  card.trained_against = attacks_of(spec);
  card.trained_from = spec.text("trained_from", "");
  if (spec.has("trained_on")) {
    Spec trained_on = spec.object("trained_on");
    card.trained_on_file = trained_on.text("file");
    card.trained_on_sha256 = trained_on.text("sha256");
  }
  card.licence = spec.text("licence");
  card.notes = spec.text("notes", "");
  if (spec.has("in_style_of")) {
    Spec style = spec.object("in_style_of");
    card.style_name = style.text("name");
    card.style_year = style.text("year");
  }
  card.file = spec.text("file");
  card.sha256 = spec.text("sha256", "");
  card.source = spec.raw("source", Json::object());
  card.published = spec.raw("published", Json::object());
  if (!card.published.is_object())
    spec.fail("published", concat("found ", card.published.dump(), ", expected an object"));
  card.method = spec.text("method", "forward");
  card.flip_averaging = spec.flag("flip_averaging", false);
  // The dimension of some published files is not known before they are exported; a purifier's is that of its input.
  if (card.task != Task::purifier &&
      (spec.has("dimension") || (card.published.empty() && !card.source.contains("export"))))
    card.dimension = static_cast<int>(spec.integer("dimension", 1, card.task == Task::cloak_detector ? 1 : 65536));
  Spec input = spec.object("input");
  const auto pixels = [&](const char* key) { return static_cast<int>(input.integer(key, 8, 4096)); };
  if (input.has("width") || input.has("height"))
    card.width = pixels("width"), card.height = pixels("height");
  else
    card.width = card.height = pixels("side");
  card.template_name = input.choice("template", {"arcface-112", "dlib-150", "none"});
  card.bgr = input.choice("channels", {"rgb", "bgr"}) == "bgr";
  card.scale = input.number("scale", 1e-6, 1e6);
  card.mean = three(input, "mean");
  card.std = three(input, "std");
  card.interpolation = choose(input, "interpolation", interpolations);
  card.antialias = input.flag("antialias", false);
  card.resize = choose(input, "resize", resizings);
  if (card.task == Task::purifier) {
    check_purifier(card, input);
    card.dimension = 3 * card.width * card.height;
  }
  if (card.antialias && card.interpolation == Interpolation::nearest)
    input.fail("antialias", "nearest cannot be antialiased");
  for (const double value : card.std)
    if (value == 0) input.fail("std", "found 0, expected numbers other than 0");
  if (spec.has("golden")) {
    Spec golden = spec.object("golden");
    card.golden = card.path.parent_path() / golden.text("file");
    golden.text("made_with", "");
  }
  spec.finish();
  complete(card);
  return card;
}

std::vector<std::string> card_names(Task task) {
  std::vector<std::string> names;
  for (const auto& folder : row_of(task).folders)
    for (const auto& name : names_in(folder)) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Card> all_cards(Task task) {
  std::vector<Card> cards;
  for (const auto& name : card_names(task)) cards.push_back(read_card(name, {task}));
  std::sort(cards.begin(), cards.end(),
            [](const Card& a, const Card& b) { return std::tie(a.order(), a.name) < std::tie(b.order(), b.name); });
  return cards;
}

}  // namespace facepoison
