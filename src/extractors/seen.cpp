#include "facepoison/seen.hpp"

#include "facepoison/error.hpp"

namespace facepoison {

std::vector<Training> trainings_of(const Card& card) {
  if (card.trained_on_file.empty()) return {};
  const fs::path path = card.path.parent_path() / card.trained_on_file;
  if (!fs::exists(path))
    throw Error(Exit::model, concat(card.path.string(), ": no file ", path.string(), ", which lists the people that ",
                                    card.name, " was trained on"));
  if (!same_digest(sha256_of_file(path), card.trained_on_sha256))
    throw Error(Exit::model, concat(card.path.string(), ": ", path.string(), " is not the file that the card names"));
  std::vector<Training> trainings;
  try {
    const Json record = read_json(path);
    for (const auto& one : record.at("trainings"))
      trainings.push_back({one.at("recogniser"), one.at("manifest_sha256"), one.at("people"), one.at("photos")});
  } catch (const std::exception& error) {
    throw Error(Exit::model, concat(path.string(), ": not a record of a training: ", error.what()));
  }
  return trainings;
}

std::string print(const std::vector<Training>& trainings) {
  Json list = Json::array();
  for (const auto& one : trainings)
    list.push_back({{"recogniser", one.recogniser},
                    {"manifest_sha256", one.manifest_sha256},
                    {"people", one.people},
                    {"photos", one.photos}});
  return Json{{"trainings", list}}.dump(1) + "\n";
}

Training training_on(const Dataset& dataset, const std::vector<std::string>& people, const std::string& recogniser) {
  Training training{recogniser, dataset.manifest_sha256, {people.begin(), people.end()}, {}};
  for (const auto& photo : dataset.photos)
    if (training.people.count(photo.person)) training.photos.insert(photo.source_sha256);
  return training;
}

std::set<std::string> people_seen(const std::vector<Training>& trainings, const Dataset& dataset) {
  std::set<std::string> people;
  for (const auto& training : trainings)
    for (const auto& photo : dataset.photos)
      if (training.photos.count(photo.source_sha256) ||
          (training.manifest_sha256 == dataset.manifest_sha256 && training.people.count(photo.person)))
        people.insert(photo.person);
  return people;
}

}  // namespace facepoison
