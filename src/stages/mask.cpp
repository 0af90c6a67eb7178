#include "stages/mask.hpp"

#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr auto mask_file = "mask.npy";

// A row and a unit is a person.
class MaskStage final : public StageOf<std::vector<Faces>, torch::Tensor> {
 public:
  MaskStage(std::vector<StagedPhotos> people, const Attack& attack, Seed seed, const RunOptions& options)
      : StageOf("learned", concat("learn masks, ", attack.settings().name), batch_rows(1, options.device)),
        people_(std::move(people)),
        attack_(attack),
        seed_(seed),
        options_(options) {
    for (std::size_t row = 0; row < people_.size(); ++row) add_unit(row, 1);
  }

  std::string rows_are() const override { return "people"; }
  Json work() const override { return {attack_.identity(), arithmetic(options_)}; }

  Json key(const Unit& unit) const override {
    Json seen = Json::array();
    for (const auto& photo : photos_of(unit)) seen.push_back({photo.id, photo.person, content_key(photo)});
    return {{"format", 1},
            {"arithmetic", arithmetic(options_)},
            {"attack", attack_.identity()},
            {"seed", seed_},
            {"photos", seen}};
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return people_.front().made_by(); }
  Needs needs(const Unit& unit) const override { return {made_in(photos_of(unit)), {}}; }

  void load(ArtifactStore& store) override {
    for (auto& photos : people_) photos = photos.resolved(store);
  }

 private:
  const std::vector<Photo>& photos_of(const Unit& unit) const { return people_[unit.first].list(); }

  std::vector<Faces> decode_rows(const Rows& rows) const override {
    std::vector<Faces> some;
    for (const auto row : rows) some.push_back(load_faces(people_[row].list()));
    return some;
  }

  std::vector<torch::Tensor> compute_rows(const Rows& rows, std::vector<Faces> some) override {
    std::vector<torch::Tensor> masks(rows.size());
    in_pieces(options_.device, rows.size(), 1, [&](std::size_t first, std::size_t count) {
      for (auto n = first; n < first + count; ++n)
        masks[n] = attack_.fit(some[n].to(options_.device), seed_).to(torch::kCPU);
    });
    return masks;
  }

  void write_unit(const Unit&, std::span<const torch::Tensor> masks, const fs::path& folder) const override {
    write_unflushed(folder / mask_file, npy_bytes(masks.front()));
  }

  std::vector<StagedPhotos> people_;  // the photos of each
  const Attack& attack_;
  Seed seed_;
  RunOptions options_;
};

class Masks final : public Companions {
 public:
  Masks(const StagedPhotos& album, const MaskPhotos& learn_from, const Attack& attack, Seed seed,
        const RunOptions& options)
      : album_(album) {
    MaskPhotos photos;
    for (const auto& photo : album.list()) photos[photo.person].push_back(photo);
    std::vector<StagedPhotos> people;
    for (auto& [person, own] : photos) {
      const auto found = learn_from.find(person);
      rows_[person] = people.size();
      people.emplace_back(found == learn_from.end() ? std::move(own) : found->second, album.made_by());
    }
    stage_ = std::make_shared<MaskStage>(std::move(people), attack, seed, options);
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return {stage_}; }
  Json key(std::size_t first, std::size_t) const override { return output_of(first).unit.name; }
  Needs needs(std::size_t first, std::size_t) const override { return {{output_of(first).unit}, {}}; }

  CompanionFaces read(const ArtifactStore& store) const override {
    std::map<std::string, torch::Tensor> masks;
    for (const auto& [person, row] : rows_) masks[person] = read_npy(store.path(stage_->output(row).unit) / mask_file);
    return [masks = std::move(masks), album = album_](const auto& rows) {
      Faces faces;
      std::vector<torch::Tensor> pixels;
      for (const auto row : rows) {
        const auto& photo = album.list()[row];
        faces.ids.push_back(photo.id);
        faces.people.push_back(photo.person);
        pixels.push_back(masks.at(photo.person));
      }
      faces.pixels = torch::stack(pixels);
      return faces;
    };
  }

 private:
  Output output_of(std::size_t photo) const { return stage_->output(rows_.at(album_.list()[photo].person)); }

  StagedPhotos album_;
  std::map<std::string, std::size_t> rows_;  // of the stage, by person
  std::shared_ptr<MaskStage> stage_;
};

}  // namespace

std::shared_ptr<const Companions> masks_of(const StagedPhotos& album, const MaskPhotos& learn_from,
                                           const Attack& attack, Seed seed, const RunOptions& options) {
  return std::make_shared<Masks>(album, learn_from, attack, seed, options);
}

}  // namespace facepoison
