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

Json key_of(std::span<const Photo> photos, const Attack& attack, Seed seed, const RunOptions& options) {
  Json seen = Json::array();
  for (const auto& photo : photos) seen.push_back({photo.id, photo.person, content_key(photo)});  // the id and the person seed the stream
  return {{"format", 1}, {"libtorch", libtorch_version()}, {"attack", attack.identity()}, {"seed", seed},
          {"device", options.device.is_cuda() ? "cuda" : "cpu"}, {"batch", block_size}, {"photos", seen}};
}

Audit audit(const torch::Tensor& clean, const Image& written, const std::string& id, const std::string& status) {
  const auto found = to_tensor(written);
  const auto difference = (found - clean).to(torch::kFloat64);
  Audit row{id, "", status};
  row.linf = std::round(difference.abs().max().item<double>() * 255);
  row.l2 = difference.norm().item<double>();
  row.psnr = -10 * std::log10(difference.square().mean().item<double>());
  row.dssim = row.linf == 0 ? 0 : dssim(clean.to(torch::kFloat64), found.to(torch::kFloat64)).item<double>();
  return row;
}

void fill_block(std::span<const Photo> photos, const Attack& attack, Seed seed, const RunOptions& options, const fs::path& folder) {
  const Faces faces = load_faces(photos);
  const Perturbed perturbed = attack.perturb(pad(faces, block_size).to(options.device), seed);
  std::vector<Audit> rows;
  Json hashes = Json::array();
  for (std::size_t n = 0; n < photos.size(); ++n) {
    const fs::path path = folder / concat(n, ".png");
    write_file(path, encode_png(to_image(perturbed.pixels[static_cast<std::int64_t>(n)])));
    const std::string bytes = read_file(path);
    hashes.push_back(sha256(bytes));
    rows.push_back(audit(faces.pixels.narrow(0, static_cast<std::int64_t>(n), 1), decode_image(bytes, Exif::ignore), photos[n].id, perturbed.status[n]));
  }
  write_file(folder / "budget.csv", print(budget_table(rows), Format::csv));
  write_file(folder / "hashes.json", hashes.dump());
}

std::vector<Audit> read_budget(const fs::path& path, const std::string& attack) {
  const Table table = read_csv(path);
  std::vector<Audit> rows;
  for (const auto& row : table.rows) {
    const auto number = [&](const char* name) { return as_number(row[column(table, name, path.string())], path.string()); };
    const auto word = [&](const char* name) { return text(row[column(table, name, path.string())]); };
    rows.push_back({word("id"), attack, word("status"), number("linf"), number("l2"), number("psnr"), number("dssim")});
  }
  return rows;
}

}  // namespace

Table budget_table(const std::vector<Audit>& budget) {
  Table table{{"id", "attack", "status", "linf", "l2", "psnr", "dssim"}, {}, {}};
  for (const auto& row : budget) table.add({row.id, row.attack, row.status, row.linf, row.l2, row.psnr, row.dssim});
  return table;
}

Album perturb(std::span<const Photo> photos, const Attack& attack, Seed seed, const RunOptions& options, ArtifactStore& store) {
  Album album;
  const std::string& name = attack.settings().name;
  if (!attack.changes_photos()) {
    album.photos.assign(photos.begin(), photos.end());
    for (const auto& photo : photos) album.budget.push_back({photo.id, name, "ok", 0, 0, std::numeric_limits<double>::infinity(), 0});
    return album;
  }
  Progress progress(concat("perturb, ", name), photos.size());
  for (const auto& block : cut(photos, block_size)) {
    stop_if_interrupted();
    const auto made = store.misses();
    const auto folder = store.get_or_make("perturbed", key_of(block, attack, seed, options), [&](const fs::path& at) { fill_block(block, attack, seed, options, at); });
    const Json hashes = read_json(folder / "hashes.json");
    const auto rows = read_budget(folder / "budget.csv", name);
    for (std::size_t n = 0; n < block.size(); ++n) {
      album.photos.push_back(block[n]);
      album.photos.back().path = folder / concat(n, ".png");
      album.photos.back().sha256 = hashes.at(n).get<std::string>();
      album.budget.push_back(rows.at(n));
    }
    progress.advance(block.size(), store.misses() == made);
  }
  return album;
}

}  // namespace facepoison
