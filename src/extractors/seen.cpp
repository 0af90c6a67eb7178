#include "facepoison/seen.hpp"

#include <algorithm>

#include "facepoison/error.hpp"

namespace facepoison {

std::vector<Training> trainings_of(const Card& card) {
  if (card.trained_on_file.empty()) return {};
  const fs::path path = card.path.parent_path() / card.trained_on_file;
  if (!fs::exists(path))
    throw Error(Exit::model, concat(card.path.string(), ": ", path.string(), ", which says whom ", card.name,
                                    " saw in training, is missing"));
  if (sha256_of_file(path) != card.trained_on_sha256)
    throw Error(Exit::model, concat(card.path.string(), ": ", path.string(), " is not the file that the card names"));
  std::vector<Training> trainings;
  try {
    const Json record = read_json(path);
    for (const auto& one : record.at("trainings"))
      trainings.push_back({one.at("recogniser"), one.at("manifest_sha256"), one.at("people"), one.at("photos")});
  } catch (const std::exception& error) {
    throw Error(Exit::model, concat(path.string(), ": no record of a training: ", error.what()));
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

bool saw(const std::vector<Training>& trainings, const std::string& manifest_sha256, std::span<const Photo> photos) {
  return std::any_of(trainings.begin(), trainings.end(), [&](const Training& one) {
    return std::any_of(photos.begin(), photos.end(), [&](const Photo& photo) {
      return one.photos.count(photo.source_sha256) ||
             (one.manifest_sha256 == manifest_sha256 && one.people.count(photo.person));
    });
  });
}

}  // namespace facepoison
