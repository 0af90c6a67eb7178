// The table "impersonation", 1:1: does a posted photo pass for another person, or fail to pass for its own?
#include "facepoison/stats.hpp"
#include "facepoison/text.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {

Table impersonation(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(
      run, {"far", "measure", "threshold", "people", "n", "share", "low", "high"},
      "threshold: the cosine above which the share far of the pairs of clean gallery photos of two strangers is "
      "(people who are not protected in any seed); dodging: share of pairs of a posted photo with the person's other "
      "photos, clean, that are not above it; impersonation: share of pairs of a posted photo with its target's clean "
      "gallery photos that are above it; the target is the other person whose photos are on average most similar to "
      "the posted ones, not the one that an attack aimed at: compare with the row of attack none; mean over people; "
      "low, high: Korn and Graubard over people, 95 %; n: pairs");
  const auto file = folder / "impersonations.csv";
  for (const auto* rate : impersonation_rates)
    for (const auto& [measure, pairs] :
         {std::pair("dodging", "own_pairs"), std::pair("impersonation", "target_pairs")}) {
      const auto read = [&, counted = pairs](const std::string& name) {
        return read_measured(
            file, "impersonation",
            [&](const NamedRow& row) { return row.number_or_unknown(concat(name, "_at_", rate)); },
            [&](const NamedRow& row) { return row.number(counted); });
      };
      const auto thresholds = read("threshold"), shares = read(measure);
      for (std::size_t i = 0; i < shares.size(); ++i) {
        auto cells = key_cells(shares[i], run);
        append(cells, {rate, measure, mean(thresholds[i].means())});
        append(cells, mean_of(shares[i]));
        table.add(std::move(cells));
      }
    }
  return table;
}

}  // namespace facepoison
