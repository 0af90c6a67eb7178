// The stage that classifies the probes in each protected person's trial.
#include <cmath>

#include "facepoison/answers.hpp"
#include "facepoison/device.hpp"
#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

// Trials per batch: enough for large products, few enough to lose little on an interruption.
constexpr std::size_t trials_at_once = 64;

std::string digest_of(const Features& features, const std::vector<std::int64_t>& numbers) {
  return sha256(concat(features.name, " ", Json(numbers).dump()));
}

// A classifier trained on the clean gallery. A filter may empty this gallery, or a trial's.
class GalleryKnown {
 public:
  GalleryKnown(const Classifier& classifier, const GalleryAndProbes& sides)
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

  // For a gallery that has only added rows.
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

// JSON has null for unknown numbers.
std::vector<double> numbers_of(const Json& list) {
  std::vector<double> numbers;
  for (const auto& number : list) numbers.push_back(number.is_null() ? std::nan("") : number.get<double>());
  return numbers;
}

}  // namespace

// Not in the anonymous namespace, where the JSON library would not find them.
static void to_json(Json& json, const ProbeResult& result) { json = {result.probe, result.label, result.distance}; }
static void from_json(const Json& json, ProbeResult& result) {
  result = {json.at(0), json.at(1), json.at(2).is_null() ? std::nan("") : json.at(2).get<double>()};
}

std::vector<ProbeResult> results_of(const Prediction& prediction) {
  std::vector<ProbeResult> all;
  for (std::size_t p = 0; p < prediction.labels.size(); ++p)
    all.push_back({p, prediction.labels[p], prediction.distances[p]});
  return all;
}

Answer answer_of(const Prediction& prediction, const Probes& probes, Label person,
                 const std::vector<ProbeResult>& everybody) {
  Answer answer;
  const auto all = results_of(prediction);
  for (const auto probe : probes.probes_of(person)) {
    answer.labels.push_back(all[static_cast<std::size_t>(probe)].label);
    answer.distances.push_back(all[static_cast<std::size_t>(probe)].distance);
  }
  answer.ranks = prediction.ranks;
  answer.ranks.resize(answer.labels.size());
  for (const auto& result : all) {
    const auto label = probes.probe_labels[result.probe];
    if (!probes.is_of_others(result.probe, person)) continue;
    ++answer.others;
    answer.others_errors += result.label != label;
    answer.others_as_person += result.label == person;
    if (result != everybody[result.probe]) answer.changed.push_back(result);
  }
  return answer;
}

std::vector<std::int64_t> Probes::probes_of(Label label) const {
  std::vector<std::int64_t> rows;
  for (std::size_t p = 0; p < probe_labels.size(); ++p) {
    if (probe_labels[p] != label) continue;
    if (p >= overrides_from && !rows.empty() && rows.back() < static_cast<std::int64_t>(overrides_from)) rows.clear();
    rows.push_back(static_cast<std::int64_t>(p));
  }
  return rows;
}

namespace {

class ClassifyStage final : public StageOf<std::vector<Swap>, Answer, AnswerStage> {
 public:
  ClassifyStage(Question question, const Classifier& classifier, ClassifyOptions options)
      : StageOf("answered", options.label, trials_at_once),
        question_(std::move(question)),
        classifier_(classifier),
        options_(std::move(options)) {
    const auto& sides = *question_.sides;
    shared_key_ = {{"format", 5},
                   {"classifier", classifier.identity()},
                   {"arithmetic", arithmetic(torch::kCPU)},
                   {"gallery", digest_of(sides.gallery, sides.gallery_labels)},
                   {"probes", digest_of(sides.probes, sides.probe_labels)},
                   {"overrides_from", sides.overrides_from}};
    if (!options_.filter.is_null()) shared_key_["filter"] = options_.filter;
    groups_ = options_.scores;
    for (const auto* side : {&sides.gallery, &sides.probes})
      if (!side->artefacts.empty()) groups_.push_back(make_group(side->artefacts));
    // The first trial is nobody's: the unchanged gallery. All its results are kept as changed ones.
    question_.trials.insert(question_.trials.begin(), TrialSwap{"", -1, {}, 0, {}, {}});
    for (std::size_t row = 0; row < question_.trials.size(); ++row) add_unit(row, 1);
  }

  std::string rows_are() const override { return "people"; }
  Json work() const override {
    const auto& sides = *question_.sides;
    return {classifier_.identity(), sides.gallery_labels.size(), sides.probe_labels.size(), arithmetic(torch::kCPU)};
  }

  Json key(const Unit& unit) const override {
    const auto& trial = question_.trials[unit.first];
    Json key = shared_key_;
    key["person"] = trial.label;
    key["swap"] = digest_of(trial.features, trial.rows);
    if (trial.added) key["added"] = trial.added;
    if (!trial.removed.empty()) key["removed"] = trial.removed;
    return key;
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return options_.inputs; }
  Needs needs(const Unit& unit) const override { return {question_.trials[unit.first].features.artefacts, groups_}; }

  void load(ArtifactStore&) override {
    if (!options_.filtered) return;
    filtered_ = options_.filtered();
    filtered_.trials.insert(filtered_.trials.begin(), question_.trials.front());
    asked_ = &filtered_;
  }

  void unload() override {
    known_.reset();
    everybody_ = {};
    filtered_ = {};
  }

  Answers read(const ArtifactStore& store) const override {
    Answers answers;
    for (const auto& unit : units()) {
      stop_if_interrupted();
      const Json json = read_json(store.path(unit.id) / "answer.json");
      answers.trials.push_back({json.at("labels"), numbers_of(json.at("distances")), json.at("ranks"),
                                json.at("others"), json.at("others_errors"), json.at("others_as_person"),
                                json.at("changed").get<std::vector<ProbeResult>>()});
    }
    answers.everybody = std::move(answers.trials.front().changed);
    answers.trials.erase(answers.trials.begin());
    return answers;
  }

 private:
  std::vector<Swap> decode_rows(const Rows& rows) const override {
    std::vector<Swap> some;
    for (const auto row : rows) {
      const auto& trial = asked_->trials[row];
      const bool any = trial.rows.size() + trial.added > 0, there = any || !trial.removed.empty();
      some.push_back({trial.rows, any ? trial.features.read() : torch::Tensor(),
                      std::vector<Label>(trial.added, trial.label), trial.removed,
                      there ? asked_->sides->probes_of(trial.label) : std::vector<std::int64_t>()});
    }
    return some;
  }

  std::vector<Answer> compute_rows(const Rows& rows, std::vector<Swap> some) override try {
    if (!known_) {
      known_ = std::make_unique<GalleryKnown>(classifier_, *asked_->sides);
      everybody_ = results_of((*known_)({Swap{}}).front());
    }
    const auto predictions = (*known_)(std::move(some));
    std::vector<Answer> made;
    for (std::size_t n = 0; n < rows.size(); ++n)
      made.push_back(answer_of(predictions[n], *asked_->sides, asked_->trials[rows[n]].label, everybody_));
    return made;
  } catch (const NoDirection&) {
    if (options_.refuse_zeros) options_.refuse_zeros();
    throw;
  }

  void write_unit(const Unit& unit, std::span<const Answer> made, const fs::path& folder) const override {
    const auto& one = made.front();
    const Json json = {{"labels", one.labels},
                       {"distances", one.distances},
                       {"ranks", one.ranks},
                       {"others", one.others},
                       {"others_errors", one.others_errors},
                       {"others_as_person", one.others_as_person},
                       {"changed", unit.first == 0 ? everybody_ : one.changed}};
    write_unflushed(folder / "answer.json", json.dump());
  }

  Question question_;  // without the filter
  const Classifier& classifier_;
  ClassifyOptions options_;
  Json shared_key_;
  std::vector<std::shared_ptr<const Group>> groups_;
  Question filtered_;  // with the filter, once its scores exist
  const Question* asked_ = &question_;
  std::unique_ptr<const GalleryKnown> known_;
  std::vector<ProbeResult> everybody_;
};

}  // namespace

std::shared_ptr<AnswerStage> classify_stage(Question question, const Classifier& classifier, ClassifyOptions options) {
  return std::make_shared<ClassifyStage>(std::move(question), classifier, std::move(options));
}

Answers answer(const GalleryAndProbes& sides, std::span<const TrialSwap> trials, const Classifier& classifier,
               const std::string& label, ArtifactStore& store) {
  const auto stage = classify_stage({std::make_shared<GalleryAndProbes>(sides), {trials.begin(), trials.end()}},
                                    classifier, {.label = label});
  Executor(store).run(stage);
  return stage->read(store);
}

}  // namespace facepoison
