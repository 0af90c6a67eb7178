// The stage that transforms canvases.
#include "facepoison/error.hpp"
#include "facepoison/posted.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t transform_block = 32;

class TransformStage final : public StageOf<std::vector<MadePicture>, MadePicture> {
 public:
  TransformStage(StagedPhotos photos, std::shared_ptr<const Transform> transform, Seed seed)
      : StageOf("transformed", concat("transform, ", transform->name()), transform_block),
        photos_(std::move(photos)),
        transform_(std::move(transform)),
        seed_(seed) {
    add_units_by_person(photos_.list(), transform_block);
  }

  Json work() const override { return transform_->identity(); }

  Json key(const Unit& unit) const override {
    Json seen = Json::array();
    for (const auto& photo : photos_.of(unit))
      seen.push_back(transform_->is_random() ? Json{photo.id, content_key(photo)} : Json{content_key(photo)});
    Json key = {{"format", 2}, {"transform", transform_->identity()}, {"photos", seen}};
    if (transform_->is_random()) key["seed"] = seed_;
    return key;
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return photos_.made_by(); }
  Needs needs(const Unit& unit) const override { return {made_in(photos_.of(unit)), {}}; }
  void load(ArtifactStore& store) override { photos_ = photos_.resolved(store); }

 private:
  std::vector<MadePicture> decode_rows(const Rows& rows) const override {
    std::vector<MadePicture> made;
    for (const auto row : rows) {
      const auto& photo = photos_.list()[row];
      const Canvas out = (*transform_)({read_canvas(photo), photo.landmarks}, seed_, photo.id);
      made.push_back({encode_png(out.image), out.landmarks});
    }
    return made;
  }

  std::vector<MadePicture> compute_rows(const Rows&, std::vector<MadePicture> made) override { return made; }

  void write_unit(const Unit&, std::span<const MadePicture> made, const fs::path& folder) const override {
    write_pictures(made, folder);
  }

  StagedPhotos photos_;
  std::shared_ptr<const Transform> transform_;
  Seed seed_;
};

}  // namespace

StagedPhotos transformed(StagedPhotos photos, std::shared_ptr<const Transform> transform, Seed seed) {
  auto named = photos.list();
  return pictures_of(std::move(named), std::make_shared<TransformStage>(std::move(photos), std::move(transform), seed));
}

}  // namespace facepoison
