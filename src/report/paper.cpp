// Published figures beside a run's rows.
#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/stats.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

struct PublishedFigure {
  std::string source, tag, setting, measure, says;
  double value;
  std::map<std::string, std::vector<std::string>> stated;  // by coordinate: any of these is a counterpart
};

struct Published {
  std::vector<PublishedFigure> figures;
  std::vector<std::string> notes;  // on its protocol and its sources
};

// Reads a text or a list of texts.
std::vector<std::string> texts_of(Spec& spec, const std::string& key) {
  return spec.raw(key).is_string() ? std::vector{spec.text(key)} : spec.texts(key);
}

PublishedFigure read_figure(const Json& json, const std::string& where) {
  Spec spec(json, where);
  PublishedFigure figure{spec.text("source"),
                         spec.text("tag"),
                         spec.text("setting"),
                         spec.text("measure", "protection"),
                         spec.text("says", ""),
                         spec.number("value", 0, 1),
                         {}};
  for (const auto& [name, neutral] : coordinate_columns)
    if (spec.has(name)) figure.stated[name] = texts_of(spec, name);
  spec.finish();
  return figure;
}

Published read_published(const fs::path& file) {
  Spec spec(read_json(file), file.string());
  Published published;
  for (const auto& text : spec.texts("protocol")) published.notes.push_back("published: " + text);
  Spec sources = spec.object("sources");
  published.notes.push_back("tags: " + spec.text("tags"));
  const Json figures = spec.raw("figures");
  if (!figures.is_array()) spec.fail("figures", "expected a list");
  std::set<std::string> cited;
  for (const auto& json : figures) {
    published.figures.push_back(read_figure(json, concat(file.string(), ", figure ", published.figures.size())));
    const auto& source = published.figures.back().source;
    if (cited.insert(source).second) published.notes.push_back(concat(source, ": ", sources.text(source)));
  }
  spec.finish();
  return published;
}

// Refuses a stand-in that does not name a published recogniser or attack and one of the run.
void refuse_unknown(const StandIns& stand_ins, const std::vector<PublishedFigure>& figures, const RunFolder& run) {
  std::set<std::string> stated, there;
  for (const auto& figure : figures)
    for (const auto& [name, values] : figure.stated) stated.insert(values.begin(), values.end());
  for (const auto& group : run.groups) there.insert({group.value("extractor"), group.value("attack")});
  const auto require = [](const std::set<std::string>& known, const std::string& name, const auto&... what) {
    if (known.count(name)) return;
    const auto near = nearest_name(name, {known.begin(), known.end()});
    throw Error(Exit::usage, concat(what..., name, near.empty() ? "" : "; did you mean " + near + "?"));
  };
  for (const auto& [theirs, ours] : stand_ins) {
    require(stated, theirs, "--stand-in ", theirs, "=", ours, ": no published figure has the name ");
    require(there, ours, "--stand-in ", theirs, "=", ours, ": the run has no recogniser or attack ");
  }
}

// The stated name that ours stands in for, or "".
std::string stands_in_for(const std::string& ours, const std::vector<std::string>& stated, const StandIns& stand_ins) {
  for (const auto& [theirs, own] : stand_ins)
    if (own == ours && std::find(stated.begin(), stated.end(), theirs) != stated.end()) return theirs;
  return "";
}

// Is the group a counterpart of the figure? A figure states no seed, and without a classifier it means any.
bool is_counterpart_of(const RowAnswers& group, const PublishedFigure& figure, const StandIns& stand_ins) {
  return std::all_of(coordinate_columns.begin(), coordinate_columns.end(), [&](const CoordinateColumn& column) {
    const auto& [name, neutral] = column;
    const auto stated = figure.stated.find(name);
    if (stated == figure.stated.end()) return name == "classifier" || name == "seed" || group.value(name) == neutral;
    const auto ours = group.value(name);
    return std::find(stated->second.begin(), stated->second.end(), ours) != stated->second.end() ||
           !stands_in_for(ours, stated->second, stand_ins).empty();
  });
}

// Drops groups of nobody and, if there are several seeds, those of a single seed.
std::vector<RowAnswers> rows_to_compare(std::vector<RowAnswers> groups) {
  const bool has_seeds =
      std::any_of(groups.begin(), groups.end(), [](const RowAnswers& group) { return group.value("seed") == "all"; });
  std::erase_if(groups, [&](const RowAnswers& group) {
    return group.people.empty() || (has_seeds && group.value("seed") != "all");
  });
  return groups;
}

std::string joined_by_or(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " or ") + word;
  return text;
}

// The coordinates of our row, or else what the figure states.
std::vector<Cell> coordinates_of_figure(const PublishedFigure& figure, const RowAnswers* ours) {
  std::vector<Cell> cells;
  for (const auto& [name, neutral] : coordinate_columns) {
    if (name == "seed") continue;
    const auto stated = figure.stated.find(name);
    cells.emplace_back(ours                            ? ours->value(name)
                       : stated == figure.stated.end() ? neutral
                                                       : joined_by_or(stated->second));
  }
  return cells;
}

// The cells published, ours, low, high, people, difference, verdict
std::vector<Cell> numbers_beside(double published, const RowAnswers* ours) {
  if (!ours) return {published, unknown, unknown, unknown, unknown, unknown, "no counterpart in this run"};
  std::vector<double> rates;
  double probes = 0;
  for (const auto& person : ours->people) {
    rates.push_back(ours->own.at(person).rate());
    probes += ours->own.at(person).n;
  }
  const auto [low, high] = protection_interval(rates, probes);
  const double protection = mean(rates);
  return {published,
          protection,
          low,
          high,
          static_cast<std::int64_t>(rates.size()),
          protection - published,
          published < low    ? "ours higher"
          : published > high ? "ours lower"
                             : "within our interval"};
}

std::vector<Cell> row_of_figure(const PublishedFigure& figure, const RowAnswers* ours, const StandIns& stand_ins) {
  auto row = coordinates_of_figure(figure, ours);
  row.emplace_back(figure.setting);
  for (auto& cell : numbers_beside(figure.value, ours)) row.push_back(std::move(cell));
  std::string says = figure.says;
  for (const auto& [name, stated] : figure.stated)
    if (const auto theirs = ours ? stands_in_for(ours->value(name), stated, stand_ins) : ""; !theirs.empty())
      says += concat(says.empty() ? "" : "; ", ours->value(name), " stands in for ", theirs);
  for (const auto& text : {figure.tag, figure.source, says}) row.emplace_back(text);
  return row;
}

std::vector<std::string> columns_beside_figures() {
  std::vector<std::string> columns;
  for (const auto& [name, neutral] : coordinate_columns)
    if (name != "seed") columns.push_back(name);
  for (const auto* name :
       {"setting", "published", "ours", "low", "high", "people", "difference", "verdict", "tag", "source", "says"})
    columns.emplace_back(name);
  return columns;
}

std::string note_of_other_measures(const std::vector<PublishedFigure>& figures) {
  std::vector<std::string> others;
  for (const auto& [source, tag, setting, measure, says, value, stated] : figures)
    if (measure != "protection")
      others.push_back(concat(measure, " ", value, " (", source, says.empty() ? "" : ": " + says, ") [", tag, "]"));
  return others.empty() ? "" : "no counterpart, since they do not measure protection: " + listed(others);
}

}  // namespace

Table compare_to_paper(const fs::path& run, const fs::path& figures, const StandIns& stand_ins) {
  const RunFolder files = read_run(run);
  const Published published = read_published(figures);
  refuse_unknown(stand_ins, published.figures, files);
  const auto groups = rows_to_compare(files.groups);
  Table table{columns_beside_figures(), {}, {}};
  std::vector<const PublishedFigure*> without;
  for (const auto& figure : published.figures) {
    if (figure.measure != "protection") continue;
    const auto before = table.rows.size();
    for (const auto& group : groups)
      if (is_counterpart_of(group, figure, stand_ins)) table.add(row_of_figure(figure, &group, stand_ins));
    if (table.rows.size() == before) without.push_back(&figure);
  }
  for (const auto* figure : without) table.add(row_of_figure(*figure, nullptr, stand_ins));
  for (const auto& note : files.notes) table.notes.push_back("ours: " + note);
  for (const auto& note : published.notes) table.notes.push_back(note);
  if (const auto note = note_of_other_measures(published.figures); !note.empty()) table.notes.push_back(note);
  table.notes.push_back(
      "ours: mean protection over protected people; low, high: Korn and Graubard over people, 95 %, of ours only: the "
      "tag of a published number says how certain it is; difference: ours − published. Attacks have the paper's names; "
      "the notes say what they optimise against here");
  return table;
}

}  // namespace facepoison
