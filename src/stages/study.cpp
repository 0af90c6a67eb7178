#include "facepoison/study.hpp"

#include <algorithm>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

std::vector<std::int64_t> numbers_of(const std::vector<GalleryRow>& rows) {
  std::vector<std::int64_t> numbers;
  for (const auto row : rows) numbers.push_back(static_cast<std::int64_t>(std::size_t{row}));
  return numbers;
}

}  // namespace

Study::Study(const Dataset& dataset, SplitRows split, Scenarios scenarios, const RunOptions& options,
             const ArtifactStore& store)
    : split_(std::move(split)),
      scenarios_(std::move(scenarios)),
      options_(options),
      store_(store),
      photos_(dataset.photos, split_, scenarios_, options),
      cache_(std::make_shared<EmbeddingCache>(store)) {}

std::vector<Label> Study::labels_of(const std::vector<Pick>& picks) const {
  std::vector<Label> labels;
  for (const auto& pick : picks) labels.push_back(split_.labels[pick.photo]);
  return labels;
}

Probes Study::probes(const Scenario& scenario) const {
  const auto assembly = assemble(split_, scenario);
  return {labels_of(assembly.probes), assembly.overrides_from};
}

void Study::turn_to(const std::shared_ptr<const FeatureExtractor>& extractor) {
  if (extractor_ == extractor) return;
  extractor_ = extractor;
  embedded_.clear();
  sides_.clear();
}

const std::shared_ptr<EmbeddingStage>& Study::embeddings(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                         TreatmentId treatment) {
  turn_to(extractor);
  auto& stage = embedded_[treatment];
  if (!stage) stage = embed_stage(photos_.photos(treatment), extractor, options_);
  return stage;
}

Features Study::features(const std::shared_ptr<const FeatureExtractor>& extractor, const std::vector<Pick>& picks) {
  struct Row {
    std::shared_ptr<EmbeddingStage> stage;
    std::size_t row;
  };
  std::string names;
  std::set<ArtefactId> artefacts;
  std::vector<Row> rows;
  for (const auto& pick : picks) {
    const auto& stage = embeddings(extractor, pick.treatment);
    rows.push_back({stage, photos_.place(pick.treatment, pick.photo).value()});
    const auto output = stage->output(rows.back().row);
    names += output.unit.name + ' ' + std::to_string(output.row) + '\n';  // not concat(), which is slow for so many
    artefacts.insert(output.unit);
  }
  const auto read = [rows = std::move(rows), cache = cache_, dimension = extractor->card().dimension] {
    std::vector<Output> outputs;
    for (const auto& [stage, row] : rows) outputs.push_back(stage->output(row));
    return cache->rows(outputs, dimension);
  };
  return {sha256(names), {artefacts.begin(), artefacts.end()}, read};
}

std::set<TreatmentId> Study::treatments_of(const Scenario& scenario) const {
  std::set<TreatmentId> all = {scenario.gallery, scenario.probes};
  const auto add = [&](const std::vector<Pick>& picks) {
    for (const auto& pick : picks) all.insert(pick.treatment);
  };
  add(scenario.co_protected);
  add(scenario.probe_overrides);
  for (const auto& trial : scenario.trials) add(trial.replaced), add(trial.added);
  return all;
}

std::vector<std::shared_ptr<Stage>> Study::stages_of(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                     const Scenario& scenario) {
  std::vector<std::shared_ptr<Stage>> stages;
  for (const auto treatment : treatments_of(scenario)) stages.push_back(embeddings(extractor, treatment));
  return stages;
}

std::vector<std::shared_ptr<EmbeddingStage>> Study::filter_stages(const Scenario& scenario) {
  std::vector<std::shared_ptr<EmbeddingStage>> stages;
  if (!scenario.filter) return stages;
  for (const auto treatment : treatments_of(scenario)) {
    auto& stage = scores_[{scenario.filter->card().name, treatment}];
    if (!stage) stage = embed_stage(photos_.photos(treatment), scenario.filter, options_);
    stages.push_back(stage);
  }
  return stages;
}

bool Study::is_dropped(const Scenario& scenario, const Pick& pick) {
  auto& flagged = flagged_[{scenario.filter->card().name, pick.treatment}];
  if (flagged.empty())
    for (const auto score : scores_of(scores_.at({scenario.filter->card().name, pick.treatment})->read(store_)))
      flagged.push_back(score >= scenario.filter->card().threshold);
  return flagged[photos_.place(pick.treatment, pick.photo).value()];
}

Assembly Study::assemble_filtered(const Scenario& scenario) {
  if (!scenario.filter) return assemble(split_, scenario);
  filter_stages(scenario);
  return assemble(split_, scenario, [&](const Pick& pick) { return is_dropped(scenario, pick); });
}

std::shared_ptr<const GalleryAndProbes> Study::sides_of(const std::shared_ptr<const FeatureExtractor>& extractor,
                                                        const Scenario& scenario, const Assembly& assembly,
                                                        bool filtered) {
  turn_to(extractor);
  const auto make = [&] {
    return std::make_shared<const GalleryAndProbes>(
        GalleryAndProbes{{labels_of(assembly.probes), assembly.overrides_from},
                         features(extractor, assembly.gallery),
                         features(extractor, assembly.probes),
                         labels_of(assembly.gallery)});
  };
  if (!scenario.co_protected.empty() || !scenario.probe_overrides.empty()) return make();
  auto& sides =
      sides_[{scenario.gallery, scenario.probes, scenario.distractors, filtered ? scenario.filter->card().name : ""}];
  if (!sides) sides = make();
  return sides;
}

Question Study::question_of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario,
                            const Assembly& assembly, bool filtered) {
  Question question{sides_of(extractor, scenario, assembly, filtered), {}};
  for (std::size_t t = 0; t < scenario.trials.size(); ++t) {
    const auto& change = assembly.trials[t];
    auto pictures = change.pictures;
    pictures.insert(pictures.end(), change.added.begin(), change.added.end());
    question.trials.push_back({scenario.trials[t].person, split_.label_of(scenario.trials[t].person),
                               numbers_of(change.rows), change.added.size(), numbers_of(change.removed),
                               features(extractor, pictures)});
  }
  return question;
}

Question Study::question(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  return question_of(extractor, scenario, assemble(split_, scenario), false);
}

Question Study::filtered_question(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  return question_of(extractor, scenario, assemble_filtered(scenario), scenario.filter != nullptr);
}

std::vector<PostedAlbum> Study::albums(const std::shared_ptr<const FeatureExtractor>& extractor,
                                       const Scenario& scenario) {
  const auto assembly = assemble(split_, scenario);
  std::vector<PostedAlbum> albums;
  for (std::size_t t = 0; t < scenario.trials.size(); ++t) {
    std::map<PhotoRow, Pick> posted_as;
    for (const auto* picks : {&assembly.trials[t].pictures, &assembly.trials[t].added})
      for (const auto& pick : *picks) posted_as[pick.photo] = pick;
    if (posted_as.empty()) continue;
    const auto& person = scenario.trials[t].person;
    PostedAlbum album{person, split_.label_of(person), {}, {}, {}};
    std::vector<Pick> clean, posted;
    for (std::size_t row = 0; row < assembly.gallery.size(); ++row) {
      const auto found = posted_as.find(assembly.gallery[row].photo);
      if (found == posted_as.end()) continue;
      album.rows.push_back(static_cast<std::int64_t>(row));
      clean.push_back({found->first, scenario.gallery});
      posted.push_back(found->second);
    }
    album.clean = features(extractor, clean);
    album.posted = features(extractor, posted);
    albums.push_back(std::move(album));
  }
  return albums;
}

Features Study::plain_gallery(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  std::vector<Pick> picks;
  for (const auto photo : split_.gallery_of(scenario)) picks.push_back({photo, scenario.gallery});
  return features(extractor, picks);
}

void Study::refuse_zeros(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario) {
  std::string found = "a photo";
  for (const auto treatment : treatments_of(scenario)) {
    const auto zeros = (embeddings(extractor, treatment)->read(store_) == 0).all(1).nonzero();
    if (zeros.size(0) == 0) continue;
    const auto& by = photos_.treatment(treatment).attack;
    const auto& photo = photos_.photos(treatment).list()[static_cast<std::size_t>(zeros[0].item<std::int64_t>())];
    found = concat("photo ", photo.id, by ? " under " + by->settings().name : "");
    break;
  }
  throw Error(Exit::input, concat(extractor->card().name, " gives ", found,
                                  " an embedding of zeros, which has no direction to compare"));
}

}  // namespace facepoison
