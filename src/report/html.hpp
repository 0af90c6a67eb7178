// Parts of a self-contained HTML page. Arguments are text and are escaped here, unless they are said to be HTML.
#pragma once
#include "facepoison/figures.hpp"
#include "facepoison/page.hpp"

namespace facepoison {

// A name as an id: letters, digits, - and _ stay, the rest becomes -.
std::string html_id(std::string name);

// An element that holds HTML.
std::string element(const std::string& tag, const std::string& html, const std::string& attributes = "");

std::string paragraph(const std::string& text, const std::string& attributes = "");
std::string listing(const std::vector<std::string>& lines);

// HTML that is shown when its summary is clicked.
std::string fold(const std::string& summary, const std::string& html, const std::string& id);

// A table whose first `heads` columns name its rows.
std::string html_table(const Table& table, std::size_t heads, const std::string& id, const std::string& caption);

std::string csv_link(const Table& table, const std::string& name);
std::string html_figure(const Figure& figure, const std::string& section);

// Puts content into the project's page, with the scripts that draw figures or a note that they are missing; see
// page_of().
class PageShell {
 public:
  explicit PageShell(const fs::path& home);
  bool draws() const { return !scripts_.empty(); }
  std::string missing_note() const;  // HTML; "" where figures are drawn
  std::string credits() const;       // HTML; "" where none are
  std::string page(const std::string& title, const std::string& content) const;

 private:
  fs::path home_;
  std::string scripts_;
};

}  // namespace facepoison
