// What the written files differ by from the clean canvases: measured on what is read back, an arrow of its own, so that
// no measure decides a picture.
#include <algorithm>
#include <cmath>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/dssim.hpp"
#include "facepoison/stages.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t audit_block = 16;

Audit measure(const Faces& clean, const Faces& written, const Surrogates& surrogates, const Perceptual* lpips,
              torch::Device device) {
  const torch::NoGradGuard no_grad;
  const auto difference = (written.pixels - clean.pixels).to(torch::kFloat64);
  Audit row;
  row.linf = std::round(difference.abs().max().item<double>() * 255);
  row.l2 = difference.norm().item<double>();
  row.psnr = -10 * std::log10(difference.square().mean().item<double>());
  const auto dssim_over = [&](const torch::Tensor& windows) {
    if (row.linf == 0) return 0.0;
    return dssim(clean.pixels.to(torch::kFloat64), written.pixels.to(torch::kFloat64), windows).item<double>();
  };
  row.dssim = dssim_over({});
  if (!surrogates.empty()) row.dssim_seen = dssim_over(seen_windows(clean, surrogates));
  if (lpips) row.lpips = (*lpips)(clean.pixels.to(device), written.pixels.to(device)).item<double>();
  return row;
}

const std::vector<std::pair<const char*, double Audit::*>> measures = {{"linf", &Audit::linf},
                                                                       {"l2", &Audit::l2},
                                                                       {"psnr", &Audit::psnr},
                                                                       {"dssim", &Audit::dssim},
                                                                       {"dssim_seen", &Audit::dssim_seen},
                                                                       {"lpips", &Audit::lpips}};

Table table_of(std::span<const Audit> rows) {
  Table table;
  for (const auto& [name, number] : measures) table.columns.push_back(name);
  for (const auto& row : rows) {
    std::vector<Cell> cells;
    for (const auto& [name, number] : measures) cells.push_back(row.*number);
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

void audit(std::span<const Photo> clean, const Attack& attack, const RunOptions& options, ArtifactStore& store,
           Posted& posted) {
  const auto lpips = find_perceptual("lpips", options);
  const auto& surrogates = attack.settings().surrogates;
  Json seen_by = Json::array();
  for (const auto& surrogate : surrogates) seen_by.push_back(surrogate->identity());
  const std::span<const Photo> written = posted.photos;
  auto units = cut_by_person(clean, audit_block);
  for (auto& unit : units) {
    Json pairs = Json::array();
    for (auto i = unit.first; i < unit.first + unit.count; ++i)
      pairs.push_back({content_key(clean[i]), written[i].sha256});
    if (store.planning()) unit.needs = made_in(written.subspan(unit.first, unit.count), store);
    unit.key = {{"format", 2},
                {"pairs", pairs},
                {"seen_by", seen_by},
                {"arithmetic", arithmetic(options.device)},
                {"lpips", lpips ? Json{lpips->sha256(), precision_name(options)} : Json()}};
  }
  struct Pair {
    Faces clean, written;
  };
  Arrow<Pair, Audit> arrow{"audited", concat("audit, ", attack.settings().name), audit_block};
  arrow.work = {seen_by, arithmetic(options.device)};
  arrow.decode = [&](const auto& rows) {
    return Pair{load_faces(chosen(clean, rows)), load_faces(chosen(written, rows))};
  };
  arrow.make = [&](const auto& rows, Pair pair) {
    std::vector<Audit> made(rows.size());
    in_pieces(options.device, rows.size(), 1, [&](std::size_t first, std::size_t count) {
      for (auto n = first; n < first + count; ++n)
        made[n] = measure(part(pair.clean, n, 1), part(pair.written, n, 1), surrogates, lpips.get(), options.device);
    });
    return made;
  };
  arrow.write = [](const Unit&, std::span<const Audit> rows, const fs::path& at) {
    write_unflushed(at / "audit.csv", print(table_of(rows), Format::csv));
  };
  const auto folders = arrow.follow(units, store);
  if (store.planning()) return;
  for (std::size_t u = 0; u < units.size(); ++u) {
    stop_if_interrupted();
    const fs::path file = folders[u] / "audit.csv";
    const Table table = read_csv(file);
    for (std::size_t n = 0; n < units[u].count; ++n)
      for (std::size_t k = 0; k < measures.size(); ++k)
        posted.budget[units[u].first + n].*measures[k].second = number_of(table.rows.at(n).at(k), file.string());
  }
}

Table budget_table(const std::vector<Audit>& budget) {
  Table table{{"id", "attack", "status", "iterations", "linf", "l2", "psnr", "dssim", "dssim_seen", "similarity",
               "transform", "energy_left", "seed"},
              {},
              {}};
  const bool has_lpips =
      std::any_of(budget.begin(), budget.end(), [](const Audit& row) { return !std::isnan(row.lpips); });
  if (has_lpips) table.columns.push_back("lpips");
  for (const auto& row : budget) {
    std::vector<Cell> cells = {row.id, row.attack, row.status, row.iterations, row.linf,
                               row.l2, row.psnr,   row.dssim,  row.dssim_seen, row.own_measure};
    cells.insert(cells.end(), {row.transform, row.energy_left, static_cast<std::int64_t>(row.seed)});
    if (has_lpips) cells.push_back(row.lpips);
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace facepoison
