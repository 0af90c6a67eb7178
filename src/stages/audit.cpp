// The stage that measures how written pictures differ from the clean canvases. It reads both from disk. It is a
// separate stage, so that no measure affects a picture.
#include <algorithm>
#include <cmath>

#include "facepoison/error.hpp"
#include "facepoison/dssim.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/posted.hpp"
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

struct AuditedPair {
  Faces clean, written;
};

// Measures are computed in float32, whatever the precision of an attack's networks.
RunOptions in_float32(RunOptions options) {
  options.precision = torch::kFloat32;
  return options;
}

class PairAudit final : public StageOf<AuditedPair, Audit, AuditStage> {
 public:
  PairAudit(StagedPhotos clean, StagedPhotos written, const Attack& attack, const RunOptions& options)
      : StageOf("audited", concat("audit, ", attack.settings().name), audit_block),
        clean_(std::move(clean)),
        written_(std::move(written)),
        attack_(attack),
        options_(options),
        lpips_(find_perceptual("lpips", in_float32(options))),
        seen_by_(Json::array()) {
    for (const auto& surrogate : attack.all_surrogates()) seen_by_.push_back(surrogate->identity());
    add_units_by_person(clean_.list(), audit_block);
  }

  Json work() const override { return {seen_by_, arithmetic(options_)}; }

  Json key(const Unit& unit) const override {
    Json pairs = Json::array();
    for (auto i = unit.first; i < unit.first + unit.count; ++i)
      pairs.push_back({content_key(clean_.list()[i]), content_key(written_.list()[i])});
    return {{"format", 4},
            {"pairs", pairs},
            {"seen_by", seen_by_},
            {"arithmetic", arithmetic(options_)},
            {"lpips", lpips_ ? lpips_->identity() : Json()}};
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override {
    auto stages = clean_.made_by();
    stages.insert(stages.end(), written_.made_by().begin(), written_.made_by().end());
    return stages;
  }

  Needs needs(const Unit& unit) const override {
    auto all = made_in(clean_.of(unit));
    const auto written = made_in(written_.of(unit));
    all.insert(all.end(), written.begin(), written.end());
    return {std::move(all), {}};
  }

  void load(ArtifactStore& store) override {
    for (auto* pictures : {&clean_, &written_}) *pictures = pictures->resolved(store);
  }

  void read(const ArtifactStore& store, std::vector<Audit>& budget) const override {
    for (const auto& unit : units()) {
      stop_if_interrupted();
      const fs::path file = store.path(unit.id) / "audit.csv";
      const Table table = read_csv(file);
      for (std::size_t n = 0; n < unit.count; ++n)
        for (std::size_t k = 0; k < measures.size(); ++k)
          budget[unit.first + n].*measures[k].second = number_of(table.rows.at(n).at(k), file.string());
    }
  }

 private:
  AuditedPair decode_rows(const Rows& rows) const override {
    return {load_faces(chosen(clean_.list(), rows)), load_faces(chosen(written_.list(), rows))};
  }

  std::vector<Audit> compute_rows(const Rows& rows, AuditedPair pair) override {
    std::vector<Audit> made(rows.size());
    in_pieces(options_.device, rows.size(), 1, [&](std::size_t first, std::size_t count) {
      for (auto n = first; n < first + count; ++n)
        made[n] = measure(part(pair.clean, n, 1), part(pair.written, n, 1), attack_.all_surrogates(), lpips_.get(),
                          options_.device);
    });
    return made;
  }

  void write_unit(const Unit&, std::span<const Audit> rows, const fs::path& folder) const override {
    write_unflushed(folder / "audit.csv", print(table_of(rows), Format::csv));
  }

  StagedPhotos clean_, written_;
  const Attack& attack_;
  RunOptions options_;
  std::shared_ptr<const Perceptual> lpips_;
  Json seen_by_;
};

}  // namespace

std::shared_ptr<AuditStage> audit(StagedPhotos clean, StagedPhotos written, const Attack& attack,
                                  const RunOptions& options) {
  return std::make_shared<PairAudit>(std::move(clean), std::move(written), attack, options);
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
