// The table "growth": how far does a gallery grow that starts with one clean photo of the protected person?
#include <algorithm>
#include <cmath>

#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// The number of rounds of the tracker that went on longest.
std::int64_t most_rounds(const fs::path& file) {
  double most = 0;
  read_measured(file, "growth", [&](const NamedRow& row) { return most = std::max(most, row.number("round")); });
  return static_cast<std::int64_t>(most);
}

// Reads a number of each tracker after a round; one that ended earlier keeps its last numbers. Leaves out people with
// nothing to be found.
std::vector<Measured> read_round(const fs::path& file, const std::string& mode, std::int64_t round,
                                 const Number& number) {
  const auto wanted = static_cast<double>(round);
  const auto number_then = [&](const NamedRow& row) {
    const bool stands = row.number("round") == wanted || (row.number("round") < wanted && row.word("last") == "1");
    return stands && row.word("mode") == mode && row.number("photos") > 0 ? number(row) : std::nan("");
  };
  return read_measured(file, "growth", number_then, [](const NamedRow& row) { return row.number("photos"); });
}

}  // namespace

Table growth(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(
      run, {"mode", "round", "people", "n", "added_right", "added_wrong", "found", "low", "high"},
      "a tracker has everybody else's gallery photos and one clean photo of the protected person; in each round it "
      "names the photos of a queue, which has the person's other photos as posted, and adds those that it names as the "
      "person, until a round adds none; believed: the queue also has other people's probes, and the tracker adds every "
      "photo that it names so; oracle: it adds only photos of the person; added_right, added_wrong: photos of the "
      "person and of others that were added up to this round; found: share of the person's photos in the queue that "
      "were added; means over people; low, high: of found, Korn and Graubard over people, 95 %; n: the person's photos "
      "in the queue; who is done earlier keeps the last numbers");
  const auto file = folder / "rounds.csv";
  const auto rounds = most_rounds(file);
  for (const auto* mode : {"believed", "oracle"})
    for (std::int64_t round = 1; round <= rounds; ++round) {
      const auto read = [&](const Number& number) { return read_round(file, mode, round, number); };
      const auto right = read([](const NamedRow& row) { return row.number("added_right"); }),
                 wrong = read([](const NamedRow& row) { return row.number("added_wrong"); }),
                 found = read([](const NamedRow& row) { return row.number("added_right") / row.number("photos"); });
      for (std::size_t i = 0; i < found.size(); ++i) {
        auto cells = key_cells(found[i], run), counted = mean_of(found[i]);
        append(cells, {mode, round});
        counted.insert(counted.begin() + 2, {mean(right[i].means()), mean(wrong[i].means())});
        append(cells, std::move(counted));
        table.add(std::move(cells));
      }
    }
  return table;
}

}  // namespace facepoison
