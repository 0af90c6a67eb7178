// The page for somebody who asks about own photos: questions and answers first, then figures and tables.
#include <cmath>

#include "facepoison/digests.hpp"
#include "facepoison/findings.hpp"
#include "facepoison/text.hpp"
#include "report/html.hpp"

namespace facepoison {
namespace {

const TableRow found_row = {
    "found",
    "who names you",
    nullptr,
    "found",
    {{"", FigureRow::Kind::dots, "recogniser", "posted", "", "On which share of your photos each recogniser names you",
      "To the right: it finds you. Bars: how far other photos of you, taken alike, may differ."}}};

const TableRow crowd_row = {"crowd",
                            "larger crowds",
                            nullptr,
                            "found",
                            {{"", FigureRow::Kind::log, "people", "posted", "recogniser", "The larger the crowd",
                              "Look at how fast the lines fall towards the right: a real crowd is larger."}}};

// The rows in which nothing but the recogniser and the cloak varies.
Table plain_rows(const Table& found) {
  Table plain{found.columns, {}, {}};
  const auto transform = column(found, "transform", "found"), clean = column(found, "clean_photos", "found");
  for (const auto& row : found.rows)
    if (text(row[transform]) == "none" && text(row[clean]) == "0") plain.rows.push_back(row);
  return plain;
}

std::string figures(const TableRow& row, const Table& table, const PageShell& shell) {
  std::string out;
  if (!shell.draws()) return out;
  for (const auto& figure : figures_of(row, table, Json::object())) out += html_figure(figure, row.name);
  return out;
}

// Numbers as people read them.
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
                       "found: share of your photos that would be found if so many of the people were drawn", 3,
                       findings.crowd);
  if (!findings.flagged.rows.empty())
    out += table_section("flagged", "Detectors", "flagged: share of your photos that the detector calls perturbed", 2,
                         findings.flagged);
  return out + fold("Data, deviations, versions", listing(findings.notes), "notes");
}

std::string photos_of(const std::vector<ShownPhoto>& photos) {
  if (photos.empty()) return "";
  std::string out =
      "<section id=\"photos\"><h2>Your photos</h2>\n<p>This page shows photos: take care whom you give it.</p>\n<p>";
  for (const auto& photo : photos)
    out += concat("<img alt=\"", escape_html(photo.name), "\" title=\"", escape_html(photo.name),
                  "\" src=\"data:image/jpeg;base64,", base64(photo.jpeg), "\">\n");
  return out + "</p></section>\n";
}

std::string facts_of(const Inquiry& inquiry, const Findings& findings) {
  std::vector<std::string> lines;
  const auto n = text(findings.found.rows.front()[column(findings.found, "n", "found")]);
  lines.push_back(concat(n, " photos of you were used", inquiry.left_out.empty() ? "." : "; not used:"));
  for (const auto& [reason, count] : inquiry.left_out) lines.push_back(concat(count, " ", reason));
  return listing(lines);
}

}  // namespace

std::string page_of(const Findings& findings, const std::vector<ShownPhoto>& photos, const fs::path& home) {
  const PageShell shell(home);
  std::string out = "<header>\n<h1>Would I be found?</h1>\n";
  out += paragraph(concat(
      "A recogniser is a program that says who is on a photo. Each recogniser on this computer was given photos of ",
      findings.inquiry.people,
      " people with their names, yours among them: the posted ones. Then it was asked who is on "
      "other photos of you. This is a measurement of these recognisers and these photos. It does not say that you are "
      "safe. Nothing left this computer."));
  out += facts_of(findings.inquiry, findings) + "</header>\n<main>\n" + shell.missing_note();
  for (const auto& [id, question, answer] : answers_of(findings)) {
    out += concat("<section id=\"", id, "\">\n", element("h2", escape_html(question)), "\n", paragraph(answer));
    if (id == "as-they-are") out += figures(found_row, plain_rows(findings.found), shell);
    if (id == "open") out += figures(crowd_row, findings.crowd, shell);
    out += "</section>\n";
  }
  out += photos_of(photos) + "<section id=\"made-of\"><h2>What this was made of</h2>\n" + tables_of(findings) +
         shell.credits();
  return shell.page("facepoison: would I be found?", out + "</section>\n</main>\n");
}

}  // namespace facepoison
