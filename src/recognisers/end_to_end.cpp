// An extractor and a dense layer after it, trained together on the gallery of each game, as FaceCure's eval_e2e.py
// does. Deviations: LibTorch's networks, where they had Keras's; a photo is aligned as the card says; everybody's test
// photos are judged, where they had 50 random batches of the others'.
#include <optional>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/training.hpp"
#include "recognisers/end_to_end.hpp"
#include "stages/blocks.hpp"
#include "training/photos.hpp"

namespace facepoison {
namespace {

// Of what a training computes, a part of its key: to be raised when its scores change, which a test sees.
constexpr int end_to_end_version = 2;

using Picks = std::vector<Pick>;

class EndToEnd final : public Recogniser {
 public:
  EndToEnd(std::shared_ptr<const FeatureExtractor> extractor, const Json& wanted, const RunOptions& options)
      : extractor_(std::move(extractor)) {
    Spec spec(wanted.is_object() ? wanted : Json{{"classifier", wanted}}, "classifier end-to-end");
    spec.text("classifier");
    spec.text("name", "");
    how_.options = options;
    how_.start = extractor_->card();
    Spec loss({{"kind", "softmax"}}, "loss");
    how_.recipe.loss = LossChoice::from(loss);
    read_recipe(how_.recipe, spec);
    const Json twins = spec.raw("public_twins", Json::array());
    if (!twins.is_array()) spec.fail("public_twins", concat("found ", twins.dump(), ", expected a list of attacks"));
    for (const auto& twin : twins) {
      how_.data.twins.push_back({make_attack(twin, options), nullptr});
      if (!how_.data.twins.back().attack->changes_photos())
        spec.fail("public_twins", concat(twin.dump(), " leaves photos as they are"));
    }
    spec.finish();
    Json recipe = spec.record();
    for (const auto* key : {"classifier", "name", "public_twins", "log_every", "check_every", "checkpoint_every"})
      recipe.erase(key);  // what does not decide the weights, or is said below
    for (const auto& twin : how_.data.twins) recipe["twins"].push_back(twin.attack->identity());
    recipe["augmentation"] = how_.recipe.augmentation.record();
    settings_ = {{"classifier", "end-to-end"}, {"version", end_to_end_version}, {"recipe", recipe}};
    how_.resolved = {{"format", end_to_end_version},
                     {"recipe", recipe},
                     {"start", extractor_->identity()},
                     {"precision", precision_name(options)},
                     {"arithmetic", arithmetic(options.device)}};
  }

  Answers answer(World& world, const Scenario& scenario, const std::string& label) const override {
    const auto probes = world.probes(scenario);
    const auto probe_photos = world.probe_photos(scenario);
    const auto galleries = world.galleries(scenario);
    const auto asked = digest_of(probe_photos);
    std::vector<Training> trainings;  // games whose galleries are alike are one training
    std::vector<Unit> units;
    std::vector<std::optional<std::size_t>> of_game;  // none where a filter left nobody in the gallery
    std::map<std::string, std::size_t> known;
    std::map<std::pair<std::int32_t, std::int16_t>, std::string> digests;
    for (std::size_t g = 0; g < galleries.size(); ++g) {
      const auto& person = scenario.games[g].person;
      if (galleries[g].empty()) {
        of_game.emplace_back();
        continue;
      }
      Json key = how_.resolved;
      key["seed"] = scenario.seed;
      key["person"] = how_.data.twins.empty() ? -1 : world.label_of(person);
      key["gallery"] = digest_of(galleries[g], world, digests);
      key["probes"] = asked;
      const auto [place, is_new] = known.try_emplace(key.dump(), trainings.size());
      of_game.emplace_back(place->second);
      if (!is_new) continue;
      trainings.push_back({person, &galleries[g]});
      units.push_back({units.size(), 1, key});
      if (world.store().planning()) plan(units.back(), trainings.back(), scenario.seed, world);
    }
    const auto folders = train(world, label, trainings, units, probe_photos, scenario.seed);
    Answers answers;
    if (world.store().planning()) return answers;
    for (std::size_t g = 0; g < scenario.games.size(); ++g) {
      const auto person = world.label_of(scenario.games[g].person);
      const auto prediction = of_game[g] ? read_prediction(folders[*of_game[g]], probes, person) : of_nobody(probes);
      if (answers.everybody.empty()) answers.everybody = namings(prediction);  // see make_recogniser()
      answers.games.push_back(answer_of(prediction, probes, person, answers.everybody));
    }
    return answers;
  }

  Json settings() const override { return settings_; }

 private:
  struct Training {
    std::string person;  // whose game it is: nobody's twins are made of them
    const Picks* gallery;
  };

  static std::vector<Photo> photos_of(const Picks& picks, World& world) {
    std::vector<Photo> photos;
    for (const auto& pick : picks) photos.push_back(world.photo_of(pick));
    return photos;
  }

  // Twins are made by trainings, of which a plan makes none.
  void plan(Unit& unit, const Training& training, Seed seed, World& world) const {
    auto pictures = photos_of(*training.gallery, world);
    const auto gallery = pictures;
    std::vector<Photo> others;
    for (const auto& photo : gallery)
      if (photo.person != training.person) others.push_back(photo);
    for (const auto& twin : how_.data.twins) {
      const auto made = perturb(others, gallery, *twin.attack, seed, how_.options, world.store()).photos;
      pictures.insert(pictures.end(), made.begin(), made.end());
    }
    unit.needs = made_in(pictures, world.store());
  }

  static std::string digest_of(const std::vector<Photo>& probes) {
    Json all = Json::array();
    for (const auto& probe : probes) all.push_back(content_key(probe));
    return sha256(all.dump());
  }

  // Most of a gallery is in every game's: what decides a training of a photo is written down once, in `known`.
  std::string digest_of(const Picks& gallery, World& world,
                        std::map<std::pair<std::int32_t, std::int16_t>, std::string>& known) const {
    std::string all;
    for (const auto& pick : gallery) {
      auto& one = known[{pick.row, pick.treatment}];
      if (one.empty()) {
        const auto& photo = world.photo_of(pick);
        one = sha256(Json{content_key(photo), world.label_of(pick), how_.data.twins.empty() ? "" : photo.id}.dump());
      }
      all += one;
    }
    return sha256(all);
  }

  std::vector<fs::path> train(World& world, const std::string& label, const std::vector<Training>& trainings,
                              const std::vector<Unit>& units, const std::vector<Photo>& probes, Seed seed) const {
    auto& store = world.store();
    const auto checkpoint = [&](const Unit& unit) {
      return store.root() / "unfinished" / (store.path("fitted", unit.key).filename().string() + ".checkpoint");
    };
    std::shared_ptr<DecodedFile> pictures;  // of all trainings
    Arrow<std::size_t, ClassScores> arrow{"fitted", label, 1, "trainings"};
    arrow.work = {how_.resolved, probes.size()};
    arrow.decode = [](const auto& rows) { return rows.front(); };
    arrow.make = [&](const auto&, std::size_t row) {
      TrainingConfig c = how_;
      const auto& [person, gallery] = trainings[row];
      c.name = concat(extractor_->card().name, " end to end, ", person);
      c.seed = seed;
      c.data.dataset.photos = photos_of(*gallery, world);  // among whom an attack may aim at somebody
      LabelledPhotos lesson{c.data.dataset.photos, {}, {world.label_of(person)}};
      for (const auto& pick : *gallery) lesson.labels.push_back(world.label_of(pick));
      if (!pictures) pictures = std::make_shared<DecodedFile>(store.root());
      return std::vector{
          train_classifier(c, lesson, probes, sha256(units[row].key.dump()), checkpoint(units[row]), pictures, store)};
    };
    arrow.write = [](const Unit&, std::span<const ClassScores> made, const fs::path& at) {
      write_unflushed(at / "scores.npy", npy_bytes(made.front().scores));
      write_unflushed(at / "labels.json", Json(made.front().labels).dump());
    };
    const auto folders = arrow.follow(units, store);
    std::error_code none;
    if (!store.planning())
      for (const auto& unit : units) fs::remove(checkpoint(unit), none);
    return folders;
  }

  // Labels, 1 − their probability, and the person's place for the person's own probes.
  static Prediction read_prediction(const fs::path& folder, const Probes& probes, std::int64_t person) {
    const auto labels = read_json(folder / "labels.json").get<std::vector<std::int64_t>>();
    const auto scores = read_npy(folder / "scores.npy").to(torch::kFloat64);
    const auto [most, best] = scores.max(1);
    Prediction prediction;
    for (std::int64_t p = 0; p < scores.size(0); ++p) {
      prediction.labels.push_back(labels[static_cast<std::size_t>(best[p].item<std::int64_t>())]);
      prediction.distances.push_back(1 - std::exp(most[p].item<double>()));
    }
    const auto place = std::lower_bound(labels.begin(), labels.end(), person) - labels.begin();
    if (place == static_cast<std::ptrdiff_t>(labels.size()) || labels[static_cast<std::size_t>(place)] != person)
      return prediction;  // not in the gallery
    for (const auto probe : probes.probes_of(person))
      prediction.ranks.push_back(1 + (scores[probe] > scores[probe][place]).sum().item<std::int64_t>());
    return prediction;
  }

  // Everybody is taken for nobody.
  static Prediction of_nobody(const Probes& probes) {
    const auto count = probes.probe_labels.size();
    return {std::vector<std::int64_t>(count, -1), std::vector(count, std::nan(""))};
  }

  std::shared_ptr<const FeatureExtractor> extractor_;
  TrainingConfig how_;
  Json settings_;
};

}  // namespace

bool is_end_to_end(const Json& classifier) {
  return (classifier.is_object() ? classifier.value("classifier", Json()) : classifier) == "end-to-end";
}

std::unique_ptr<Recogniser> make_end_to_end(std::shared_ptr<const FeatureExtractor> extractor, const Json& classifier,
                                            const RunOptions& options) {
  return std::make_unique<EndToEnd>(std::move(extractor), classifier, options);
}

}  // namespace facepoison
