#include <algorithm>
#include <cmath>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/similarity.hpp"
#include "facepoison/stages.hpp"
#include "facepoison/version.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

// Half of the embedding's block: an attack keeps every layer for its gradient, and its last block is padded too.
constexpr std::size_t block_size = 16;

// What the blocks of one album share.
struct Job {
  const Attack& attack;
  Seed seed;
  const RunOptions& options;
  std::shared_ptr<const Perceptual> lpips;  // or none
};

Json key_of(std::span<const Photo> photos, std::span<const Photo> companions, const Job& job) {
  Json seen = Json::array(), beside = Json::array();
  for (const auto& photo : photos) seen.push_back({photo.id, photo.person, content_key(photo)});  // the id and the person seed the stream
  for (const auto& companion : companions) beside.push_back({companion.id, content_key(companion)});
  return {{"format", 3},
          {"libtorch", libtorch_version()},
          {"attack", job.attack.identity()},
          {"seed", job.seed},
          {"device", device_name(job.options.device)},
          {"batch", block_size},
          {"photos", seen},
          {"companions", beside},
          {"lpips", job.lpips ? job.lpips->sha256() : ""}};
}

Audit audit(const Faces& face, const Image& written, const Job& job) {
  const torch::NoGradGuard no_grad;
  const auto found = to_tensor(written), &clean = face.pixels;
  const auto difference = (found - clean).to(torch::kFloat64);
  Audit row;
  row.linf = std::round(difference.abs().max().item<double>() * 255);
  row.l2 = difference.norm().item<double>();
  row.psnr = -10 * std::log10(difference.square().mean().item<double>());
  const auto dssim_over = [&](const torch::Tensor& windows) {
    return row.linf == 0 ? 0 : dssim(clean.to(torch::kFloat64), found.to(torch::kFloat64), windows).item<double>();
  };
  row.dssim = dssim_over({});
  const auto& surrogates = job.attack.settings().surrogates;
  row.dssim_seen = surrogates.empty() ? std::nan("") : dssim_over(seen_windows(face, surrogates));
  row.lpips = job.lpips ? (*job.lpips)(clean.to(job.options.device), found.to(job.options.device)).item<double>() : std::nan("");
  return row;
}

Table trace_table(const Perturbed& perturbed, std::span<const Photo> photos) {
  Table table{{"id", "iteration", "loss", "dssim", "similarity"}, {}, {}};
  if (!perturbed.trace.defined()) return table;
  const auto numbers = perturbed.trace.accessor<double, 3>();
  for (std::size_t n = 0; n < photos.size(); ++n)
    for (std::int64_t k = 0; k < numbers.size(0); ++k)
      if (const auto row = numbers[k][static_cast<std::int64_t>(n)]; std::isfinite(row[0])) table.add({photos[n].id, k, row[0], row[1], row[2]});
  return table;
}

void fill_block(std::span<const Photo> photos, std::span<const Photo> companions, const Job& job, const fs::path& folder) {
  const Faces faces = load_faces(photos);
  const auto on_device = [&](const Faces& some) { return pad(some, block_size).to(job.options.device); };
  const Perturbed perturbed = job.attack.perturb(on_device(faces), job.seed, companions.empty() ? Faces{} : on_device(load_faces(companions)));
  std::vector<Audit> rows;
  Json hashes = Json::array();
  for (std::size_t n = 0; n < photos.size(); ++n) {
    const fs::path path = folder / concat(n, ".png");
    write_file(path, encode_png(to_image(perturbed.pixels[static_cast<std::int64_t>(n)])));
    const std::string bytes = read_file(path);
    hashes.push_back(sha256(bytes));
    rows.push_back(audit(only(faces, n), decode_image(bytes, Exif::ignore), job));
    rows.back().id = photos[n].id, rows.back().status = perturbed.status[n];
    rows.back().iterations = perturbed.iterations[n], rows.back().similarity = perturbed.similarity[n];
  }
  write_file(folder / "budget.csv", print(budget_table(rows), Format::csv));
  write_file(folder / "trace.csv", print(trace_table(perturbed, photos), Format::csv));
  write_file(folder / "hashes.json", hashes.dump());
}

std::vector<Audit> read_budget(const fs::path& path, const std::string& attack) {
  const Table table = read_csv(path);
  std::vector<Audit> rows;
  for (const auto& row : table.rows) {
    const auto word = [&](const char* name) { return text(row[column(table, name, path.string())]); };
    const auto number = [&](const char* name) { return word(name).empty() ? std::nan("") : as_number(row[column(table, name, path.string())], path.string()); };
    const bool has_lpips = std::find(table.columns.begin(), table.columns.end(), "lpips") != table.columns.end();
    rows.push_back({word("id"), attack, word("status"), static_cast<std::int64_t>(number("iterations")), number("linf"), number("l2"), number("psnr"), number("dssim"),
                    number("dssim_seen"), number("similarity"), has_lpips ? number("lpips") : std::nan("")});
  }
  return rows;
}

Cell known(double number) { return std::isnan(number) ? Cell("") : Cell(number); }

}  // namespace

Table budget_table(const std::vector<Audit>& budget) {
  Table table{
      {"id", "attack", "status", "iterations", "linf", "l2", "psnr", "dssim", "dssim_seen", "similarity"}, {}, {}};
  const bool has_lpips = std::any_of(budget.begin(), budget.end(), [](const Audit& row) { return !std::isnan(row.lpips); });
  if (has_lpips) table.columns.push_back("lpips");
  for (const auto& row : budget) {
    std::vector<Cell> cells = {row.id, row.attack, row.status, row.iterations,        row.linf,
                               row.l2, row.psnr,   row.dssim,  known(row.dssim_seen), known(row.similarity)};
    if (has_lpips) cells.push_back(known(row.lpips));
    table.add(std::move(cells));
  }
  return table;
}

Album perturb(std::span<const Photo> photos, std::span<const Photo> everybody, const Attack& attack, Seed seed, const RunOptions& options, ArtifactStore& store) {
  Album album{{}, {}, trace_table({}, {})};
  const std::string& name = attack.settings().name;
  if (!attack.changes_photos()) {
    album.photos.assign(photos.begin(), photos.end());
    for (const auto& photo : photos)
      album.budget.push_back({photo.id, name, "ok", 0, 0, 0, std::numeric_limits<double>::infinity(), 0, std::nan(""),
                              std::nan(""), std::nan("")});
    return album;
  }
  const Job job{attack, seed, options, find_perceptual("lpips", options)};
  const auto companions = attack.companions(photos, everybody, seed, [&](std::span<const Photo> some, const FeatureExtractor& extractor) { return embed(some, extractor, options, store); }, store);
  Progress progress(concat("perturb, ", name), photos.size());
  std::size_t start = 0;
  for (const auto& block : cut(photos, block_size)) {
    stop_if_interrupted();
    const auto beside = companions.empty() ? std::span<const Photo>() : std::span<const Photo>(companions).subspan(start, block.size());
    start += block.size();
    const auto made = store.misses();
    const auto folder = store.get_or_make("perturbed", key_of(block, beside, job), [&](const fs::path& at) { fill_block(block, beside, job, at); });
    const Json hashes = read_json(folder / "hashes.json");
    const auto rows = read_budget(folder / "budget.csv", name);
    for (std::size_t n = 0; n < block.size(); ++n) {
      album.photos.push_back(block[n]);
      album.photos.back().path = folder / concat(n, ".png");
      album.photos.back().sha256 = hashes.at(n).get<std::string>();
      album.budget.push_back(rows.at(n));
    }
    const Table trace = read_csv(folder / "trace.csv");
    album.trace.rows.insert(album.trace.rows.end(), trace.rows.begin(), trace.rows.end());
    progress.advance(block.size(), store.misses() == made);
  }
  return album;
}

}  // namespace facepoison
