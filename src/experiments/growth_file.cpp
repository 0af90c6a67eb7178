#include "experiments/growth_file.hpp"

namespace facepoison {

GrowthFile::GrowthFile(const fs::path& folder, const Study& study)
    : file_(folder / "rounds.csv",
            columns_of(study, {"protected", "mode", "round", "last", "photos", "added_right", "added_wrong"})) {}

void GrowthFile::record(const Row& coordinates, const GrowthStage& stage, const ArtifactStore& store) {
  const auto grown = stage.read(store);
  for (std::size_t p = 0; p < grown.size(); ++p) {
    const auto& album = stage.albums()[p];
    const auto queued = static_cast<std::int64_t>(album.rows.size()) - 1;
    for (const auto& [mode, rounds] :
         {std::pair("believed", &grown[p].believed), std::pair("oracle", &grown[p].oracle)})
      for (std::size_t n = 0; n < rounds->size(); ++n)
        file_.add(joined(coordinates, {album.person, mode, static_cast<std::int64_t>(n + 1),
                                       static_cast<std::int64_t>(n + 1 == rounds->size()), queued, (*rounds)[n].right,
                                       (*rounds)[n].wrong}));
  }
}

}  // namespace facepoison
