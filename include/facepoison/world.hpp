// Who sees which picture. A scenario says it in rows of a data set; the world has the pictures and the embeddings.
#pragma once
#include <map>

#include "facepoison/stages.hpp"

namespace facepoison {

// What is done to a photo before anybody sees it. Number 0 of a list of treatments is the clean photo.
struct Treatment {
  std::shared_ptr<const Attack> attack;        // none: as it is
  std::shared_ptr<const Transform> transform;  // then; or none
  Seed seed = 0;
};

// A photo as somebody sees it: a row of the data set, under a treatment.
struct Pick {
  std::int32_t row = 0;
  std::int16_t treatment = 0;
};

// One protected person's: what differs from everybody's gallery. One of the three has a photo.
struct Game {
  std::string person;
  std::vector<Pick> replaced;         // stand in the place of the same photos; rows rise
  std::vector<Pick> added;            // stand there besides
  std::vector<std::int32_t> removed;  // are not there; rows rise
};

// A row of the tables, but for the recogniser: each person's game is played alone, and that person's probes are judged.
// What others do at the same time stands in everybody's gallery.
struct Scenario {
  std::vector<std::pair<std::string, std::string>> at;  // its coordinates: the columns of the tables and their values
  std::int16_t gallery = 0, probes = 0;                 // treatments of everybody's
  std::vector<Pick> crowd;                              // of the gallery, in the place of the same photos; rows rise
  std::vector<Pick> posed;  // probes of protected people, which their own games have in the place of the clean ones
  std::vector<Game> games;
  std::size_t left_out = 0;  // protected people who have no game here
  // A cloak detector: what it flags, of anybody's, is not in the gallery. Or none.
  std::shared_ptr<const FeatureExtractor> filter = nullptr;
  Seed seed = 0;  // of the draw that it belongs to
  // Are the gallery and the probes before any game as in every scenario of the same treatments and filter?
  bool shares_sides() const { return crowd.empty() && posed.empty(); }
};

struct Scenarios {
  std::vector<Treatment> treatments;
  std::vector<Scenario> list;
};

class World {
 public:
  // The data set and the store must outlive it. Gallery and probes are rows of the data set.
  World(const Dataset& dataset, std::vector<std::size_t> gallery, std::vector<std::size_t> probes, Scenarios scenarios,
        const RunOptions& options, ArtifactStore& store);

  const std::vector<Scenario>& scenarios() const { return scenarios_.list; }
  std::int16_t treatments() const { return static_cast<std::int16_t>(treated_.size()); }
  const Treatment& treatment(std::int16_t number) const { return scenarios_.treatments.at(number); }
  const std::vector<std::string>& people() const { return people_; }                // by label
  std::int64_t gallery_row(std::int32_t row) const { return in_gallery_.at(row); }  // of a photo, without a filter
  const std::vector<std::size_t>& probes_of(const std::string& person) const { return probes_by_person_.at(person); }

  // A treatment's rows of the data set: all gallery photos of the people who are picked under it, so that a unit of
  // work does not depend on how many of them are; all gallery photos and all probes where everybody's are. 0: all.
  std::optional<std::size_t> place(std::int16_t treatment, std::int32_t row) const;  // among them, where it is one
  // Their pictures in that order, made where they are missing.
  const Posted& posted(std::int16_t treatment);
  std::span<const Photo> photos(std::int16_t treatment);  // posted()'s; of treatment 0 the data set's own
  std::vector<Photo> clean(std::int16_t treatment);       // the same without the attack, but through the same transform

  // Who is on a scenario's probes, and the probes as the trainer sees them.
  Probes probes(const Scenario& scenario) const;
  std::vector<Photo> probe_photos(const Scenario& scenario);
  // What the trainer has in each game: everybody's gallery with the game's changes.
  std::vector<std::vector<Pick>> galleries(const Scenario& scenario);
  const Photo& photo_of(const Pick& pick);
  std::int64_t label_of(const Pick& pick) const { return labels_[static_cast<std::size_t>(pick.row)]; }
  std::int64_t label_of(const std::string& person) const;

  // Everybody's photos, and what the games of a scenario change. Asking for another extractor's forgets the last.
  const Sides& sides(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  std::vector<Swapped> swaps(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  // Everybody's gallery photos under a treatment, whatever a crowd or a filter does: gallery_row()'s rows × D.
  torch::Tensor gallery_under(const std::shared_ptr<const FeatureExtractor>& extractor, std::int16_t treatment);
  // Throws Error(input) that names a photo of whose embedding the last extractor's is all zeros.
  [[noreturn]] void refuse_zeros();

  ArtifactStore& store() { return store_; }

 private:
  struct Treated {  // a treatment's photos
    std::vector<std::size_t> rows;
    std::map<std::int32_t, std::size_t> places;  // of a row of the data set
    std::optional<Posted> posted;
    std::shared_ptr<const Embedded> embedded;  // by extractor_
  };
  // Everybody's gallery before any game, and where in it a photo is.
  std::vector<Pick> gallery_of(const Scenario& scenario);
  std::map<std::int32_t, std::int64_t> places_of(const Scenario& scenario);
  // A game as it comes out where a filter drops photos. In places of everybody's gallery, rising.
  struct Changes {
    std::vector<std::int64_t> rows, removed;
    std::vector<Pick> there, added;  // `there`: stand in the rows
  };
  Changes changes(const Scenario& scenario, const Game& game, const std::map<std::int32_t, std::int64_t>& places);
  std::vector<Pick> probe_picks(const Scenario& scenario) const;
  std::vector<std::int64_t> labels_of(const std::vector<Pick>& picks) const;
  bool is_dropped(const Scenario& scenario, const Pick& pick);  // by its filter
  void turn_to(const std::shared_ptr<const FeatureExtractor>& extractor);
  Features features(const std::vector<Pick>& picks);  // extractor_'s
  const Embedded& embedded(std::int16_t treatment);

  const Dataset& dataset_;
  std::vector<std::size_t> gallery_, probes_;
  std::map<std::string, std::vector<std::size_t>> probes_by_person_;
  Scenarios scenarios_;
  RunOptions options_;
  ArtifactStore& store_;
  std::vector<std::string> people_;
  std::vector<std::int64_t> labels_;                 // of the data set's rows
  std::map<std::int32_t, std::int64_t> in_gallery_;  // data set's row → gallery's
  std::vector<Treated> treated_;                     // by treatment
  std::shared_ptr<const FeatureExtractor> extractor_;
  // By the gallery's and the probes' treatment, the filter, and the scenario where somebody does something in them.
  std::map<std::tuple<std::int16_t, std::int16_t, const FeatureExtractor*, const Scenario*>, Sides> sides_;
  // By detector and treatment: which of its photos are flagged.
  std::map<std::pair<const FeatureExtractor*, std::int16_t>, std::vector<bool>> flagged_;
};

}  // namespace facepoison
