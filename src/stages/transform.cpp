// What becomes of pictures on their way: an arrow from canvases to canvases.
#include "facepoison/arrow.hpp"
#include "facepoison/stages.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t transform_block = 32;

struct Transformed {
  std::string png;
  std::optional<Landmarks> landmarks;
};

Json key_of(std::span<const Photo> photos, const Transform& transform, Seed seed) {
  Json seen = Json::array();
  for (const auto& photo : photos)
    seen.push_back(transform.is_random() ? Json{photo.id, content_key(photo)} : Json{content_key(photo)});
  Json key = {{"format", 1}, {"transform", transform.identity()}, {"photos", seen}};
  if (transform.is_random()) key["seed"] = seed;
  return key;
}

void write_unit(std::span<const Transformed> made, const fs::path& folder) {
  Json rows = Json::array();
  for (std::size_t n = 0; n < made.size(); ++n) {
    write_unflushed(folder / concat(n, ".png"), made[n].png);
    rows.push_back({{"sha256", sha256(made[n].png)}, {"landmarks", points(made[n].landmarks)}});
  }
  write_unflushed(folder / "rows.json", rows.dump());
}

}  // namespace

std::vector<Photo> transformed(std::span<const Photo> photos, const Transform& transform, Seed seed,
                               ArtifactStore& store) {
  auto units = cut_by_person(photos, transform_block);
  const auto own = [&](const Unit& unit) { return photos.subspan(unit.first, unit.count); };
  for (auto& unit : units) {
    unit.key = key_of(own(unit), transform, seed);
    if (store.planning()) unit.needs = made_in(own(unit), store);
  }
  Arrow<std::vector<Transformed>, Transformed> arrow{"transformed", concat("transform, ", transform.name()),
                                                     transform_block};
  arrow.work = transform.identity();
  arrow.decode = [&](const auto& rows) {
    std::vector<Transformed> made;
    for (const auto row : rows) {
      const auto& photo = photos[row];
      const Canvas out = transform({read_canvas(photo), photo.landmarks}, seed, photo.id);
      made.push_back({encode_png(out.image), out.landmarks});
    }
    return made;
  };
  arrow.make = [](const auto&, std::vector<Transformed> made) { return made; };
  arrow.write = [](const Unit&, std::span<const Transformed> made, const fs::path& at) { write_unit(made, at); };
  const auto folders = arrow.follow(units, store);
  std::vector<Photo> out(photos.begin(), photos.end());
  for (std::size_t u = 0; u < units.size(); ++u) {
    stop_if_interrupted();
    const bool made = !store.planning() || fs::exists(folders[u]);
    const Json rows = made ? read_json(folders[u] / "rows.json") : Json();
    for (std::size_t n = 0; n < units[u].count; ++n) {
      auto& photo = out[units[u].first + n];
      photo.path = folders[u] / concat(n, ".png");
      photo.sha256 = stand_in_digest(folders[u], n);
      if (!made) continue;
      Spec row(rows.at(n), folders[u].string());
      photo.sha256 = row.text("sha256");
      photo.landmarks = read_points(row, "landmarks");
    }
  }
  return out;
}

}  // namespace facepoison
