// Sentences that summarise a run's table.
#include <algorithm>
#include <cmath>
#include <functional>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "report/columns.hpp"
#include "report/paired.hpp"

namespace facepoison {
namespace {

using Row = std::vector<Cell>;

// A table's rows, with the queries of the sentences.
class Rows {
 public:
  Rows(const Table& table, std::string value) : columns_(table), value_(std::move(value)) {}
  std::string word(const Row& row, const std::string& name) const { return columns_.word(row, name); }
  double number(const Row& row) const { return columns_.number(row, value_); }
  double width(const Row& row) const { return columns_.number(row, "high") - columns_.number(row, "low"); }
  std::string with_interval(const Row& row) const {
    return concat(with_decimals(number(row), 2), " [", with_decimals(columns_.number(row, "low"), 2), ", ",
                  with_decimals(columns_.number(row, "high"), 2), "]");
  }
  const Row& most(const std::vector<const Row*>& rows) const {
    return **std::max_element(rows.begin(), rows.end(), [&](auto* a, auto* b) { return number(*a) < number(*b); });
  }
  const Row& least(const std::vector<const Row*>& rows) const {
    return **std::min_element(rows.begin(), rows.end(), [&](auto* a, auto* b) { return number(*a) < number(*b); });
  }

 private:
  Columns columns_;
  std::string value_;
};

std::string percent_known(double error) { return concat(with_decimals(100 * (1 - error), 0), " %"); }

std::string on_clean_photos(const Rows& rows, const std::vector<const Row*>& clean) {
  if (clean.empty()) return "No clean photos were measured: the list of attacks has no \"none\".";
  const auto &worst = rows.most(clean), &best = rows.least(clean);
  const auto low = percent_known(rows.number(worst)), high = percent_known(rows.number(best));
  const auto share = low == high ? low
                                 : concat(low, " (", rows.word(worst, "extractor"), ") to ", high, " (",
                                          rows.word(best, "extractor"), ")");
  return concat("The recognisers identify ", share, " of clean photos: ", rows.word(worst, "people"),
                " protected people, ", rows.word(worst, "n"), " probes.");
}

// What an attack achieves against its surrogates, and how far it transfers.
std::string of_attack(const Rows& rows, const std::string& attack, const std::vector<const Row*>& measured,
                      const std::vector<const Row*>& clean) {
  std::vector<const Row*> seen, unseen;
  for (const auto* row : measured) (rows.word(*row, "surrogate") == "yes" ? seen : unseen).push_back(row);
  Words parts;
  if (!seen.empty()) {
    Words each;
    for (const auto* row : seen)
      each.push_back(concat(with_decimals(rows.number(*row), 2), " against ", rows.word(*row, "extractor")));
    parts.push_back(concat("gives ", in_words(each), ", which it optimises against"));
  }
  const auto against = [&](const Row& row) {
    std::string before;
    for (const auto* other : clean)
      if (rows.word(*other, "extractor") == rows.word(row, "extractor"))
        before = concat(", clean ", with_decimals(rows.number(*other), 2));
    return concat(rows.word(row, "extractor"), " (", rows.with_interval(row), before, ")");
  };
  const std::string never = seen.empty() ? "never saw any of these recognisers; " : "of recognisers that it never saw ";
  if (unseen.size() == 1)
    parts.push_back(concat(never, "it carries to ", against(*unseen.front())));
  else if (!unseen.empty())
    parts.push_back(concat(never, "it carries furthest to ", against(rows.most(unseen)), ", least to ",
                           against(rows.least(unseen))));
  return concat(attack, " ", parts.size() == 2 ? concat(parts[0], ", and ", parts[1]) : parts.front());
}

// What random noise achieves, and how precise the intervals are.
std::string of_noise(const Rows& rows, const std::vector<const Row*>& all, const Table& differences) {
  double widest = 0;
  std::vector<const Row*> noise;
  for (const auto* row : all) {
    widest = std::max(widest, rows.width(*row));
    if (rows.word(*row, "attack") == "noise") noise.push_back(row);
  }
  const auto few = concat("with ", rows.word(*all.front(), "people"), " people an interval is up to ",
                          with_decimals(widest, 2), " wide");
  if (noise.empty()) return concat("The precision of the intervals: ", few, ".");
  const auto &most = rows.most(noise), &least = rows.least(noise);
  const auto low = with_decimals(rows.number(least), 2), high = with_decimals(rows.number(most), 2);
  std::string says = low == high ? concat("Noise gives ", low, "; ")
                                 : concat("Noise gives ", low, " (", rows.word(least, "extractor"), ") to ", high, " (",
                                          rows.word(most, "extractor"), "); ");
  const Rows from(differences, "difference");
  std::size_t told = 0;
  Words off;
  for (const auto* row : rows_that_stay(differences, {"extractor", "attack"})) {
    const auto reading = from.word(*row, "reading");
    if (from.word(*row, "attack") != "noise") continue;
    if (reading == "the interval includes 0") ++told;
    if (reading != "above 0" && reading != "below 0") continue;
    ++told;
    off.push_back(concat(from.word(*row, "extractor"), ": ", from.with_interval(*row)));
  }
  if (told > 0)
    says += concat("of its difference from clean photos the interval includes 0 against ", told - off.size(), " of ",
                   told, " recognisers", off.empty() ? "" : concat(" (not ", in_words(off), ")"), "; ");
  return concat(says, few, ".");
}

}  // namespace

std::vector<std::string> sentences_on(const Table& protection, const std::vector<std::string>& optimising,
                                      const Table& differences) {
  const Rows rows(protection, "protection");
  std::vector<const Row*> all, clean;
  for (const auto* row : rows_that_stay(protection, {"extractor", "attack"})) {
    if (std::isnan(rows.number(*row))) continue;
    all.push_back(row);
    if (rows.word(*row, "attack") == "none") clean.push_back(row);
  }
  if (all.empty()) return {"No row of this run has a protected person."};
  Words sentences = {on_clean_photos(rows, clean)};
  for (const auto& attack : optimising) {
    std::vector<const Row*> measured;
    for (const auto* row : all)
      if (rows.word(*row, "attack") == attack) measured.push_back(row);
    if (!measured.empty()) sentences.push_back(concat(of_attack(rows, attack, measured, clean), "."));
  }
  if (sentences.size() == 1) sentences.emplace_back("No attack in this run optimises against a recogniser.");
  sentences.push_back(of_noise(rows, all, differences));
  return sentences;
}

}  // namespace facepoison
