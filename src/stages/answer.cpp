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

// Everybody's embeddings are thousands of artefacts, the same for each swap: in a plan they are one unit of their own.
std::vector<std::string> needs_of(const Sides& sides, const Swapped& swap, ArtifactStore& store) {
  auto needs = swap.features.needs;
  for (const auto* side : {&sides.gallery, &sides.probes}) needs.push_back(store.plan_all(side->needs));
  return needs;
}

// A classifier that knows the clean gallery. A filter may leave nobody in it, or in a game's.
class GalleryKnown {
 public:
  GalleryKnown(const Classifier& classifier, const Sides& sides)
      : classifier_(classifier), gallery_(sides.gallery_labels.size()), probes_(sides.probes.read()) {
    if (gallery_ > 0) trained_ = classifier.train(sides.gallery.read(), sides.gallery_labels, probes_);
  }

  std::vector<Prediction> operator()(std::vector<Swap> swaps) const {
    std::vector<Prediction> all(swaps.size());
    std::vector<Swap> usual;
    std::vector<std::size_t> places;
    for (std::size_t s = 0; s < swaps.size(); ++s) {
      auto& swap = swaps[s];
      if (!swap.features.defined()) swap.features = torch::empty({0, probes_.size(1)});
      if (gallery_ + swap.added.size() == swap.removed.size()) {
        all[s] = of_nobody(swap);
      } else if (!trained_) {
        all[s] = of_newcomers(std::move(swap));
      } else {
        usual.push_back(std::move(swap));
        places.push_back(s);
      }
    }
    if (usual.empty()) return all;
    auto predictions = trained_->predict_swapped(usual);
    for (std::size_t n = 0; n < places.size(); ++n) all[places[n]] = std::move(predictions[n]);
    return all;
  }

 private:
  Prediction of_nobody(const Swap& swap) const {
    const auto probes = static_cast<std::size_t>(probes_.size(0));
    return {std::vector<std::int64_t>(probes, -1), std::vector(probes, std::nan("")),
            std::vector<std::int64_t>(swap.asked.size())};
  }

  // The gallery has what is added alone.
  Prediction of_newcomers(Swap swap) const {
    const auto trained = classifier_.train(swap.features, swap.added, probes_);
    for (std::size_t n = 0; n < swap.added.size(); ++n) swap.rows.push_back(static_cast<std::int64_t>(n));
    swap.added.clear();
    return trained->predict_swapped(std::vector{std::move(swap)}).front();
  }

  const Classifier& classifier_;
  std::size_t gallery_;
  torch::Tensor probes_;
  std::unique_ptr<Trained> trained_;
};

// JSON has null for what is not known.
std::vector<double> numbers_of(const Json& list) {
  std::vector<double> numbers;
  for (const auto& number : list) numbers.push_back(number.is_null() ? std::nan("") : number.get<double>());
  return numbers;
}

}  // namespace

// Found by the JSON library, which does not look into a nameless namespace.
static void to_json(Json& json, const Naming& naming) { json = {naming.probe, naming.label, naming.distance}; }
static void from_json(const Json& json, Naming& naming) {
  naming = {json.at(0), json.at(1), json.at(2).is_null() ? std::nan("") : json.at(2).get<double>()};
}

std::vector<Naming> namings(const Prediction& prediction) {
  std::vector<Naming> all;
  for (std::size_t p = 0; p < prediction.labels.size(); ++p)
    all.push_back({p, prediction.labels[p], prediction.distances[p]});
  return all;
}

Answer answer_of(const Prediction& prediction, const Probes& probes, std::int64_t person,
                 const std::vector<Naming>& everybody) {
  Answer answer;
  const auto all = namings(prediction);
  for (const auto probe : probes.probes_of(person)) {
    answer.labels.push_back(all[static_cast<std::size_t>(probe)].label);
    answer.distances.push_back(all[static_cast<std::size_t>(probe)].distance);
  }
  answer.ranks = prediction.ranks;
  answer.ranks.resize(answer.labels.size());
  for (const auto& naming : all) {
    const auto label = probes.probe_labels[naming.probe];
    if (!probes.is_of_others(naming.probe, person)) continue;
    ++answer.others;
    answer.others_errors += naming.label != label;
    answer.others_as_person += naming.label == person;
    if (naming != everybody[naming.probe]) answer.changed.push_back(naming);
  }
  return answer;
}

std::vector<std::int64_t> Probes::probes_of(std::int64_t label) const {
  std::vector<std::int64_t> rows;
  for (std::size_t p = 0; p < probe_labels.size(); ++p) {
    if (probe_labels[p] != label) continue;
    if (p >= posed_from && !rows.empty() && rows.back() < static_cast<std::int64_t>(posed_from)) rows.clear();
    rows.push_back(static_cast<std::int64_t>(p));
  }
  return rows;
}

Answers answer(const Sides& sides, std::span<const Swapped> swaps, const Classifier& classifier,
               const std::string& label, ArtifactStore& store) {
  const Json shared = {{"format", 4},
                       {"classifier", classifier.identity()},
                       {"arithmetic", arithmetic(torch::kCPU)},
                       {"gallery", digest_of(sides.gallery, sides.gallery_labels)},
                       {"probes", digest_of(sides.probes, sides.probe_labels)},
                       {"posed_from", sides.posed_from}};
  // The first is nobody's: the gallery as everybody sees it, whose every naming is kept as a changed one.
  std::vector<Swapped> games = {{"", -1, {}, 0, {}, {}}};
  games.insert(games.end(), swaps.begin(), swaps.end());
  auto units = cut_by_person(std::span<const Swapped>(games), 1);
  for (auto& unit : units) {
    const auto& game = games[unit.first];
    unit.key = shared;
    unit.key["person"] = game.label;
    unit.key["swap"] = digest_of(game.features, game.rows);
    if (game.added) unit.key["added"] = game.added;
    if (!game.removed.empty()) unit.key["removed"] = game.removed;
    if (store.planning()) unit.needs = needs_of(sides, game, store);
  }
  std::unique_ptr<const GalleryKnown> known;
  std::vector<Naming> everybody;
  Arrow<std::vector<Swap>, Answer> arrow{"answered", label, batch_size, "people"};
  arrow.work = {classifier.identity(), sides.gallery_labels.size(), sides.probe_labels.size(), arithmetic(torch::kCPU)};
  arrow.decode = [&](const auto& rows) {
    std::vector<Swap> some;
    for (const auto row : rows) {
      const auto& game = games[row];
      const bool any = game.rows.size() + game.added > 0, there = any || !game.removed.empty();
      some.push_back({game.rows, any ? game.features.read() : torch::Tensor(),
                      std::vector<std::int64_t>(game.added, game.label), game.removed,
                      there ? sides.probes_of(game.label) : std::vector<std::int64_t>()});
    }
    return some;
  };
  arrow.make = [&](const auto& rows, std::vector<Swap> some) {
    if (!known) {
      known = std::make_unique<GalleryKnown>(classifier, sides);
      everybody = namings((*known)({Swap{}}).front());
    }
    const auto predictions = (*known)(std::move(some));
    std::vector<Answer> made;
    for (std::size_t n = 0; n < rows.size(); ++n)
      made.push_back(answer_of(predictions[n], sides, games[rows[n]].label, everybody));
    return made;
  };
  arrow.write = [&](const Unit& unit, std::span<const Answer> made, const fs::path& at) {
    const auto& one = made.front();
    const Json json = {{"labels", one.labels},
                       {"distances", one.distances},
                       {"ranks", one.ranks},
                       {"others", one.others},
                       {"others_errors", one.others_errors},
                       {"others_as_person", one.others_as_person},
                       {"changed", unit.first == 0 ? everybody : one.changed}};
    write_unflushed(at / "answer.json", json.dump());
  };
  Answers answers;
  const auto folders = arrow.follow(units, store);
  if (store.planning()) return answers;
  for (const auto& folder : folders) {
    const Json json = read_json(folder / "answer.json");
    answers.games.push_back({json.at("labels"), numbers_of(json.at("distances")), json.at("ranks"), json.at("others"),
                             json.at("others_errors"), json.at("others_as_person"),
                             json.at("changed").get<std::vector<Naming>>()});
  }
  answers.everybody = std::move(answers.games.front().changed);
  answers.games.erase(answers.games.begin());
  return answers;
}

}  // namespace facepoison
