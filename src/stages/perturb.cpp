// The stage that perturbs photos.
#include <algorithm>
#include <cmath>
#include <limits>

#include "facepoison/embeddings.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/posted.hpp"
#include "stages/blocks.hpp"
#include "stages/mask.hpp"

namespace facepoison {
namespace {

// Half of the block for embeddings: an attack keeps every layer for its gradient, and its last block is padded too.
constexpr std::size_t perturb_block = 16;

// A perturbed photo: its file's bytes and the attack's report.
struct PerturbedPhoto {
  std::string png, status;
  std::int64_t iterations = 0;
  double own_measure = 0;
  Table trace;
};

const Table empty_trace{{"id", "iteration", "loss", "dssim", "similarity"}, {}, {}};

// The n-th photo's rows of an attack's trace.
Table trace_of(const torch::Tensor& trace, std::size_t n, const std::string& id) {
  Table table = empty_trace;
  if (!trace.defined()) return table;
  const auto numbers = trace.accessor<double, 3>();
  for (std::int64_t k = 0; k < numbers.size(0); ++k)
    if (const auto row = numbers[k][static_cast<std::int64_t>(n)]; std::isfinite(row[0]))
      table.add({id, k, row[0], row[1], row[2]});
  return table;
}

struct FacesAndCompanions {
  Faces faces, companions;
};

class PerturbStage final : public StageOf<FacesAndCompanions, PerturbedPhoto> {
 public:
  PerturbStage(StagedPhotos photos, std::span<const Photo> everybody, const MaskPhotos& learn_from,
               const Attack& attack, Seed seed, const RunOptions& options)
      : StageOf("perturbed", concat("perturb, ", attack.settings().name), batch_rows(perturb_block, options.device)),
        photos_(std::move(photos)),
        attack_(attack),
        identity_(attack.identity()),
        seed_(seed),
        options_(options) {
    const auto embed = [&](StagedPhotos some, std::shared_ptr<const FeatureExtractor> extractor) {
      return embed_stage(std::move(some), std::move(extractor), options);
    };
    companions_ = attack.learns_masks() ? masks_of(photos_, learn_from, attack, seed, options)
                                        : attack.companions(photos_, everybody, seed, embed);
    add_units_by_person(photos_.list(), perturb_block);
  }

  Json work() const override { return {identity_, arithmetic(options_)}; }

  Json key(const Unit& unit) const override {
    Json seen = Json::array();
    for (const auto& photo : photos_.of(unit))
      seen.push_back({photo.id, photo.person, content_key(photo)});  // the id and the person seed the stream
    return {{"format", 6},
            {"arithmetic", arithmetic(options_)},
            {"attack", identity_},
            {"seed", seed_},
            {"batch", {perturb_block, piece_size}},
            {"photos", seen},
            {"companions", companions_ ? companions_->key(unit.first, unit.count) : Json()}};
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override {
    auto stages = photos_.made_by();
    if (companions_)
      for (auto& stage : companions_->inputs()) stages.push_back(std::move(stage));
    return stages;
  }

  Needs needs(const Unit& unit) const override {
    Needs needs = companions_ ? companions_->needs(unit.first, unit.count) : Needs{};
    for (auto& id : made_in(photos_.of(unit))) needs.artefacts.push_back(std::move(id));
    return needs;
  }

  void load(ArtifactStore& store) override {
    photos_ = photos_.resolved(store);
    if (companions_) companion_faces_ = companions_->read(store);
  }

  // The attack's report on each photo, without the measures.
  std::vector<Audit> read(const ArtifactStore& store) const {
    std::vector<Audit> rows;
    for (const auto& unit : units()) {
      stop_if_interrupted();
      const fs::path file = store.path(unit.id) / "made.csv";
      const Table table = read_csv(file);
      const auto cell = [&](std::size_t n, const char* name) {
        return table.rows.at(n)[column(table, name, file.string())];
      };
      for (std::size_t n = 0; n < unit.count; ++n)
        rows.push_back({.id = photos_.list()[unit.first + n].id,
                        .attack = attack_.settings().name,
                        .status = text(cell(n, "status")),
                        .iterations = as_integer(cell(n, "iterations"), file.string()),
                        .own_measure = number_of(cell(n, "similarity"), file.string())});
    }
    return rows;
  }

 private:
  FacesAndCompanions decode_rows(const Rows& rows) const override {
    auto all = rows;
    all.resize(padded(rows.size(), perturb_block, options_.device), rows.back());
    return {pad(load_faces(chosen(photos_.list(), rows)), all.size()), companions_ ? companion_faces_(all) : Faces{}};
  }

  std::vector<PerturbedPhoto> compute_rows(const Rows& rows, FacesAndCompanions batch) override {
    std::vector<PerturbedPhoto> made(batch.faces.ids.size());
    in_pieces(options_.device, made.size(), piece_size, [&](std::size_t first, std::size_t count) {
      const auto moved = [&](const Faces& faces) {
        if (faces.ids.empty()) return faces;
        const auto each = faces.ids.size() / made.size();
        return part(faces, each * first, each * count).to(options_.device);
      };
      const auto result = attack_.perturb(moved(batch.faces), seed_, moved(batch.companions));
      for (std::size_t n = 0; n < count; ++n)
        made[first + n] = {encode_png(to_image(result.pixels[static_cast<std::int64_t>(n)])), name_of(result.status[n]),
                           result.iterations[n], result.own_measure[n],
                           trace_of(result.trace, n, batch.faces.ids[first + n])};
    });
    made.resize(rows.size());
    return made;
  }

  void write_unit(const Unit& unit, std::span<const PerturbedPhoto> made, const fs::path& folder) const override {
    Table rows{{"id", "status", "iterations", "similarity"}, {}, {}}, trace = empty_trace;
    std::vector<MadePicture> pictures;
    for (std::size_t n = 0; n < made.size(); ++n) {
      const auto& photo = photos_.list()[unit.first + n];
      pictures.push_back({made[n].png, photo.landmarks});
      rows.add({photo.id, made[n].status, made[n].iterations, made[n].own_measure});
      trace.rows.insert(trace.rows.end(), made[n].trace.rows.begin(), made[n].trace.rows.end());
    }
    write_pictures(pictures, folder);
    write_unflushed(folder / "made.csv", print(rows, Format::csv));
    write_unflushed(folder / "trace.csv", print(trace, Format::csv));
  }

  StagedPhotos photos_;
  const Attack& attack_;
  Json identity_;
  Seed seed_;
  RunOptions options_;
  std::shared_ptr<const Companions> companions_;  // or none
  CompanionFaces companion_faces_;                // once the inputs are in the store
};

}  // namespace

PerturbedPhotos::PerturbedPhotos(StagedPhotos photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
                                 const RunOptions& options, const MaskPhotos& learn_from)
    : attack_(attack) {
  const auto is_perturbed = [](const Photo& photo) { return !photo.perturbed_by.empty(); };
  const bool again = std::any_of(photos.list().begin(), photos.list().end(), is_perturbed);
  clean_ = again ? StagedPhotos(before_attacks(photos.list()), photos.made_by()) : photos;
  if (const auto& before = attack.settings().before; before && attack.changes_photos()) {
    photos = transformed(std::move(photos), before, seed);
    clean_ = again ? transformed(std::move(clean_), before, seed) : photos;
  }
  pictures_ = photos;
  if (photos.list().empty()) return;
  auto chain = attack.settings().after;
  chain.emplace_back(std::shared_ptr<void>(), &attack);
  for (const auto& one : chain) {
    if (!one->changes_photos()) continue;
    perturb_ = std::make_shared<PerturbStage>(pictures_, everybody, learn_from, *one, seed, options);
    pictures_ = pictures_of(pictures_.list(), perturb_);
  }
  if (perturb_ || again) audit_ = audit(clean_, pictures_, attack, options);
}

std::vector<std::shared_ptr<Stage>> PerturbedPhotos::stages() const {
  std::vector<std::shared_ptr<Stage>> all;
  if (perturb_) all.push_back(perturb_);
  if (audit_) all.push_back(audit_);
  return all;
}

std::vector<Audit> PerturbedPhotos::budget(const ArtifactStore& store) const {
  std::vector<Audit> rows;
  if (perturb_)
    rows = static_cast<const PerturbStage&>(*perturb_).read(store);
  else
    for (const auto& photo : pictures_.list())
      rows.push_back({.id = photo.id,
                      .attack = attack_.settings().name,
                      .status = "ok",
                      .psnr = std::numeric_limits<double>::infinity()});
  if (audit_) audit_->read(store, rows);
  return rows;
}

std::vector<fs::path> PerturbedPhotos::traces(const ArtifactStore& store) const {
  std::vector<fs::path> files;
  if (perturb_)
    for (const auto& unit : perturb_->units()) files.push_back(store.path(unit.id) / "trace.csv");
  return files;
}

Table read_traces(const std::vector<fs::path>& traces) {
  Table all = empty_trace;
  for (const auto& file : traces) {
    stop_if_interrupted();
    const Table trace = read_csv(file);
    all.rows.insert(all.rows.end(), trace.rows.begin(), trace.rows.end());
  }
  return all;
}

Posted perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
               const RunOptions& options, ArtifactStore& store) {
  const PerturbedPhotos planned(StagedPhotos(std::vector<Photo>(photos.begin(), photos.end())), everybody, attack, seed,
                                options);
  Executor executor(store);
  for (const auto& stage : planned.stages()) executor.run(stage);
  return {planned.pictures().resolved(store).list(), planned.budget(store), planned.traces(store)};
}

}  // namespace facepoison
