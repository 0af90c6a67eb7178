#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/stats.hpp"

namespace facepoison {
namespace {

struct Count {
  double n = 0, errors = 0;
  double rate() const { return n > 0 ? errors / n : 0; }
};

// One extractor, attack and classifier.
struct Group {
  std::string extractor, attack, classifier;
  std::vector<std::string> people;  // protected, in the order of trials.csv
  std::map<std::string, Count> own, others;
};

// A CSV file's rows with cells found by name.
struct Reader {
  Table table;
  std::string where;
  std::map<std::string, std::size_t> columns;

  explicit Reader(const fs::path& path) : table(read_csv(path)), where(path.string()) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) columns[table.columns[i]] = i;
  }
  const Cell& cell(const std::vector<Cell>& row, const std::string& name) const {
    const auto found = columns.find(name);
    return row[found != columns.end() ? found->second : column(table, name, where)];
  }
  std::string word(const std::vector<Cell>& row, const std::string& name) const { return text(cell(row, name)); }
  double number(const std::vector<Cell>& row, const std::string& name) const { return as_number(cell(row, name), where); }
};

std::vector<Group> read_groups(const fs::path& folder) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> places;
  const auto group_of = [&](const Reader& in, const std::vector<Cell>& row) -> Group& {
    const auto extractor = in.word(row, "extractor"), attack = in.word(row, "attack"), classifier = in.word(row, "classifier");
    const auto [place, is_new] = places.emplace(extractor + "\n" + attack + "\n" + classifier, groups.size());
    if (is_new) groups.push_back({extractor, attack, classifier});
    return groups[place->second];
  };
  const Reader trials(folder / "trials.csv"), others(folder / "others.csv");
  for (const auto& row : trials.table.rows) {
    Group& group = group_of(trials, row);
    const auto person = trials.word(row, "protected");
    const auto [count, is_new] = group.own.try_emplace(person);
    if (is_new) group.people.push_back(person);
    ++count->second.n;
    count->second.errors += trials.word(row, "correct") == "0";
  }
  for (const auto& row : others.table.rows) group_of(others, row).others[others.word(row, "protected")] = {others.number(row, "n"), others.number(row, "errors")};
  return groups;
}

// What the attacks spent, from the audited files.
std::vector<std::string> budget_notes(const fs::path& folder) {
  const Reader in(folder / "budget.csv");
  struct Sum {
    double photos = 0, changed = 0, linf = 0, dssim = 0, psnr = 0;
    std::map<std::string, int> statuses{{"infeasible", 0}};
  };
  std::map<std::string, Sum> sums;
  for (const auto& row : in.table.rows) {
    auto& sum = sums[in.word(row, "attack")];
    ++sum.photos;
    if (const auto status = in.word(row, "status"); status != "ok") ++sum.statuses[status];
    if (in.number(row, "linf") == 0) continue;  // as it was: its PSNR is infinite
    ++sum.changed;
    sum.linf = std::max(sum.linf, in.number(row, "linf"));
    sum.dssim += in.number(row, "dssim");
    sum.psnr += in.number(row, "psnr");
  }
  std::vector<std::string> notes;
  for (const auto& [attack, sum] : sums) {
    if (sum.changed == 0) continue;
    char numbers[128];
    std::snprintf(numbers, sizeof numbers, "L∞ ≤ %.0f/255, mean PSNR %.1f dB, mean DSSIM %.4f", sum.linf, sum.psnr / sum.changed, sum.dssim / sum.changed);
    std::string statuses;
    for (const auto& [status, count] : sum.statuses) statuses += concat(", ", count, " ", status);
    notes.push_back(concat("attack ", attack, ": ", sum.photos, " photos", statuses, "; in the written files: ", numbers));
  }
  return notes;
}

std::vector<Cell> row_of_group(const Group& group, const Cell& released, const Cell& surrogate) {
  std::vector<double> rates;
  Count all, others;
  for (const auto& person : group.people) {
    const auto& count = group.own.at(person);
    rates.push_back(count.rate());
    all.n += count.n;
  }
  for (const auto& [person, count] : group.others) others = {others.n + count.n, others.errors + count.errors};
  const auto interval = protection_interval(rates, all.n);
  return {group.extractor, released, group.attack, group.classifier, static_cast<std::int64_t>(rates.size()), static_cast<std::int64_t>(all.n),
          mean(rates), interval.low, interval.high, others.rate(), static_cast<std::int64_t>(others.n), surrogate};
}

std::vector<Cell> row_of_person(const Group& group, const std::string& person, const Cell& released, const Cell& surrogate) {
  const auto& own = group.own.at(person);
  const auto found = group.others.find(person);
  const Count others = found == group.others.end() ? Count{} : found->second;
  const auto interval = wilson(own.rate(), own.n);
  return {group.extractor, released, group.attack, group.classifier, person, static_cast<std::int64_t>(own.n), own.rate(), interval.low, interval.high,
          others.rate(), static_cast<std::int64_t>(others.n), surrogate};
}

}  // namespace

Table table_of_run(const fs::path& folder, bool by_person) {
  for (const auto* name : {"config.resolved.json", "run.json", "trials.csv", "others.csv", "budget.csv"})
    if (!fs::exists(folder / name)) throw Error(Exit::input, concat(folder.string(), " holds no finished run: no ", name));
  const Json config = read_json(folder / "config.resolved.json"), run = read_json(folder / "run.json");
  std::map<std::string, std::string> released;
  for (const auto& extractor : config.at("extractors")) released[extractor.at("name")] = extractor.at("released");
  std::map<std::string, std::set<std::string>> surrogates;
  for (const auto& attack : config.at("attacks")) surrogates[attack.at("name")] = attack.at("surrogates").get<std::set<std::string>>();

  Table table;
  table.columns = {"extractor", "released", "attack", "classifier", by_person ? "protected" : "people", "n", "protection", "low", "high", "others_error", "others_n", "surrogate"};
  for (const auto& group : read_groups(folder)) {
    const Cell surrogate = surrogates[group.attack].count(group.extractor) ? "yes" : "no";
    if (!by_person) table.add(row_of_group(group, released[group.extractor], surrogate));
    for (const auto& person : group.people)
      if (by_person) table.add(row_of_person(group, person, released[group.extractor], surrogate));
  }
  for (const auto& note : run.at("notes")) table.notes.push_back(note);
  for (const auto& note : budget_notes(folder)) table.notes.push_back(note);
  table.notes.push_back(by_person ? "protection: a person's share of misclassified clean probes; low, high: Wilson, 95 %"
                                  : "protection: mean over protected people of their share of misclassified clean probes; low, high: the wider of a bootstrap over people and Wilson over probes, 95 %");
  return table;
}

}  // namespace facepoison
