// The differences of two runs, row by row.
#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "report/paired.hpp"

namespace facepoison {
namespace {

using ProbesOf = std::map<std::string, std::set<std::string>>;  // by protected person

// One of the two runs. A person's probes are the same in all its rows.
struct ComparedRun {
  fs::path folder;
  RunFolder files;
  ProbesOf probes;
  Json config;
};

ComparedRun read_compared(const fs::path& folder) {
  ComparedRun run{folder, read_run(folder), {}, read_json(folder / "config.resolved.json")};
  read_named(folder / "trials.csv",
             [&](const NamedRow& row) { run.probes[row.word("protected")].insert(row.word("id")); });
  return run;
}

std::string manifest_of(const ComparedRun& run) { return run.config.value("manifest_sha256", "unknown").substr(0, 16); }

// ": seed is 0 in the first, 1, 2 in the second", for each coordinate in which they have no value in common.
std::string disjoint_coordinates(const ComparedRun& a, const ComparedRun& b) {
  std::string text;
  for (const auto& [name, neutral] : coordinate_columns) {
    std::set<std::string> of_a, of_b;
    for (const auto& group : a.files.groups) of_a.insert(group.value(name));
    for (const auto& group : b.files.groups) of_b.insert(group.value(name));
    if (std::any_of(of_a.begin(), of_a.end(), [&](const auto& value) { return of_b.count(value) > 0; })) continue;
    text += concat(text.empty() ? ": " : "; ", name, " is ", listed({of_a.begin(), of_a.end()}, 3), " in the first, ",
                   listed({of_b.begin(), of_b.end()}, 3), " in the second");
  }
  return text;
}

[[noreturn]] void refuse_comparison(const ComparedRun& a, const ComparedRun& b, bool has_joined_rows) {
  const std::string both = concat(a.folder.string(), " and ", b.folder.string(), " have ");
  if (!has_joined_rows) throw Error(Exit::input, concat(both, "no row in common", disjoint_coordinates(a, b)));
  throw Error(Exit::input,
              concat(both, "no protected person with the same probes in common",
                     manifest_of(a) == manifest_of(b) ? ": they protect different people"
                                                      : concat(": their data differ (manifest sha256 ", manifest_of(a),
                                                               " and ", manifest_of(b), ")")));
}

// What the numbers of each recogniser, attack and transform depend on, by its kind and name.
std::map<std::string, Json> identities(const Json& config) {
  std::map<std::string, Json> found;
  for (const auto* kind : {"extractor", "attack", "transform"})
    for (const auto& one : config.value(concat(kind, "s"), Json::array()))
      if (one.is_object() && one.contains("name"))  // a transform may be the word none
        found[concat(kind, " ", one.at("name").get<std::string>())] =
            one.contains("parts") ? one.at("parts") : one.value("identity", Json());
  return found;
}

std::vector<std::string> names_with_two_meanings(const ComparedRun& a, const ComparedRun& b) {
  const auto of_a = identities(a.config), of_b = identities(b.config);
  std::vector<std::string> names;
  for (const auto& [name, identity] : of_a)
    if (const auto found = of_b.find(name); found != of_b.end() && found->second != identity) names.push_back(name);
  return names;
}

// Adds the facts that both runs have, then those of only one.
void add_facts(std::vector<std::string>& notes, const ComparedRun& a, const ComparedRun& b) {
  const auto has = [](const ComparedRun& run, const std::string& note) {
    return std::find(run.files.notes.begin(), run.files.notes.end(), note) != run.files.notes.end();
  };
  for (const auto& note : a.files.notes)
    if (has(b, note)) notes.push_back(note);
  for (const auto& note : a.files.notes)
    if (!has(b, note)) notes.push_back("A: " + note);
  for (const auto& note : b.files.notes)
    if (!has(a, note)) notes.push_back("B: " + note);
}

// Joins the rows of two runs.
class Comparison {
 public:
  Comparison(ComparedRun a, ComparedRun b) : a_(std::move(a)), b_(std::move(b)) {}

  // `with_release`: with a column "released" beside the extractor.
  Table table(bool with_release) {
    with_release_ = with_release;
    Table table;
    for (const auto& [name, neutral] : coordinate_columns) table.columns.push_back(name);
    if (with_release) table.columns.insert(table.columns.begin() + 1, "released");
    for (const auto* name : {"a", "b", "difference", "low", "high", "p", "people", "verdict"})
      table.columns.emplace_back(name);
    for (const auto& group : a_.files.groups)
      if (const RowAnswers* other = counterpart(group)) add(table, group, *other);
    if (table.rows.empty()) refuse_comparison(a_, b_, joined_ > 0);
    table.notes = notes();
    return table;
  }

 private:
  const RowAnswers* counterpart(const RowAnswers& group) const {
    const auto found = std::find_if(b_.files.groups.begin(), b_.files.groups.end(),
                                    [&](const RowAnswers& other) { return other.values == group.values; });
    return found == b_.files.groups.end() ? nullptr : &*found;
  }

  void add(Table& table, const RowAnswers& group, const RowAnswers& other) {
    ++joined_;
    auto people = people_of_both(group, other);
    std::erase_if(people, [&](const std::string& person) {
      const bool differ = a_.probes.at(person) != b_.probes.at(person);
      if (differ) differ_.insert(person);
      return differ;
    });
    if (people.empty()) {
      ++of_nobody_;
      return;
    }
    const auto [a, b, difference] = paired_rates(group, other, people);
    std::vector<Cell> row(group.values.begin(), group.values.end());
    if (with_release_) row.insert(row.begin() + 1, a_.files.released.at(group.value("extractor")));
    append(row, {a, b, difference.mean, difference.interval.low, difference.interval.high, difference.p,
                 static_cast<std::int64_t>(people.size()), reading(difference, "A higher", "B higher", "includes 0")});
    table.add(std::move(row));
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> notes = {concat("A: ", a_.folder.string(), "; B: ", b_.folder.string())};
    add_facts(notes, a_, b_);
    if (manifest_of(a_) != manifest_of(b_))
      notes.push_back(concat("A and B are of different data (manifest sha256 ", manifest_of(a_), " and ",
                             manifest_of(b_), "): people and probes are the same by name"));
    if (const auto names = names_with_two_meanings(a_, b_); !names.empty())
      notes.push_back(concat("settings, weights or machine differ between A and B: ", listed(names)));
    if (!differ_.empty()) notes.push_back(concat("people left out because their probes differ: ", differ_.size()));
    if (of_nobody_ > 0)
      notes.push_back(concat("rows left out because they have no such person in common: ", of_nobody_));
    const auto of_a = a_.files.groups.size() - joined_, of_b = b_.files.groups.size() - joined_;
    if (of_a + of_b > 0) notes.push_back(concat("rows without a counterpart: ", of_a, " of A, ", of_b, " of B"));
    notes.push_back(
        concat("a, b: mean protection over the people and probes that both have; difference: a − b; low, high: "
               "Student's t over people's differences, 95 %, with no width if all differ by the same amount; p: "
               "sign-flip test, two-sided; verdict: ",
               too_few_people, " if fewer than ", least_people_who_differ,
               " people are there or differ, since p is then never below .05"));
    return notes;
  }

  ComparedRun a_, b_;
  bool with_release_ = false;
  std::size_t joined_ = 0, of_nobody_ = 0;
  std::set<std::string> differ_;  // people
};

}  // namespace

Table compare_runs(const fs::path& a, const fs::path& b, bool with_release) {
  return Comparison(read_compared(a), read_compared(b)).table(with_release);
}

}  // namespace facepoison
