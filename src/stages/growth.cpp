// The stage that lets galleries grow. The tracker that moves only right answers is the one of DivTrackee's evaluation
// (fiora6/divtrackee, eval.py); the one that moves all its answers is ours. Deviation: any classifier can name the
// queue, not only 1-NN by cosine and logistic regression.
#include "facepoison/growth.hpp"

#include <algorithm>
#include <numeric>

#include "facepoison/device.hpp"
#include "facepoison/digests.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/random.hpp"

namespace facepoison {
namespace {

// People per batch: few enough to lose little on an interruption.
constexpr std::size_t people_at_once = 8;

// The rows of a tracker's queue that a prediction names as the person.
std::vector<std::int64_t> named_in(const Tracker& tracker, const Prediction& prediction) {
  std::vector<std::int64_t> named;
  for (const auto row : tracker.queue)
    if (prediction.labels[static_cast<std::size_t>(row)] == tracker.person) named.push_back(row);
  return named;
}

// Moves these rows of `photos` from the queue into the gallery.
void move_photos(Tracker& tracker, const std::vector<std::int64_t>& rows, const torch::Tensor& photos) {
  std::erase_if(tracker.queue, [&](auto row) { return std::binary_search(rows.begin(), rows.end(), row); });
  auto& swap = tracker.gallery;
  swap.features = torch::cat({swap.features, photos.index_select(0, torch::tensor(rows, torch::kInt64))});
  swap.added.insert(swap.added.end(), rows.size(), tracker.person);
}

Json json_of(const std::vector<Moved>& rounds) {
  Json all = Json::array();
  for (const auto& [right, wrong] : rounds) all.push_back({right, wrong});
  return all;
}

std::vector<Moved> rounds_of(const Json& json) {
  std::vector<Moved> rounds;
  for (const auto& one : json) rounds.push_back({one.at(0), one.at(1)});
  return rounds;
}

class GrowGalleries final : public StageOf<std::vector<torch::Tensor>, Growth, GrowthStage> {
 public:
  GrowGalleries(Study& study, const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario,
                const Classifier& classifier, const std::string& label)
      : StageOf("grown", label, people_at_once),
        study_(study),
        extractor_(extractor),
        scenario_(scenario),
        classifier_(classifier),
        inputs_(study.stages_of(extractor, scenario)),
        sides_(study.question(extractor, scenario).sides),
        albums_(study.albums(extractor, scenario)) {
    for (const auto* side : {&sides_->gallery, &sides_->probes}) groups_.push_back(make_group(side->artefacts));
    shared_key_ = {{"format", 1},
                   {"classifier", classifier.identity()},
                   {"arithmetic", arithmetic(torch::kCPU)},
                   {"gallery", sides_->gallery.name},
                   {"gallery_labels", sha256(Json(sides_->gallery_labels).dump())},
                   {"probes", sides_->probes.name},
                   {"probe_labels", sha256(Json(sides_->probe_labels).dump())},
                   {"overrides_from", sides_->overrides_from}};
    for (const auto& album : albums_)
      starts_.push_back(Stream(scenario.seed, "growth", album.person).below(album.rows.size()));
    for (std::size_t row = 0; row < albums_.size(); ++row) add_unit(row, 1);
  }

  const std::vector<PostedAlbum>& albums() const override { return albums_; }
  std::string rows_are() const override { return "people"; }
  Json work() const override {
    return {classifier_.identity(), sides_->gallery_labels.size(), sides_->probe_labels.size(),
            arithmetic(torch::kCPU)};
  }

  Json key(const Unit& unit) const override {
    const auto& album = albums_[unit.first];
    Json key = shared_key_;
    key["person"] = album.label;
    key["rows"] = album.rows;
    key["start"] = starts_[unit.first];
    key["clean"] = album.clean.name;
    key["posted"] = album.posted.name;
    return key;
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return inputs_; }
  Needs needs(const Unit& unit) const override {
    const auto& album = albums_[unit.first];
    Needs needs{album.clean.artefacts, groups_};
    needs.artefacts.insert(needs.artefacts.end(), album.posted.artefacts.begin(), album.posted.artefacts.end());
    return needs;
  }

  std::vector<Growth> read(const ArtifactStore& store) const override {
    std::vector<Growth> all;
    for (const auto& unit : units()) {
      const Json json = read_json(store.path(unit.id) / "growth.json");
      all.push_back({rounds_of(json.at("oracle")), rounds_of(json.at("believed"))});
    }
    return all;
  }

 private:
  // Of each person: the photo that the tracker has, then all photos as posted.
  std::vector<torch::Tensor> decode_rows(const Rows& rows) const override {
    std::vector<torch::Tensor> some;
    for (const auto row : rows) {
      const auto first = static_cast<std::int64_t>(starts_[row]);
      some.push_back(torch::cat({albums_[row].clean.read().narrow(0, first, 1), albums_[row].posted.read()}));
    }
    return some;
  }

  std::vector<Growth> compute_rows(const Rows& rows, std::vector<torch::Tensor> some) override try {
    std::vector<torch::Tensor> photos = {sides_->probes.read()};
    auto people = sides_->probe_labels;
    std::vector<Tracker> trackers;  // two for each person
    for (std::size_t n = 0; n < rows.size(); ++n) {
      add_trackers(rows[n], some[n], people, trackers);
      photos.push_back(some[n].slice(0, 1));
    }
    const auto all = torch::cat(photos);
    const auto trained = classifier_.train(sides_->gallery.read(), sides_->gallery_labels, all);
    auto rounds = grow(*trained, all, people, std::move(trackers));
    std::vector<Growth> made;
    for (std::size_t n = 0; n < rows.size(); ++n)
      made.push_back({std::move(rounds[2 * n]), std::move(rounds[2 * n + 1])});
    return made;
  } catch (const NoDirection&) {
    study_.refuse_zeros(extractor_, scenario_);
  }

  // Adds a person's photos to `people`, and the two trackers: the oracle's queue has nobody else's photos.
  void add_trackers(std::size_t row, const torch::Tensor& own, std::vector<Label>& people,
                    std::vector<Tracker>& trackers) const {
    const auto& album = albums_[row];
    const auto start = album.rows[starts_[row]];
    Tracker oracle{album.label, {{start}, own.narrow(0, 0, 1)}, {}}, believed{album.label, {}, {}};
    for (std::size_t place = 0; place < sides_->gallery_labels.size(); ++place)
      if (sides_->gallery_labels[place] == album.label && static_cast<std::int64_t>(place) != start)
        oracle.gallery.removed.push_back(static_cast<std::int64_t>(place));
    for (const auto photo : album.rows) {
      if (photo != start) oracle.queue.push_back(static_cast<std::int64_t>(people.size()));
      people.push_back(album.label);
    }
    believed.gallery = oracle.gallery;
    for (std::size_t probe = 0; probe < sides_->overrides_from; ++probe)
      if (sides_->is_of_others(probe, album.label)) believed.queue.push_back(static_cast<std::int64_t>(probe));
    believed.queue.insert(believed.queue.end(), oracle.queue.begin(), oracle.queue.end());
    trackers.push_back(std::move(oracle));
    trackers.push_back(std::move(believed));
  }

  void write_unit(const Unit&, std::span<const Growth> made, const fs::path& folder) const override {
    const Json json = {{"oracle", json_of(made.front().oracle)}, {"believed", json_of(made.front().believed)}};
    write_unflushed(folder / "growth.json", json.dump());
  }

  Study& study_;
  std::shared_ptr<const FeatureExtractor> extractor_;
  const Scenario& scenario_;
  const Classifier& classifier_;
  std::vector<std::shared_ptr<Stage>> inputs_;
  std::shared_ptr<const GalleryAndProbes> sides_;
  std::vector<PostedAlbum> albums_;
  std::vector<std::size_t> starts_;  // of each album, the photo that the tracker has
  std::vector<std::shared_ptr<const Group>> groups_;
  Json shared_key_;
};

}  // namespace

std::vector<std::vector<Moved>> grow(const Trained& trained, const torch::Tensor& photos,
                                     const std::vector<Label>& people, std::vector<Tracker> trackers) {
  std::vector<std::vector<Moved>> rounds(trackers.size());
  std::vector<std::size_t> open(trackers.size());
  std::iota(open.begin(), open.end(), 0);
  while (!open.empty()) {
    stop_if_interrupted();
    std::vector<Swap> swaps;
    for (const auto t : open) swaps.push_back(trackers[t].gallery);
    const auto predictions = trained.predict_swapped(swaps);
    std::vector<std::size_t> still;
    for (std::size_t n = 0; n < open.size(); ++n) {
      auto& tracker = trackers[open[n]];
      auto& own = rounds[open[n]];
      const auto named = named_in(tracker, predictions[n]);
      if (named.empty() && !own.empty()) continue;
      Moved moved = own.empty() ? Moved{} : own.back();
      for (const auto row : named)
        ++(people[static_cast<std::size_t>(row)] == tracker.person ? moved.right : moved.wrong);
      own.push_back(moved);
      if (named.empty()) continue;
      move_photos(tracker, named, photos);
      still.push_back(open[n]);
    }
    open = std::move(still);
  }
  return rounds;
}

std::shared_ptr<GrowthStage> growth_stage(Study& study, const std::shared_ptr<const FeatureExtractor>& extractor,
                                          const Scenario& scenario, const Classifier& classifier,
                                          const std::string& label) {
  return std::make_shared<GrowGalleries>(study, extractor, scenario, classifier, label);
}

}  // namespace facepoison
