#include <algorithm>
#include <cmath>
#include <limits>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/stages.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

// Half of the embedding's block: an attack keeps every layer for its gradient, and its last block is padded too.
constexpr std::size_t perturb_block = 16;

Json key_of(std::span<const Photo> photos, std::span<const Photo> companions, const Json& attack, Seed seed,
            const RunOptions& options) {
  Json seen = Json::array(), beside = Json::array();
  for (const auto& photo : photos)
    seen.push_back({photo.id, photo.person, content_key(photo)});  // the id and the person seed the stream
  for (const auto& companion : companions) beside.push_back({companion.id, content_key(companion)});
  return {{"format", 5},         {"arithmetic", arithmetic(options.device)}, {"attack", attack},
          {"seed", seed},        {"batch", {perturb_block, piece_size}},     {"photos", seen},
          {"companions", beside}};
}

// A perturbed photo: its file's bytes, and what its attack says of it.
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

void write_unit(std::span<const Photo> photos, std::span<const PerturbedPhoto> made, const fs::path& folder) {
  Table rows{{"id", "sha256", "status", "iterations", "similarity"}, {}, {}}, trace = empty_trace;
  for (std::size_t n = 0; n < made.size(); ++n) {
    write_unflushed(folder / concat(n, ".png"), made[n].png);
    rows.add({photos[n].id, sha256(made[n].png), made[n].status, made[n].iterations, made[n].own_measure});
    trace.rows.insert(trace.rows.end(), made[n].trace.rows.begin(), made[n].trace.rows.end());
  }
  write_unflushed(folder / "made.csv", print(rows, Format::csv));
  write_unflushed(folder / "trace.csv", print(trace, Format::csv));
}

// What stands in the store of a unit's photos.
void read_unit(std::span<const Photo> photos, const fs::path& folder, const std::string& attack, Posted& posted) {
  const fs::path file = folder / "made.csv";
  const Table rows = read_csv(file);
  const auto cell = [&](std::size_t n, const char* name) { return rows.rows.at(n)[column(rows, name, file.string())]; };
  for (std::size_t n = 0; n < photos.size(); ++n) {
    posted.photos.push_back(photos[n]);
    posted.photos.back().path = folder / concat(n, ".png");
    posted.photos.back().sha256 = text(cell(n, "sha256"));
    posted.budget.push_back({.id = photos[n].id,
                             .attack = attack,
                             .status = text(cell(n, "status")),
                             .iterations = as_integer(cell(n, "iterations"), file.string()),
                             .own_measure = number_of(cell(n, "similarity"), file.string())});
  }
  posted.traces.push_back(folder / "trace.csv");
}

// A unit that a plan found unmade: the pictures that it will have, under digests that nothing else has.
void plan_unit(std::span<const Photo> photos, const fs::path& folder, const std::string& attack, Posted& posted) {
  for (std::size_t n = 0; n < photos.size(); ++n) {
    posted.photos.push_back(photos[n]);
    posted.photos.back().path = folder / concat(n, ".png");
    posted.photos.back().sha256 = stand_in_digest(folder, n);
    posted.budget.push_back({.id = photos[n].id, .attack = attack});
  }
}

Posted unchanged(std::span<const Photo> photos, const std::string& attack) {
  Posted posted{{photos.begin(), photos.end()}, {}, {}};
  for (const auto& photo : photos)
    posted.budget.push_back(
        {.id = photo.id, .attack = attack, .status = "ok", .psnr = std::numeric_limits<double>::infinity()});
  return posted;
}

}  // namespace

Table read_traces(const Posted& posted) {
  Table all = empty_trace;
  for (const auto& file : posted.traces) {
    stop_if_interrupted();
    const Table trace = read_csv(file);
    all.rows.insert(all.rows.end(), trace.rows.begin(), trace.rows.end());
  }
  return all;
}

Posted perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed,
               const RunOptions& options, ArtifactStore& store) {
  const std::string& name = attack.settings().name;
  if (photos.empty()) return {};
  const auto is_perturbed = [](const Photo& photo) { return !photo.perturbed_by.empty(); };
  const bool again = std::any_of(photos.begin(), photos.end(), is_perturbed);
  std::vector<Photo> originals, prepared;
  if (again) originals = before_attacks(photos);
  if (!attack.changes_photos()) {
    Posted posted = unchanged(photos, name);
    if (again) audit(originals, attack, options, store, posted);
    return posted;
  }
  if (const auto& before = attack.settings().before) {
    photos = prepared = transformed(photos, *before, seed, store);
    if (again) originals = transformed(originals, *before, seed, store);
  }
  std::vector<std::string> needs;
  const Embed embed_some = [&](std::span<const Photo> some, const FeatureExtractor& extractor) {
    const auto found = embedded(some, extractor, options, store);
    if (!store.planning()) return found->matrix();
    for (std::size_t row = 0; row < some.size(); ++row) needs.push_back(found->artefact(row));
    return found->matrix_or(0);  // then a plan's companions, and the ids that they decide, are stand-ins
  };
  const auto companions = attack.companions(photos, everybody, seed, embed_some, store);
  if (!needs.empty()) needs = {store.plan_all(needs)};
  const auto beside = [&](const Unit& unit) {
    return companions.empty() ? std::span<const Photo>() : std::span(companions).subspan(unit.first, unit.count);
  };
  const auto own = [&](const Unit& unit) { return photos.subspan(unit.first, unit.count); };
  auto units = cut_by_person(photos, perturb_block);
  const Json identity = attack.identity();
  for (auto& unit : units) {
    unit.key = key_of(own(unit), beside(unit), identity, seed, options);
    unit.needs = needs;
    if (!store.planning()) continue;
    for (const auto& pictures : {own(unit), beside(unit)})
      for (auto& artefact : made_in(pictures, store)) unit.needs.push_back(std::move(artefact));
  }

  struct Pair {
    Faces faces, companions;
  };
  Arrow<Pair, PerturbedPhoto> arrow{"perturbed", concat("perturb, ", name), perturb_block};
  arrow.work = {identity, arithmetic(options.device)};
  arrow.decode = [&](const auto& rows) {
    const auto size = padded(rows.size(), perturb_block, options.device);
    const auto batch = [&](std::span<const Photo> some) { return pad(load_faces(chosen(some, rows)), size); };
    return Pair{batch(photos), companions.empty() ? Faces{} : batch(companions)};
  };
  arrow.make = [&](const auto& rows, Pair pair) {
    std::vector<PerturbedPhoto> made(pair.faces.ids.size());
    in_pieces(options.device, made.size(), piece_size, [&](std::size_t first, std::size_t count) {
      const auto moved = [&](const Faces& faces) {
        return faces.ids.empty() ? faces : part(faces, first, count).to(options.device);
      };
      const auto result = attack.perturb(moved(pair.faces), seed, moved(pair.companions));
      for (std::size_t n = 0; n < count; ++n)
        made[first + n] = {encode_png(to_image(result.pixels[static_cast<std::int64_t>(n)])), name_of(result.status[n]),
                           result.iterations[n], result.own_measure[n],
                           trace_of(result.trace, n, pair.faces.ids[first + n])};
    });
    made.resize(rows.size());
    return made;
  };
  arrow.write = [&](const Unit& unit, std::span<const PerturbedPhoto> made, const fs::path& at) {
    write_unit(own(unit), made, at);
  };
  Posted posted;
  const auto folders = arrow.follow(units, store);
  for (std::size_t u = 0; u < units.size(); ++u) {
    stop_if_interrupted();
    if (!store.planning() || fs::exists(folders[u]))
      read_unit(own(units[u]), folders[u], name, posted);
    else
      plan_unit(own(units[u]), folders[u], name, posted);
  }
  audit(again ? std::span<const Photo>(originals) : photos, attack, options, store, posted);
  return posted;
}

}  // namespace facepoison
