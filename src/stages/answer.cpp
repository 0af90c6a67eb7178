// What a classifier says of each protected person's game: an arrow, so that a second run classifies nothing.
#include "facepoison/arrow.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
namespace {

// Games at once: many enough for large products, few enough to lose little.
constexpr std::size_t batch_size = 64;

std::string digest_of(const torch::Tensor& features, const std::vector<std::int64_t>& numbers) {
  const auto rows = features.contiguous();
  const std::string_view bytes(static_cast<const char*>(rows.data_ptr()), rows.nbytes());
  return sha256(concat(sha256(bytes), " ", rows.size(0), " ", Json(numbers).dump()));
}

Answer answer_of(const Prediction& prediction, const Clean& clean, std::int64_t person) {
  Answer answer;
  for (std::size_t p = 0; p < prediction.labels.size(); ++p) {
    const auto label = clean.probe_labels[p];
    if (label == person) {
      answer.labels.push_back(prediction.labels[p]);
      answer.distances.push_back(prediction.distances[p]);
    } else {
      ++answer.others;
      answer.others_errors += prediction.labels[p] != label;
    }
  }
  return answer;
}

}  // namespace

std::vector<Answer> answer(const Clean& clean, std::span<const Game> games, const Json& wanted,
                           const std::string& label, ArtifactStore& store) {
  const auto classifier = make_classifier(wanted);
  Json what = wanted;
  if (what.is_object()) what.erase("name");
  const Json shared = {{"format", 1},
                       {"classifier", what},
                       {"arithmetic", arithmetic(torch::kCPU)},
                       {"gallery", digest_of(clean.gallery, clean.gallery_labels)},
                       {"probes", digest_of(clean.probes, clean.probe_labels)}};
  auto units = cut_by_person(games, 1);
  for (auto& unit : units) {
    const auto& game = games[unit.first];
    unit.key = shared;
    unit.key["person"] = game.label;
    unit.key["swap"] = digest_of(game.swap.features, game.swap.rows);
  }
  std::unique_ptr<Trained> trained;
  Arrow<std::vector<Swap>, Answer> arrow{"answered", label, batch_size, "people"};
  arrow.decode = [&](const auto& rows) {
    std::vector<Swap> swaps;
    for (const auto row : rows) swaps.push_back(games[row].swap);
    return swaps;
  };
  arrow.make = [&](const auto& rows, std::vector<Swap> swaps) {
    if (!trained) trained = classifier->train(clean.gallery, clean.gallery_labels, clean.probes);
    const auto predictions = trained->predict_swapped(swaps);
    std::vector<Answer> made;
    for (std::size_t n = 0; n < rows.size(); ++n)
      made.push_back(answer_of(predictions[n], clean, games[rows[n]].label));
    return made;
  };
  arrow.write = [](const Unit&, std::span<const Answer> made, const fs::path& at) {
    const auto& one = made.front();
    const Json json = {{"labels", one.labels},
                       {"distances", one.distances},
                       {"others", one.others},
                       {"others_errors", one.others_errors}};
    write_unflushed(at / "answer.json", json.dump());
  };
  std::vector<Answer> answers;
  for (const auto& folder : arrow.follow(units, store)) {
    const Json json = read_json(folder / "answer.json");
    answers.push_back({json.at("labels"), json.at("distances"), json.at("others"), json.at("others_errors")});
  }
  return answers;
}

}  // namespace facepoison
