// Pictures of a plan, some of which are not made yet.
#pragma once
#include <set>

#include "facepoison/dataset.hpp"
#include "facepoison/error.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// The artefacts of the store that hold these photos' pictures, where an arrow of an experiment made them.
inline std::vector<std::string> made_in(std::span<const Photo> photos, const ArtifactStore& store) {
  std::set<std::string> artefacts;
  for (const auto& photo : photos)
    for (const auto* kind : {"perturbed", "transformed", "paired"})
      if (photo.path.string().starts_with((store.root() / kind / "").string()))
        artefacts.insert(photo.path.parent_path().filename());
  return {artefacts.begin(), artefacts.end()};
}

// Where a plan finds a picture unmade: a digest that nothing else has.
inline std::string stand_in_digest(const fs::path& artefact, std::size_t place) {
  return concat("of ", artefact.filename().string(), " ", place);
}

}  // namespace facepoison
