#include "report/html.hpp"

#include <set>

#include "facepoison/digests.hpp"
#include "facepoison/text.hpp"

namespace facepoison {
namespace {

// JSON for a <script>, with each "</" escaped: "</script" would end the element.
std::string json_in_script(const Json& json) {
  std::string text = json.dump();
  for (std::size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3) text.replace(at, 2, "<\\/");
  return text;
}

// The scripts that draw figures, in their order; "" if one is missing.
std::string scripts_of(const fs::path& home) {
  std::string out;
  for (const auto* name : {"vega", "vega-lite", "vega-embed"}) {
    const auto file = home / "build" / "report" / concat(name, ".min.js");
    if (!fs::exists(file)) return "";
    out += element("script", read_file(file)) + "\n";
  }
  return out + element("script", read_file(home / "data" / "report" / "page.js"));
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_id(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') c = '-';
  return name;
}

std::string element(const std::string& tag, const std::string& text, const std::string& attributes) {
  return concat("<", tag, attributes.empty() ? "" : " ", attributes, ">", text, "</", tag, ">");
}

std::string paragraph(const std::string& text, const std::string& attributes) {
  return element("p", escape_html(text), attributes) + "\n";
}

std::string listing(const std::vector<std::string>& lines) {
  std::string out = "<ul>\n";
  for (const auto& line : lines) out += element("li", escape_html(line)) + "\n";
  return out + "</ul>\n";
}

std::string fold(const std::string& summary, const std::string& html, const std::string& id) {
  return concat("<details class=\"fold\" id=\"", id, "\">", element("summary", escape_html(summary)), html,
                "</details>\n");
}

std::string html_table(const Table& table, std::size_t heads, const std::string& id, const std::string& caption) {
  std::string out = concat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", escape_html(id),
                           "\"><table id=\"", id, "\">\n", element("caption", escape_html(caption)), "\n<thead><tr>");
  for (const auto& name : table.columns) out += element("th", escape_html(name), "scope=\"col\"");
  out += "</tr></thead>\n<tbody>\n";
  std::set<std::string> used;
  for (const auto& row : table.rows) {
    std::vector<std::string> names;
    for (std::size_t c = 0; c < heads; ++c) names.push_back(text(row[c]));
    auto row_id = html_id(concat(id, "-", listed(names)));
    while (!used.insert(row_id).second) row_id += "-";
    out += concat("<tr id=\"", row_id, "\">");
    for (std::size_t c = 0; c < row.size(); ++c) {
      const auto cell = text(row[c]);
      out += element(c < heads ? "th" : "td", cell.empty() ? "–" : escape_html(cell), c < heads ? "scope=\"row\"" : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string csv_link(const Table& table, const std::string& name) {
  return concat("<p class=\"download\"><a download=\"", name, ".csv\" href=\"data:text/csv;charset=utf-8;base64,",
                base64(print(table, Format::csv)), "\">", name, ".csv</a>: every row, every digit</p>\n");
}

std::string html_figure(const Figure& figure, const std::string& section) {
  return concat("<figure id=\"figure-", html_id(concat(section, "-", figure.name)), "\" data-alt=\"",
                escape_html(figure.alt), "\">\n<figcaption>", element("strong", escape_html(figure.title)), "<br>",
                escape_html(figure.look),
                "</figcaption>\n<div class=\"chart\" tabindex=\"0\" role=\"group\" aria-label=\"Figure\" "
                "hidden></div>\n<script type=\"application/json\">",
                json_in_script(figure.spec), "</script>\n</figure>\n");
}

PageShell::PageShell(const fs::path& home) : home_(home), scripts_(scripts_of(home)) {}

std::string PageShell::missing_note() const {
  return draws()
             ? ""
             : "<p><em>There are no figures: <code>scripts/setup.sh</code> fetches the scripts that draw them; then "
               "write this page again.</em></p>\n";
}

std::string PageShell::credits() const {
  return draws()
             ? "<p class=\"soft\">Drawn by Vega, Vega-Lite and Vega-Embed (University of Washington Interactive Data "
               "Lab, BSD-3-Clause), which this page carries.</p>\n"
             : "";
}

std::string PageShell::page(const std::string& title, const std::string& content) const {
  const auto shell = read_file(home_ / "data" / "report" / "page.html");
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"{{title}}", escape_html(title)},
      {"{{style}}", read_file(home_ / "data" / "report" / "page.css")},
      {"{{content}}", content},
      {"{{scripts}}", scripts_}};
  std::string page;
  std::size_t from = 0;
  for (const auto& [mark, part] : parts) {
    const auto at = shell.find(mark, from);
    page += shell.substr(from, at - from) + part;
    from = at + mark.size();
  }
  return page + shell.substr(from);
}

}  // namespace facepoison
