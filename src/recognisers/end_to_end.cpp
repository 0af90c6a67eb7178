// An extractor and a dense layer after it, trained together on the gallery of each trial, as FaceCure's eval_e2e.py
// does. Deviations: the networks are LibTorch's, not Keras's; photos are aligned as the card says; everybody's test
// photos are judged, where FaceCure took 50 random batches of the other people's.
#include <optional>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/training.hpp"
#include "recognisers/end_to_end.hpp"
#include "training/photos.hpp"

namespace facepoison {
namespace {

// Part of a training's key. Raise it when a training's scores change; a test detects this.
constexpr int end_to_end_version = 2;

// Short digests of what a photo contributes to a training. They are kept: trials share most of their galleries.
class PhotoDigests {
 public:
  PhotoDigests(const Study& study, bool has_twins) : study_(study), has_twins_(has_twins) {}

  std::string of(const std::vector<Pick>& gallery) {
    std::string all;
    for (const auto& pick : gallery) {
      auto& one = known_[{pick.photo, pick.treatment}];
      if (one.empty()) {
        const auto& photo = study_.photos().photo_of(pick);
        const auto label = study_.split().labels[pick.photo];
        one = sha256(Json{content_key(photo), label, has_twins_ ? photo.id : ""}.dump());
      }
      all += one;
    }
    return sha256(all);
  }

 private:
  const Study& study_;
  bool has_twins_;
  std::map<std::pair<PhotoRow, TreatmentId>, std::string> known_;
};

// Trains once for each different gallery, and keeps the network's scores of each probe.
class FitStage final : public StageOf<std::size_t, ClassScores, AnswerStage> {
 public:
  // All but `how` must outlive it.
  FitStage(const TrainingConfig& how, Study& study, const Scenario& scenario, const std::string& label)
      : StageOf("fitted", label, 1), how_(how), study_(study), scenario_(scenario), probes_(study.probes(scenario)) {
    const auto assembly = assemble(study.split(), scenario);
    for (const auto& pick : assembly.probes) probe_photos_.push_back(study.photos().photo_of(pick));
    Json seen = Json::array();
    for (const auto& probe : probe_photos_) seen.push_back(content_key(probe));
    asked_ = sha256(seen.dump());
    for (const auto& stage : study.filter_stages(scenario)) scores_.push_back(stage->group());
    PhotoDigests digests(study, !how_.data.twins.empty());
    std::map<std::string, std::size_t> known;
    for (std::size_t t = 0; t < scenario.trials.size(); ++t) {
      Training training{scenario.trials[t].person, t, gallery_of(assembly, t), {}, {}};
      training.digest = digests.of(training.gallery);
      const auto [place, is_new] =
          known.try_emplace(concat(person_in_key(training), " ", training.digest), trainings_.size());
      training_of_.push_back(place->second);
      if (!is_new) continue;
      trainings_.push_back(std::move(training));
      add_unit(trainings_.size() - 1, 1);
    }
  }

  std::string rows_are() const override { return "trainings"; }
  Json work() const override { return {how_.resolved, probe_photos_.size()}; }

  Json key(const Unit& unit) const override {
    const auto& training = trainings_[unit.first];
    Json key = how_.resolved;
    key["seed"] = scenario_.seed;
    key["person"] = person_in_key(training);
    key["gallery"] = training.digest;
    key["probes"] = asked_;
    if (scenario_.filter) {
      key["filter"] = {{"threshold", scenario_.filter->card().threshold}};
      for (const auto& group : scores_) key["filter"]["scores"].push_back(group->id.name);
    }
    return key;
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override {
    if (!inputs_.empty()) return inputs_;
    std::set<TreatmentId> treatments = {scenario_.probes};
    for (const auto& pick : scenario_.probe_overrides) treatments.insert(pick.treatment);
    for (const auto& training : trainings_)
      for (const auto& pick : training.gallery) treatments.insert(pick.treatment);
    for (const auto treatment : treatments)
      for (const auto& stage : study_.photos().photos(treatment).made_by()) inputs_.push_back(stage);
    for (const auto& stage : study_.filter_stages(scenario_)) inputs_.push_back(stage);
    for (std::size_t row = 0; row < trainings_.size(); ++row) {
      const auto& stages = twins_of(row).stages;
      inputs_.insert(inputs_.end(), stages.begin(), stages.end());
    }
    return inputs_;
  }

  Needs needs(const Unit& unit) const override {
    auto photos = photos_of(trainings_[unit.first].gallery);
    photos.insert(photos.end(), probe_photos_.begin(), probe_photos_.end());
    Needs needs{made_in(photos), scores_};
    const auto& twins = twins_of(unit.first).artefacts;
    needs.artefacts.insert(needs.artefacts.end(), twins.begin(), twins.end());
    return needs;
  }

  void load(ArtifactStore& store) override {
    store_ = &store;
    probe_photos_ = resolved(std::move(probe_photos_), store);
    if (!scenario_.filter) return;
    const auto assembly = study_.assemble_filtered(scenario_);
    for (auto& training : trainings_) training.kept = gallery_of(assembly, training.trial);
  }

  void unload() override { pictures_.reset(); }

  Answers read(const ArtifactStore& store) const override {
    std::error_code none;
    Answers answers;
    for (std::size_t t = 0; t < scenario_.trials.size(); ++t) {
      stop_if_interrupted();
      const auto& unit = units()[training_of_[t]];
      fs::remove(checkpoint_of(store, unit), none);
      const auto person = study_.split().label_of(scenario_.trials[t].person);
      const auto prediction = read_prediction(store.path(unit.id), probes_, person);
      if (answers.everybody.empty()) answers.everybody = results_of(prediction);  // see make_recogniser()
      answers.trials.push_back(answer_of(prediction, probes_, person, answers.everybody));
    }
    return answers;
  }

 private:
  struct Training {
    std::string person;  // of the first trial that uses it; this person's photos have no twins
    std::size_t trial;
    std::vector<Pick> gallery;  // without the filter; key() and needs() depend on it
    std::vector<Pick> kept;     // with the filter, once its scores exist
    std::string digest;         // of `gallery`
  };

  // The stages that make the twins of a training's photos; empty if a filter's scores decide which photos have twins.
  struct Twins {
    TrainingConfig config;  // the stages refer to it
    std::vector<std::shared_ptr<Stage>> stages;
    std::vector<ArtefactId> artefacts;
  };
  const Twins& twins_of(std::size_t row) const {
    auto& twins = twins_[row];
    if (twins) return *twins;
    twins = std::make_unique<Twins>();
    if (scenario_.filter || how_.data.twins.empty()) return *twins;
    twins->config = config_of(trainings_[row]);
    const auto planned =
        plan_versions(twins->config, twins->config.data.twins, lesson_of(twins->config, trainings_[row]));
    twins->stages = planned.stages();
    std::set<ArtefactId> artefacts;
    for (const auto& version : planned.twins)
      for (auto& id : made_in(version.list())) artefacts.insert(std::move(id));
    twins->artefacts.assign(artefacts.begin(), artefacts.end());
    return *twins;
  }

  Label person_in_key(const Training& training) const {
    return how_.data.twins.empty() ? -1 : study_.split().label_of(training.person);
  }

  static fs::path checkpoint_of(const ArtifactStore& store, const Unit& unit) {
    return store.root() / "unfinished" / (unit.id.name + ".checkpoint");
  }

  std::vector<Photo> photos_of(const std::vector<Pick>& picks) const {
    std::vector<Photo> photos;
    for (const auto& pick : picks) photos.push_back(study_.photos().photo_of(pick));
    return photos;
  }

  const std::vector<Pick>& trained_on(const Training& training) const {
    return scenario_.filter ? training.kept : training.gallery;
  }

  TrainingConfig config_of(const Training& training) const {
    TrainingConfig c = how_;
    c.name = concat(c.start.name, " end to end, ", training.person);
    c.seed = scenario_.seed;
    c.data.dataset.photos = photos_of(trained_on(training));  // an attack may choose a target among these
    return c;
  }

  LabelledPhotos lesson_of(const TrainingConfig& c, const Training& training) const {
    LabelledPhotos lesson{c.data.dataset.photos, {}, {study_.split().label_of(training.person)}};
    for (const auto& pick : trained_on(training)) lesson.labels.push_back(study_.split().labels[pick.photo]);
    return lesson;
  }

  std::size_t decode_rows(const Rows& rows) const override { return rows.front(); }

  std::vector<ClassScores> compute_rows(const Rows&, std::size_t row) override {
    const auto& training = trainings_[row];
    if (trained_on(training).empty()) return {ClassScores{}};  // the filter left no photo
    TrainingConfig c = config_of(training);
    c.data.dataset.photos = resolved(std::move(c.data.dataset.photos), *store_);
    if (!pictures_) pictures_ = std::make_shared<DecodedFile>(store_->root());
    const auto& unit = units()[row];
    return {train_classifier(c, lesson_of(c, training), probe_photos_, sha256(key(unit).dump()),
                             checkpoint_of(*store_, unit), pictures_, *store_)};
  }

  void write_unit(const Unit&, std::span<const ClassScores> made, const fs::path& folder) const override {
    const auto& [labels, scores] = made.front();
    if (!labels.empty()) write_unflushed(folder / "scores.npy", npy_bytes(scores));
    write_unflushed(folder / "labels.json", Json(labels).dump());
  }

  // Labels, 1 − their probability, and the person's rank for the person's own probes.
  static Prediction read_prediction(const fs::path& folder, const Probes& probes, Label person) {
    const auto labels = read_json(folder / "labels.json").get<std::vector<Label>>();
    if (labels.empty()) return of_nobody(probes);
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

  // Every probe is taken for nobody.
  static Prediction of_nobody(const Probes& probes) {
    const auto count = probes.probe_labels.size();
    return {std::vector<std::int64_t>(count, -1), std::vector(count, std::nan(""))};
  }

  TrainingConfig how_;
  Study& study_;
  const Scenario& scenario_;
  Probes probes_;
  std::vector<Photo> probe_photos_;
  std::string asked_;  // digest of the probes' pictures
  std::vector<std::shared_ptr<const Group>> scores_;
  std::vector<Training> trainings_;
  std::vector<std::size_t> training_of_;                         // of each trial
  mutable std::map<std::size_t, std::unique_ptr<Twins>> twins_;  // by training
  mutable std::vector<std::shared_ptr<Stage>> inputs_;
  std::shared_ptr<DecodedFile> pictures_;  // of all trainings
  ArtifactStore* store_ = nullptr;
};

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
        spec.fail("public_twins", concat(twin.dump(), " does not change photos"));
    }
    spec.finish();
    Json recipe = spec.record();
    for (const auto* key : {"classifier", "name", "public_twins", "log_every", "check_every", "checkpoint_every"})
      recipe.erase(key);  // keys that do not affect the weights, or are added below
    for (const auto& twin : how_.data.twins) recipe["twins"].push_back(twin.attack->identity());
    recipe["augmentation"] = how_.recipe.augmentation.record();
    settings_ = {{"classifier", "end-to-end"}, {"version", end_to_end_version}, {"recipe", recipe}};
    how_.resolved = {{"format", end_to_end_version},
                     {"recipe", recipe},
                     {"start", extractor_->identity()},
                     {"precision", precision_name(options)},
                     {"arithmetic", arithmetic(options)}};
  }

  std::shared_ptr<AnswerStage> stage(Study& study, const Scenario& scenario, const std::string& label) const override {
    return std::make_shared<FitStage>(how_, study, scenario, label);
  }

  Json settings() const override { return settings_; }

 private:
  std::shared_ptr<const FeatureExtractor> extractor_;
  TrainingConfig how_;
  Json settings_;
};

}  // namespace

std::unique_ptr<Recogniser> make_end_to_end(std::shared_ptr<const FeatureExtractor> extractor, const Json& classifier,
                                            const RunOptions& options) {
  return std::make_unique<EndToEnd>(std::move(extractor), classifier, options);
}

}  // namespace facepoison
