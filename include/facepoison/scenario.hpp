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
  std::shared_ptr<const Transform> transform;  // then; or none
  Seed seed = 0;
};

// A photo as somebody sees it.
struct Pick {
  PhotoRow photo;
  TreatmentId treatment;
};

// One protected person's: what differs from everybody's gallery. One of the three has a photo.
struct Trial {
  std::string person;
  std::vector<Pick> replaced;     // stand in the place of the same photos; rows rise
  std::vector<Pick> added;        // are in the gallery besides
  std::vector<PhotoRow> removed;  // are not there; rows rise
};

// A row of the tables, but for the recogniser: each protected person has a trial of their own, in which that person's
// probes are identified. What others do at the same time is in everybody's gallery.
struct Scenario {
  std::vector<std::pair<std::string, std::string>> coordinates;  // columns of the tables and their values
  TreatmentId gallery, probes;                                   // of everybody's
  std::vector<Pick> co_protected;     // of the gallery, in the place of the same photos; rows rise
  std::vector<Pick> probe_overrides;  // probes of protected people, which their own trials have instead of the others
  std::vector<Trial> trials;
  std::size_t left_out = 0;  // protected people who have no trial here
  // A cloak detector: what it flags, of anybody's, is not in the gallery. Or none.
  std::shared_ptr<const FeatureExtractor> filter = nullptr;
  Seed seed = 0;  // of the draw that it belongs to
};

struct Scenarios {
  std::vector<Treatment> treatments;  // by TreatmentId; the first is none
  std::vector<Scenario> list;
};

// Which photos of a data set are the gallery's and which are probes, and whose they are.
struct SplitRows {
  // Gallery and probes are rows of `photos`.
  SplitRows(std::span<const Photo> photos, std::vector<PhotoRow> gallery, std::vector<PhotoRow> probes);

  std::vector<PhotoRow> gallery, probes;
  std::vector<std::string> people;  // by label: sorted, each once
  std::vector<Label> labels;        // by PhotoRow

  Label label_of(const std::string& person) const;  // of one of `people`
  std::vector<PhotoRow> probes_of(const std::string& person) const;
};

// The trainer's gallery and the probes of a scenario, and what each trial changes in the gallery.
struct Assembly {
  struct Change {
    std::vector<GalleryRow> rows;     // have other pictures; rise
    std::vector<Pick> pictures;       // these, one for each
    std::vector<Pick> added;          // are in the gallery besides, after its last row
    std::vector<GalleryRow> removed;  // are not there; rise
  };
  std::vector<Pick> gallery;       // everybody's, before any trial
  std::vector<Pick> probes;        // everybody's, then probe overrides
  std::size_t overrides_from = 0;  // place of the first override
  std::vector<Change> trials;      // one for each of the scenario's
};

// Depends on nothing but its arguments. `is_dropped`: whether the scenario's filter drops a picture from the gallery;
// none for a scenario without a filter, or to know who would be there without it.
Assembly assemble(const SplitRows& split, const Scenario& scenario,
                  const std::function<bool(const Pick&)>& is_dropped = nullptr);

// The whole gallery of a trial.
std::vector<Pick> gallery_of(const Assembly& assembly, std::size_t trial);

}  // namespace facepoison
