// What a classifier says of each protected person's game: an arrow, so that a second run classifies nothing.
#include "facepoison/arrow.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
namespace {

// Games at once: many enough for large products, few enough to lose little.
constexpr std::size_t batch_size = 64;

std::string digest_of(const Features& features, const std::vector<std::int64_t>& numbers) {
  return sha256(concat(features.name, " ", Json(numbers).dump()));
}

Answer answer_of(const Prediction& prediction, const Sides& sides, std::int64_t person) {
  Answer answer;
  for (std::size_t p = 0; p < prediction.labels.size(); ++p) {
    const auto label = sides.probe_labels[p];
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

// Everybody's embeddings are thousands of artefacts, the same for each swap: in a plan they are one unit of their own.
std::vector<std::string> needs_of(const Sides& sides, const Swapped& swap, ArtifactStore& store) {
  auto needs = swap.features.needs;
  for (const auto* side : {&sides.gallery, &sides.probes}) needs.push_back(store.plan_all(side->needs));
  return needs;
}

}  // namespace

std::vector<Answer> answer(const Sides& sides, std::span<const Swapped> swaps, const Json& wanted,
                           const std::string& label, ArtifactStore& store) {
  const auto classifier = make_classifier(wanted);
  Json what = wanted;
  if (what.is_object()) what.erase("name");
  const Json shared = {{"format", 2},
                       {"classifier", what},
                       {"arithmetic", arithmetic(torch::kCPU)},
                       {"gallery", digest_of(sides.gallery, sides.gallery_labels)},
                       {"probes", digest_of(sides.probes, sides.probe_labels)}};
  auto units = cut_by_person(swaps, 1);
  for (auto& unit : units) {
    const auto& swap = swaps[unit.first];
    unit.key = shared;
    unit.key["person"] = swap.label;
    unit.key["swap"] = digest_of(swap.features, swap.rows);
    if (swap.added) unit.key["added"] = swap.added;
    if (store.planning()) unit.needs = needs_of(sides, swap, store);
  }
  std::unique_ptr<Trained> trained;
  Arrow<std::vector<Swap>, Answer> arrow{"answered", label, batch_size, "people"};
  arrow.work = {what, sides.gallery_labels.size(), sides.probe_labels.size(), arithmetic(torch::kCPU)};
  arrow.decode = [&](const auto& rows) {
    std::vector<Swap> some;
    for (const auto row : rows) {
      const auto& swap = swaps[row];
      some.push_back({swap.rows, swap.features.read(), std::vector<std::int64_t>(swap.added, swap.label)});
    }
    return some;
  };
  arrow.make = [&](const auto& rows, std::vector<Swap> some) {
    if (!trained) trained = classifier->train(sides.gallery.read(), sides.gallery_labels, sides.probes.read());
    const auto predictions = trained->predict_swapped(some);
    std::vector<Answer> made;
    for (std::size_t n = 0; n < rows.size(); ++n)
      made.push_back(answer_of(predictions[n], sides, swaps[rows[n]].label));
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
  const auto folders = arrow.follow(units, store);
  if (store.planning()) return answers;
  for (const auto& folder : folders) {
    const Json json = read_json(folder / "answer.json");
    answers.push_back({json.at("labels"), json.at("distances"), json.at("others"), json.at("others_errors")});
  }
  return answers;
}

}  // namespace facepoison
