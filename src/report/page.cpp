#include "facepoison/page.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "report/columns.hpp"
#include "report/html.hpp"

namespace facepoison {
namespace {

// Tables that only the page has.
const TableRow runs_row = {"runs",
                           "protection, side by side",
                           nullptr,
                           "protection",
                           {{"", FigureRow::Kind::dots, "extractor", "attack", "run", "The runs side by side",
                             "Dots of one line are of the same recogniser and attack."}}};
const TableRow paper_row = {"paper",
                            "beside the published figures",
                            nullptr,
                            "protection",
                            {{"", FigureRow::Kind::dots, "extractor", "attack", "whose", "Beside the published figures",
                              "Does the published figure lie in our interval?"}}};

// A table's part of the page.
struct Section {
  std::string id, heading;
  std::vector<Figure> figures;
  Table shown;  // for reading
  std::size_t heads = 1;
  Table all;  // every row
};

std::string html_section(const Section& section, bool draws) {
  std::string out = concat("<section id=\"", section.id, "\">\n", element("h2", escape_html(section.heading)), "\n");
  if (section.all.rows.empty()) return out + "<p>No rows.</p>\n</section>\n";
  if (draws)
    for (const auto& figure : section.figures) out += html_figure(figure, section.id);
  const auto& notes = section.shown.notes;
  out += html_table(section.shown, section.heads, concat("table-", section.id),
                    notes.empty() ? section.heading : notes.front());
  if (notes.size() > 1) out += paragraph(notes[1], "class=\"soft\"");
  return out + csv_link(section.all, section.id) + "</section>\n";
}

Section section_of(const TableRow& row, const Table& table, const Json& config) {
  Section section{row.name, concat(row.name, ": ", row.help), figures_of(row, table, config), {}, 1, table};
  if (table.rows.empty()) return section;
  if (row.measured.empty()) {
    section.shown = for_reading(table);
    section.shown.notes.clear();
    return section;
  }
  section.shown = matrix(table, row.measured);
  section.heads = section.shown.columns.size() - Columns(table).values("attack").size();
  return section;
}

// The tables "protection" of several runs, each row with its run's name.
Table joined(const std::vector<KeptRun>& runs) {
  Table all;
  for (const auto& run : runs) {
    const auto& table = run.tables.front().second;
    if (all.columns.empty()) {
      all.columns = table.columns;
      all.columns.insert(all.columns.begin(), "run");
    }
    for (const auto& row : table.rows) {
      std::vector<Cell> cells = {run.name};
      for (std::size_t c = 1; c < all.columns.size(); ++c) {
        const auto found = std::find(table.columns.begin(), table.columns.end(), all.columns[c]);
        const auto index = static_cast<std::size_t>(found - table.columns.begin());
        cells.push_back(found == table.columns.end() ? Cell("") : row[index]);
      }
      all.add(std::move(cells));
    }
  }
  return all;
}

// Our number and the published one, each in its own row.
Table in_turn(const Table& compared) {
  Table out{{"extractor", "attack", "whose", "protection", "low", "high"}, {}, {}};
  const Columns columns(compared);
  for (const auto& row : compared.rows) {
    const auto ours = columns.number(row, "ours"), published = columns.number(row, "published");
    if (std::isnan(ours)) continue;
    const auto extractor = columns.word(row, "extractor"), attack = columns.word(row, "attack");
    out.add({extractor, attack, "ours", ours, columns.number(row, "low"), columns.number(row, "high")});
    out.add({extractor, attack, "published", published, unknown, unknown});
  }
  return out;
}

// Shows the published figures that have a counterpart in the run; the CSV has all.
Section beside_paper(const Table& compared) {
  Table shown{{"extractor", "attack", "published", "ours", "low", "high", "verdict", "source"}, {}, {}};
  const Columns columns(compared);
  std::size_t without = 0;
  for (const auto& row : compared.rows) {
    if (std::isnan(columns.number(row, "ours")) && ++without) continue;
    std::vector<Cell> cells;
    for (const auto& name : shown.columns) cells.push_back(row[column(compared, name, "the comparison")]);
    for (std::size_t c = 2; c < 6; ++c)
      if (const auto number = columns.number(row, shown.columns[c]); !std::isnan(number))
        cells[c] = with_decimals(number, 2);
    shown.add(std::move(cells));
  }
  shown.notes = {concat("Published figures, and those of the same recogniser and attack here; ", without,
                        " others have no counterpart in this run")};
  return {"paper", "Beside the published figures", figures_of(paper_row, in_turn(compared), Json::object()), shown, 2,
          compared};
}

std::vector<Section> sections_of(const PageContent& content) {
  std::vector<Section> sections;
  const auto& runs = content.runs;
  if (runs.size() > 1) sections.push_back(section_of(runs_row, joined(runs), Json::object()));
  for (const auto& run : runs)
    for (const auto& [row, table] : run.tables) {
      sections.push_back(section_of(*row, table, run.config));
      if (runs.size() == 1) continue;
      sections.back().id = html_id(concat(run.name, "-", row->name));
      sections.back().heading = concat(run.name, ", ", sections.back().heading);
    }
  if (content.paper) sections.push_back(beside_paper(*content.paper));
  return sections;
}

// The recognisers of a run: release, licence, weights.
Table recognisers_of(const Json& config) {
  Table table{{"recogniser", "released", "licence", "weights (sha256)", "trained from"}, {}, {}};
  for (const auto& one : config.at("extractors"))
    table.add({one.at("name").get<std::string>(), one.at("released").get<std::string>(),
               one.at("licence").get<std::string>(), one.at("identity").value("weights", "").substr(0, 16),
               one.value("trained_from", "")});
  return table;
}

// What was measured, of whom, when and where.
std::string heading_of(const KeptRun& run) {
  const auto notes = run.facts.at("notes").get<std::vector<std::string>>();
  std::string out;
  for (const auto& note : notes)
    if (note.starts_with("data: ") || note.starts_with("protected: ")) out += paragraph(note);
  const auto made = concat(run.name, ", ", run.facts.value("date", ""), ", commit ", run.facts.value("commit", ""),
                           ", ", run.facts.value("machine", ""), ", ", run.config.value("precision", ""));
  return out + paragraph(made, "class=\"soft\"") + listing(run.sentences());
}

// The command that made the run, and commands that tell more about it.
std::string commands_of(const KeptRun& run) {
  const auto folder = run.folder.string();
  std::string out = run.facts.contains("command") ? run.facts["command"].get<std::string>() + "\n" : "";
  for (const auto& [row, table] : run.tables) out += concat("facepoison table ", folder, " --of ", row->name, "\n");
  return out + concat("facepoison table ", folder, " --against attack=none\nfacepoison table ", folder,
                      " --by person\nscripts/figures.py ", folder, " -o figures --format pdf\n");
}

std::string folds_of(const KeptRun& run, const std::string& id) {
  const auto notes = run.facts.at("notes").get<std::vector<std::string>>();
  return fold("Data, deviations, versions", listing(notes), id + "notes") +
         fold("Recognisers and their licences",
              html_table(recognisers_of(run.config), 1, id + "recognisers", "Recognisers"), id + "licences") +
         fold("Commands", element("pre", escape_html(commands_of(run)), "tabindex=\"0\""), id + "commands") +
         fold("The config, resolved", element("pre", escape_html(run.config.dump(1)), "tabindex=\"0\""), id + "config");
}

std::string html_pictures(const std::string& bytes) {
  if (bytes.empty()) return "";
  const auto type = bytes.starts_with("\xff\xd8") ? "image/jpeg" : "image/png";
  return concat(
      "<section id=\"pictures\"><h2>Pictures</h2>\n<p>This page shows photos of people: each as it was, "
      "perturbed, and the difference × 8 around grey.</p>\n<img class=\"strips\" alt=\"Strips of photos: "
      "original, perturbed, difference\" src=\"data:",
      type, ";base64,", base64(bytes), "\">\n</section>\n");
}

std::string html_of(const PageContent& content, const PageShell& shell) {
  std::string out = "<header>\n<h1>What protection is left</h1>\n";
  for (const auto& run : content.runs) out += heading_of(run);
  const auto sections = sections_of(content);
  out += "<nav aria-label=\"Sections\"><ul>";
  for (const auto& section : sections)
    out += element("li", element("a", escape_html(section.id), concat("href=\"#", section.id, "\"")));
  out += "</ul></nav>\n</header>\n<main>\n";
  out += shell.missing_note();
  for (const auto& section : sections) out += html_section(section, shell.draws());
  out += html_pictures(content.pictures);
  out += "<section id=\"made-of\"><h2>What this was made of</h2>\n";
  for (std::size_t r = 0; r < content.runs.size(); ++r)
    out += folds_of(content.runs[r], content.runs.size() > 1 ? concat("run-", r + 1, "-") : "");
  out += shell.credits();
  return out + "</section>\n</main>\n";
}

}  // namespace

std::string page_of(const PageContent& content, const fs::path& home) {
  const PageShell shell(home);
  return shell.page("facepoison: what protection is left", html_of(content, shell));
}

}  // namespace facepoison
