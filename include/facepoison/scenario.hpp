// Scenarios: who sees which picture, in rows of a data set. Nothing here reads a picture.
#pragma once
#include <functional>
#include <optional>

#include "facepoison/attack.hpp"
#include "facepoison/rows.hpp"

namespace facepoison {

// What is done to a photo before anybody sees it.
struct Treatment {
  std::shared_ptr<const Attack> attack;        // none: as it is
  std::shared_ptr<const Transform> transform;  // after that; or none
  Seed seed = 0;
  std::int64_t learned_from = 0;  // for an attack that learns masks: how many photos of a person; 0: all
};

// The attack's name in budgets and detections: with the number of photos that a mask was learned from.
std::string name_of(const Treatment& treatment);

// The training photos of a person from which a mask is learned: `number`, drawn by the seed, or all (0). A larger
// number includes the photos of a smaller one. Rows ascend.
std::vector<PhotoRow> mask_photos(std::span<const Photo> photos, const std::string& person, std::int64_t number,
                                  Seed seed);

// A photo as somebody sees it.
struct Pick {
  PhotoRow photo;
  TreatmentId treatment;
};

// How one protected person's gallery differs from everybody's. One of the three lists has a photo.
struct Trial {
  std::string person;
  std::vector<Pick> replaced;     // replace the same photos; rows ascend
  std::vector<Pick> added;        // are added to the gallery
  std::vector<PhotoRow> removed;  // are left out; rows ascend
};

// A row of the tables, without the recogniser. Each protected person has a trial, in which that person's probes are
// identified. Photos that others perturb at the same time are in everybody's gallery.
struct Scenario {
  std::vector<std::pair<std::string, std::string>> coordinates;  // columns of the tables and their values
  TreatmentId gallery, probes;                                   // of everybody's
  std::vector<Pick> co_protected;                                // replace the same photos of the gallery; rows ascend
  std::vector<Pick> probe_overrides;  // replace a protected person's probes in that person's own trial
  std::vector<Trial> trials;
  std::size_t left_out = 0;  // protected people who have no trial here
  // A cloak detector: anybody's photos that it flags are not in the gallery. Or none.
  std::shared_ptr<const FeatureExtractor> filter = nullptr;
  Seed seed = 0;                // of the draw that it belongs to
  std::size_t distractors = 0;  // how many of SplitRows::distractors are in everybody's gallery: the first ones
};

struct Scenarios {
  std::vector<Treatment> treatments;  // by TreatmentId; the first is none
  std::vector<Scenario> list;
};

// Which photos of a data set are the gallery's and which are probes, and whose they are.
struct SplitRows {
  // Gallery, probes and distractors are rows of `photos`; the distractors are its last ones.
  SplitRows(std::span<const Photo> photos, std::vector<PhotoRow> gallery, std::vector<PhotoRow> probes,
            std::vector<PhotoRow> distractors = {});

  std::vector<PhotoRow> gallery, probes;
  std::vector<PhotoRow> distractors;  // a photo of each person of another data set, who only fill the gallery
  std::vector<std::string> people;    // by label: sorted, each once
  std::vector<Label> labels;          // by PhotoRow

  Label label_of(const std::string& person) const;  // of one of `people`
  std::vector<PhotoRow> probes_of(const std::string& person) const;
  // Everybody's gallery photos in a scenario, distractors included.
  std::vector<PhotoRow> gallery_of(const Scenario& scenario) const;
};

// The trainer's gallery and the probes of a scenario, and what each trial changes in the gallery.
struct Assembly {
  struct Change {
    std::vector<GalleryRow> rows;     // get other pictures; ascend
    std::vector<Pick> pictures;       // the new ones, one for each row
    std::vector<Pick> added;          // are added after the gallery's last row
    std::vector<GalleryRow> removed;  // are left out; ascend
  };
  std::vector<Pick> gallery;       // everybody's, before any trial
  std::vector<Pick> probes;        // everybody's, then probe overrides
  std::size_t overrides_from = 0;  // place of the first override
  std::vector<Change> trials;      // one for each of the scenario's
};

// Depends only on its arguments. `is_dropped`: whether the scenario's filter drops a picture from the gallery; none for
// a scenario without a filter, or to get the gallery without it.
Assembly assemble(const SplitRows& split, const Scenario& scenario,
                  const std::function<bool(const Pick&)>& is_dropped = nullptr);

// The whole gallery of a trial.
std::vector<Pick> gallery_of(const Assembly& assembly, std::size_t trial);

}  // namespace facepoison
