// The page about a user's own photos: questions and answers first, then figures and tables.
#include <cmath>

#include "facepoison/digests.hpp"
#include "facepoison/text.hpp"
#include "report/columns.hpp"
#include "report/findings.hpp"
#include "report/html.hpp"

namespace facepoison {
namespace {

const TableRow found_row = {
    "found",
    "who names you",
    nullptr,
    "found",
    {{"", FigureRow::Kind::dots, "recogniser", "posted", "", "On which share of your photos each recogniser names you",
      "Further right: it finds you more often. Bars: how far other photos of you, taken alike, may differ. Orange: the "
      "cloak was made to fool this one."}}};

const TableRow crowd_row = {"crowd",
                            "larger crowds",
                            nullptr,
                            "found",
                            {{"", FigureRow::Kind::log, "people", "posted", "recogniser", "The larger the crowd",
                              "Of the recognisers that find you by photos as they are."}}};

// The rows of single recognisers in which only the recogniser and the cloak vary.
Table plain_rows(const Findings& findings) {
  const Columns columns(findings.found);
  Table plain{findings.found.columns, {}, {}};
  for (const auto& row : findings.found.rows)
    if (columns.word(row, "transform") == "none" && columns.word(row, "clean_photos") == "0" &&
        columns.word(row, "recogniser") != findings.inquiry.together)
      plain.rows.push_back(row);
  return plain;
}

Table crowd_of_finders(const Findings& findings) {
  const Columns columns(findings.crowd);
  const auto finders = finders_of(findings);
  Table some{findings.crowd.columns, {}, {}};
  for (const auto& row : findings.crowd.rows)
    if (has(finders, columns.word(row, "recogniser"))) some.rows.push_back(row);
  return some;
}

std::string figures(const TableRow& row, const Table& table, const PageShell& shell) {
  std::string out;
  if (!shell.draws()) return out;
  for (const auto& figure : figures_of(row, table, Json::object())) out += html_figure(figure, row.name);
  return out;
}

// Rounds numbers to two decimals.
Table rounded(Table table) {
  for (auto& row : table.rows)
    for (auto& cell : row)
      if (const auto* number = std::get_if<double>(&cell); number && !std::isnan(*number))
        cell = text(std::round(*number * 100) / 100);
  return table;
}

std::string table_section(const std::string& id, const std::string& heading, const std::string& caption,
                          std::size_t heads, const Table& table) {
  return fold(heading, html_table(rounded(table), heads, concat("table-", id), caption) + csv_link(table, id), id);
}

std::string tables_of(const Findings& findings) {
  std::string out = table_section("found", "Every number", findings.found.notes.front(), 5, findings.found);
  out += table_section("crowd", "Smaller crowds",
                       "found: share of your photos that would be found if this many of the people were drawn", 3,
                       findings.crowd);
  if (!findings.flagged.rows.empty())
    out += table_section("flagged", "Detectors", "flagged: share of your photos that the detector calls perturbed", 2,
                         findings.flagged);
  return out + fold("Data, deviations, versions", listing(findings.notes), "notes");
}

std::string photos_of(const std::vector<ShownPhoto>& photos) {
  if (photos.empty()) return "";
  std::string out =
      "<section id=\"photos\"><h2>Your photos</h2>\n<p>This page shows photos: be careful whom you give it "
      "to.</p>\n<p>";
  for (const auto& photo : photos)
    out += concat("<img alt=\"", escape_html(photo.name), "\" title=\"", escape_html(photo.name),
                  "\" src=\"data:image/jpeg;base64,", base64(photo.jpeg), "\">\n");
  return out + "</p></section>\n";
}

std::string facts_of(const Findings& findings) {
  const Columns columns(findings.found);
  std::vector<std::string> lines = {concat(columns.word(findings.found.rows.front(), "n"),
                                           " photos of you were used: each was "
                                           "asked about once, while half of the others were posted.")};
  for (const auto& [reason, count] : findings.inquiry.left_out) lines.push_back(concat(count, " not used: ", reason));
  return listing(lines);
}

}  // namespace

std::string page_of(const Findings& findings, const std::vector<ShownPhoto>& photos, const fs::path& home) {
  const PageShell shell(home);
  std::string out = "<header>\n<h1>Would I be found?</h1>\n";
  out += paragraph(concat(
      "A recogniser is a program that says who is on a photo. Each recogniser on this computer learned the faces of ",
      findings.inquiry.people,
      " people from photos with names: of you it had the posted photos. Then it was asked "
      "who is on your other photos. Only posted photos were ever cloaked, none that it was asked about. Your "
      "photos were not sent anywhere. This is a measurement, not a promise."));
  out += facts_of(findings) + "</header>\n<main>\n" + shell.missing_note();
  for (const auto& [id, question, answer] : answers_of(findings)) {
    out += concat("<section id=\"", id, "\">\n", element("h2", escape_html(question)), "\n", paragraph(answer));
    if (id == "as-they-are") out += figures(found_row, plain_rows(findings), shell);
    if (id == "open") out += figures(crowd_row, crowd_of_finders(findings), shell);
    out += "</section>\n";
  }
  out += photos_of(photos) + "<section id=\"made-of\"><h2>What this was made of</h2>\n" + tables_of(findings) +
         shell.credits();
  return shell.page("facepoison: would I be found?", out + "</section>\n</main>\n");
}

}  // namespace facepoison
