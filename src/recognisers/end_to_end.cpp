// An extractor and a dense layer after it, trained together on the gallery of each game, as FaceCure's eval_e2e.py
// does. Deviations: LibTorch's networks, where they had Keras's; a photo is aligned as the card says; everybody's test
// photos are judged, where they had 50 random batches of the others'.
#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/training.hpp"
#include "recognisers/end_to_end.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

class EndToEnd final : public Recogniser {
 public:
  EndToEnd(std::shared_ptr<const FeatureExtractor> extractor, const Json& wanted, const RunOptions& options)
      : extractor_(std::move(extractor)) {
    Spec spec(wanted.is_object() ? wanted : Json{{"classifier", wanted}}, "classifier end-to-end");
    spec.text("classifier");
    spec.text("name", "");
    how_.options = options;
    how_.start = extractor_->card();
    how_.loss = {{"kind", "softmax"}};
    read_how(how_, spec);
    const Json twins = spec.raw("public_twins", Json::array());
    if (!twins.is_array()) spec.fail("public_twins", concat("found ", twins.dump(), ", expected a list of attacks"));
    for (const auto& twin : twins) {
      how_.twins.push_back({make_attack(twin, options), nullptr});
      if (!how_.twins.back().attack->changes_photos())
        spec.fail("public_twins", concat(twin.dump(), " leaves photos as they are"));
    }
    spec.finish();
    Json recipe = spec.record();
    for (const auto* key : {"classifier", "name", "public_twins", "log_every", "check_every", "checkpoint_every"})
      recipe.erase(key);  // what does not decide the weights, or is said below
    for (const auto& twin : how_.twins) recipe["twins"].push_back(twin.attack->identity());
    recipe["augmentation"] = how_.resolved.at("augmentation");
    how_.resolved = {{"format", 1},
                     {"recipe", recipe},
                     {"start", extractor_->identity()},
                     {"precision", precision_name(options)},
                     {"arithmetic", arithmetic(options.device)}};
  }

  Answers answer(World& world, const Scenario& scenario, const std::string& label) const override {
    const auto probes = world.probes(scenario);
    const auto probe_photos = world.probe_photos(scenario);
    std::vector<Game> trainings;  // games whose galleries are alike are one training
    std::vector<Unit> units;
    std::vector<std::size_t> of_game;
    std::map<std::string, std::size_t> known;
    const auto seed = scenario.seed;
    for (const auto& game : scenario.games) {
      const auto gallery = world.gallery(scenario, game);
      const Json key = key_of(gallery, how_.twins.empty() ? -1 : world.label_of(game.person), probe_photos, seed);
      const auto [place, is_new] = known.try_emplace(key.dump(), trainings.size());
      of_game.push_back(place->second);
      if (!is_new) continue;
      trainings.push_back(game);
      units.push_back({units.size(), 1, key});
      if (world.store().planning()) plan(units.back(), gallery, world.label_of(game.person), seed, world.store());
    }
    const auto folders = train(world, scenario, label, trainings, units, probe_photos, seed);
    Answers answers;
    if (world.store().planning()) return answers;
    for (std::size_t g = 0; g < scenario.games.size(); ++g) {
      const auto person = world.label_of(scenario.games[g].person);
      const auto prediction = read_prediction(folders[of_game[g]], probes, person);
      if (answers.everybody.empty()) answers.everybody = namings(prediction);  // see make_recogniser()
      answers.games.push_back(answer_of(prediction, probes, person, answers.everybody));
    }
    return answers;
  }

 private:
  // Twins are made by trainings, of which a plan makes none.
  void plan(Unit& unit, const World::Gallery& gallery, std::int64_t person, Seed seed, ArtifactStore& store) const {
    std::vector<Photo> others;
    for (std::size_t i = 0; i < gallery.photos.size(); ++i)
      if (gallery.labels[i] != person) others.push_back(gallery.photos[i]);
    auto pictures = gallery.photos;
    for (const auto& twin : how_.twins) {
      const auto made = perturb(others, gallery.photos, *twin.attack, seed, how_.options, store).photos;
      pictures.insert(pictures.end(), made.begin(), made.end());
    }
    unit.needs = made_in(pictures, store);
  }

  // `person`: whose photos have no twins; −1 where nobody's have.
  Json key_of(const World::Gallery& gallery, std::int64_t person, const std::vector<Photo>& probes, Seed seed) const {
    Json photos = Json::array(), asked = Json::array();
    for (std::size_t i = 0; i < gallery.photos.size(); ++i)
      photos.push_back(
          {content_key(gallery.photos[i]), gallery.labels[i], how_.twins.empty() ? "" : gallery.photos[i].id});
    for (const auto& probe : probes) asked.push_back(content_key(probe));
    Json key = how_.resolved;
    key["seed"] = seed;
    key["person"] = person;
    key["gallery"] = sha256(photos.dump());
    key["probes"] = sha256(asked.dump());
    return key;
  }

  std::vector<fs::path> train(World& world, const Scenario& scenario, const std::string& label,
                              const std::vector<Game>& games, const std::vector<Unit>& units,
                              const std::vector<Photo>& probes, Seed seed) const {
    auto& store = world.store();
    const auto checkpoint = [&](const Unit& unit) {
      return store.root() / "unfinished" / (store.path("fitted", unit.key).filename().string() + ".checkpoint");
    };
    Arrow<std::size_t, ClassScores> arrow{"fitted", label, 1, "trainings"};
    arrow.work = {how_.resolved, probes.size()};
    arrow.decode = [](const auto& rows) { return rows.front(); };
    arrow.make = [&](const auto&, std::size_t row) {
      TrainingConfig c = how_;
      c.name = concat(extractor_->card().name, " end to end, ", games[row].person);
      c.seed = seed;
      const auto gallery = world.gallery(scenario, games[row]);
      c.dataset.photos = gallery.photos;  // among whom an attack may aim at somebody
      Lesson lesson{gallery.photos, gallery.labels, {world.label_of(games[row].person)}};
      return std::vector{
          train_classifier(c, lesson, probes, sha256(units[row].key.dump()), checkpoint(units[row]), store)};
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

  std::shared_ptr<const FeatureExtractor> extractor_;
  TrainingConfig how_;
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
