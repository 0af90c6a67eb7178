// Who is protected, and which networks saw them in training.
#include <algorithm>
#include <set>

#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/seen.hpp"
#include "experiments/config.hpp"
#include "experiments/repeats.hpp"

namespace facepoison {

void find_eligible(Experiment& e) {
  std::set<std::string> with_train, with_test;
  for (std::size_t i = 0; i < e.dataset.photos.size(); ++i) {
    const auto& photo = e.dataset.photos[i];
    if (photo.train()) e.train.emplace_back(i), with_train.insert(photo.person);
    if (photo.test()) e.test.emplace_back(i), with_test.insert(photo.person);
  }
  if (e.train.empty() || e.test.empty())
    throw Error(Exit::input, concat(e.dataset.folder.string(), ": ", e.train.size(), " train and ", e.test.size(),
                                    " test photos; both are needed"));
  std::set_intersection(with_train.begin(), with_train.end(), with_test.begin(), with_test.end(),
                        std::back_inserter(e.eligible));
  if (e.eligible.empty())
    throw Error(Exit::input, concat(e.dataset.folder.string(), ": nobody has both train and test photos"));
}

void limit_gallery(Experiment& e, std::int64_t photos) {
  std::map<std::string, std::vector<PhotoRow>> albums;
  for (const auto row : e.train) albums[e.dataset.photos[row].person].push_back(row);
  e.train.clear();
  for (auto& [person, rows] : albums) {
    Stream(0, "gallery photos", person).shuffle(rows);
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(photos)));
    e.train.insert(e.train.end(), rows.begin(), rows.end());
  }
  std::sort(e.train.begin(), e.train.end());
}

void add_distractors(const Spec& spec, const fs::path& path, PrepareOptions prepare, bool allow_perturbed,
                     Experiment& e, ArtifactStore& store) {
  prepare.people = {"all"};
  prepare.photos_per_person = 1;
  Dataset others = dataset_of(path, prepare, store);
  if (others.photos.empty()) {  // not prepared yet
    e.dataset = std::move(others);
    return;
  }
  require_clean(path.string(), perturbed_note(others.photos), allow_perturbed);
  if (others.side != e.dataset.side)
    spec.fail("distractors_from",
              concat("found canvases of ", others.side, " pixels, expected ", e.dataset.side, " as in the data set"));
  const auto known = e.dataset.people();
  std::set<std::string> met(known.begin(), known.end());
  std::vector<Photo> photos;
  for (auto& photo : others.photos)
    if (met.insert(photo.person).second) photos.push_back(std::move(photo));
  Stream(0, "distractors").shuffle(photos);
  std::int64_t most = 0;
  for (const auto& one : e.axes.each(Axis::distractors)) most = std::max(most, one.distractors);
  if (most > static_cast<std::int64_t>(photos.size()))
    spec.fail("distractors", concat("found ", most, ", expected at most ", photos.size(),
                                    ": so many people of distractors_from have a usable photo and are not in the data "
                                    "set"));
  photos.resize(static_cast<std::size_t>(most));
  for (auto& photo : photos) {
    photo.id = "distractors/" + photo.id;
    photo.split = Split::none;
    e.distractors.emplace_back(e.dataset.photos.size());
    e.dataset.photos.push_back(std::move(photo));
  }
  e.distractors_sha256 = others.manifest_sha256;
}

namespace {

// The eligible people who have at least this many photos.
std::vector<std::string> people_with(std::int64_t photos, const Experiment& e) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& photo : e.dataset.photos) ++counts[photo.person];
  std::vector<std::string> people = e.eligible;
  std::erase_if(people, [&](const std::string& person) { return counts[person] < photos; });
  return people;
}

}  // namespace

// The draw is nested, the first K of one shuffled list, so that a larger K keeps everybody of a smaller one.
std::vector<std::string> choose_protected(const Spec& spec, const Json& given, const Experiment& e, Seed seed) {
  std::vector<std::string> drawn = e.eligible;
  Json wanted = given;
  if (given.is_object()) {
    Spec object(given, concat(spec.where(), ", protected"));
    wanted = object.raw("people", Json("all"));
    drawn = people_with(object.integer("least_photos", 1, std::numeric_limits<std::int64_t>::max(), 1), e);
    object.finish();
    if (drawn.empty()) object.fail("least_photos", "no person who can be protected has so many photos");
  }
  Stream(seed, "protected").shuffle(drawn);
  if (wanted == "all") return drawn;
  if (wanted.is_number_integer()) {
    const auto count = wanted.get<std::int64_t>();
    if (count < 1 || count > static_cast<std::int64_t>(drawn.size()))
      spec.fail("protected",
                concat("found ", count, ", expected 1 to ", drawn.size(), " (people with train and test photos)"));
    drawn.resize(static_cast<std::size_t>(count));
    return drawn;
  }
  if (!wanted.is_array() || wanted.empty())
    spec.fail(
        "protected",
        concat("found ", wanted.dump(),
               ", expected \"all\", a number, a list of names, or an object with \"people\" and \"least_photos\""));
  std::vector<std::string> named;
  for (const auto& name : wanted) {
    if (!name.is_string()) spec.fail("protected", concat("found ", name.dump(), " in the list, expected a name"));
    const auto wanted_name = name.get<std::string>();
    if (const auto person = person_named(wanted_name, e.eligible)) {
      named.push_back(*person);
      continue;
    }
    const auto near = nearest_name(wanted_name, e.eligible);
    spec.fail("protected",
              person_named(wanted_name, e.dataset.people())
                  ? concat("\"", wanted_name, "\" has no train or no test photo")
                  : concat("no person \"", wanted_name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  refuse_repeats(spec, "protected", named, [](const std::string& name) { return name; });
  return named;
}

namespace {

// The cards of all networks that the trainer uses, each once.
std::vector<Card> cards_of(const Experiment& e) {
  std::vector<Card> cards;
  const auto add = [&](const Card& card) {
    if (std::none_of(cards.begin(), cards.end(), [&](const Card& known) { return known.path == card.path; }))
      cards.push_back(card);
  };
  for (const auto* networks : {&e.extractors, &e.detectors})
    for (const auto& network : *networks) add(network->card());
  for (const auto& one : e.axes.each(Axis::filter))
    if (one.filter) add(one.filter->card());
  const auto add_all = [&](const std::shared_ptr<const Transform>& transform) {
    if (!transform) return;
    for (const auto& card : transform->cards()) add(card);
  };
  for (const auto& one : e.axes.each(Axis::transform)) add_all(one.transform);
  for (const auto& one : e.axes.each(Axis::probes)) add_all(one.probes.transform);
  return cards;
}

}  // namespace

void check_seen(Experiment& e) {
  std::set<std::string> protected_people;
  for (const auto& drawn : e.protected_people) protected_people.insert(drawn.begin(), drawn.end());
  for (const auto& card : cards_of(e)) {
    const auto trainings = trainings_of(card);
    if (trainings.empty()) continue;
    std::vector<std::string> met;
    std::size_t others = 0;
    std::set<std::string> people, photos;
    for (const auto& person : people_seen(trainings, e.dataset))
      if (protected_people.count(person))
        met.push_back(person);
      else
        ++others;
    if (!met.empty())
      throw Error(Exit::usage, concat(card.name, " was trained on photos of ", listed(met, 5),
                                      ", who are protected here: protect other people, or train without these (key "
                                      "\"exclude\" of the training's config)"));
    for (const auto& training : trainings) {
      people.insert(training.people.begin(), training.people.end());
      photos.insert(training.photos.begin(), training.photos.end());
    }
    e.seen.push_back(concat(card.name, ": trained on ", photos.size(), " photos of ", people.size(),
                            " people; of those here nobody who is protected, and ", others, " others"));
  }
}

Dataset protected_photos(const fs::path& config, ArtifactStore& store) {
  Spec spec(read_config(config, {}, anchor_experiment), config.string());
  Experiment e;
  e.dataset = dataset_of(spec.text("dataset"), PrepareOptions::of_config(spec), store);
  if (!e.is_prepared()) return std::move(e.dataset);
  find_eligible(e);
  std::set<std::string> people;
  const Json wanted = spec.raw("protected", Json("all"));
  for (const auto seed : read_seeds(spec))
    for (const auto& person : choose_protected(spec, wanted, e, seed)) people.insert(person);
  std::erase_if(e.dataset.photos, [&](const Photo& photo) { return !people.count(photo.person); });
  return std::move(e.dataset);
}

}  // namespace facepoison
