#include "facepoison/table.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string rounded(const Cell& cell) {
  const double* value = std::get_if<double>(&cell);
  if (!value) return text(cell);
  if (!std::isfinite(*value)) return "–";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3f", *value);
  return buffer;
}

std::string replaced(const std::string& in, const std::map<char, std::string>& escapes) {
  std::string out;
  for (const char c : in) {
    const auto found = escapes.find(c);
    out += found == escapes.end() ? std::string(1, c) : found->second;
  }
  return out;
}

// Whether the `_` at this place begins or ends emphasis: not between two letters or digits.
bool is_emphasis(const std::string& in, std::size_t at) {
  const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0; };
  return at == 0 || at + 1 == in.size() || !is_word(in[at - 1]) || !is_word(in[at + 1]);
}

// Escapes the marks of GitHub's Markdown. A bracket is one only in [text](link), [text][link].
std::string escape_markdown(const std::string& in) {
  static const std::string marks = "\\`*~<&|";
  std::string out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const char c = in[i];
    const bool is_link = c == ']' && i + 1 < in.size() && (in[i + 1] == '(' || in[i + 1] == '[');
    if (marks.find(c) != std::string::npos || is_link || (c == '_' && is_emphasis(in, i))) out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

// Escapes what LaTeX reserves. Braces keep a cell's first bracket or star from being read as the option of the line
// break before it.
std::string escape_latex(const std::string& in) {
  const auto first = in.find_first_not_of(' ');
  const bool is_option = first != std::string::npos && (in[first] == '[' || in[first] == '*');
  return (is_option ? "{}" : "") + replaced(in, {{'&', "\\&"},
                                                 {'%', "\\%"},
                                                 {'_', "\\_"},
                                                 {'#', "\\#"},
                                                 {'$', "\\$"},
                                                 {'{', "\\{"},
                                                 {'}', "\\}"},
                                                 {'~', "\\textasciitilde{}"},
                                                 {'^', "\\textasciicircum{}"},
                                                 {'\\', "\\textbackslash{}"},
                                                 {'<', "\\textless{}"},
                                                 {'>', "\\textgreater{}"},
                                                 {'|', "\\textbar{}"},
                                                 {'\n', " "},
                                                 {'\r', " "}});
}

std::string joined(const std::vector<std::string>& cells, const std::string& separator) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) out += (i ? separator : "") + cells[i];
  return out;
}

// The width of a UTF-8 text on a terminal, approximately: its code points.
std::size_t width(const std::string& in) {
  return static_cast<std::size_t>(std::count_if(in.begin(), in.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string markdown(const Table& table) {
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& name : table.columns) cells[0].push_back(escape_markdown(name));
  for (const auto& row : table.rows) {
    cells.emplace_back();
    for (const auto& cell : row) cells.back().push_back(escape_markdown(rounded(cell)));
  }
  std::vector<std::size_t> widths(table.columns.size(), 3);
  for (const auto& row : cells)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  std::vector<std::string> rule;
  for (const auto w : widths) rule.emplace_back(w, '-');
  cells.insert(cells.begin() + 1, rule);
  std::string out;
  for (auto& row : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i].append(widths[i] - width(row[i]), ' ');
    out += "| " + joined(row, " | ") + " |\n";
  }
  if (!table.notes.empty()) out += "\n";
  for (const auto& note : table.notes) out += "- " + escape_markdown(note) + "\n";
  return out;
}

std::string csv(const Table& table) {
  std::vector<std::string> header;
  for (const auto& name : table.columns) header.push_back(quoted(name));
  std::string out = joined(header, ",") + "\n";
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) out += (i ? "," : "") + quoted(text(row[i]));
    out += "\n";
  }
  return out;
}

std::string json(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& row : table.rows) {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < row.size(); ++i)
      std::visit([&](const auto& value) { object[table.columns[i]] = value; },
                 row[i]);  // a number that is not finite is written as null
    rows.push_back(object);
  }
  return nlohmann::ordered_json{{"rows", rows}, {"notes", table.notes}}.dump(
             1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

std::string latex(const Table& table) {
  std::string out = "\\begin{tabular}{" + std::string(table.columns.size(), 'l') + "}\n\\toprule\n";
  auto line = [](std::vector<std::string> cells) {
    for (auto& cell : cells) cell = escape_latex(cell);
    return joined(cells, " & ") + " \\\\\n";
  };
  out += line(table.columns) + "\\midrule\n";
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const auto& cell : row) cells.push_back(rounded(cell));
    out += line(cells);
  }
  out += "\\bottomrule\n\\end{tabular}\n";
  for (const auto& note : table.notes) out += "% " + replaced(note, {{'\n', " "}}) + "\n";
  return out;
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  assert(row.size() == columns.size());
  rows.push_back(std::move(row));
}

std::size_t column(const Table& table, const std::string& name, const std::string& where) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), name);
  if (found == table.columns.end())
    throw Error(Exit::input, concat(where, ": no column \"", name, "\"; found ", joined(table.columns, ",")));
  return static_cast<std::size_t>(found - table.columns.begin());
}

std::string text(const Cell& cell) {
  if (const auto* value = std::get_if<std::string>(&cell)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&cell)) return std::to_string(*value);
  if (!std::isfinite(std::get<double>(cell))) return "";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::get<double>(cell)).ptr;
  return {buffer, end};
}

double as_number(const Cell& cell, const std::string& where) {
  if (const auto* value = std::get_if<double>(&cell)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&cell)) return static_cast<double>(*value);
  const auto& word = std::get<std::string>(cell);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size())
    throw Error(Exit::input, concat(where, ": \"", word, "\" is not a number"));
  return value;
}

std::int64_t as_integer(const Cell& cell, const std::string& where) {
  const auto word = text(cell);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size())
    throw Error(Exit::input, concat(where, ": \"", word, "\" is not a whole number, or is too large"));
  return value;
}

double number_of(const Cell& cell, const std::string& where) {
  return text(cell).empty() ? std::nan("") : as_number(cell, where);
}

Format parse_format(const std::string& name) {
  if (name == "markdown") return Format::markdown;
  if (name == "csv") return Format::csv;
  if (name == "json") return Format::json;
  if (name == "latex") return Format::latex;
  throw Error(Exit::usage, concat("format \"", name, "\": expected markdown, csv, json or latex"));
}

std::string print(const Table& table, Format format) {
  switch (format) {
    case Format::csv:
      return csv(table);
    case Format::json:
      return json(table);
    case Format::latex:
      return latex(table);
    default:
      return markdown(table);
  }
}

TableFile::TableFile(fs::path path, std::vector<std::string> columns) : path_(std::move(path)) {
  waiting_.columns = std::move(columns);
  file_ = unlinked_temporary(path_.parent_path());
  write_to(file_, csv(waiting_), path_);
}

TableFile::~TableFile() { close(file_); }

void TableFile::add(std::vector<Cell> row) {
  waiting_.add(std::move(row));
  if (waiting_.rows.size() >= 4096) flush();
}

void TableFile::flush() {
  const std::string lines = csv(waiting_);
  write_to(file_, std::string_view(lines).substr(lines.find('\n') + 1), path_);
  waiting_.rows.clear();
}

void TableFile::finish() {
  flush();
  copy_to(concat("/proc/self/fd/", file_), path_, /*flush=*/true);
}

CsvReader::CsvReader(std::string where, OnRow on_row) : where_(std::move(where)), on_row_(std::move(on_row)) {}

void CsvReader::end_cell() {
  row_.emplace_back(std::move(cell_));
  cell_.clear();
  any_ = true;
}

void CsvReader::end_row() {
  if (!any_) return;
  end_cell();
  any_ = false;
  if (columns_.empty()) {
    for (auto& name : row_) columns_.push_back(std::get<std::string>(std::move(name)));
    columns_[0] = without_mark(columns_[0]);
  } else if (row_.size() == columns_.size()) {
    on_row_(columns_, std::move(row_));
  } else {
    throw Error(Exit::input,
                concat(where_, ", line ", line_, ": ", row_.size(), " cells; the header has ", columns_.size()));
  }
  row_.clear();
}

void CsvReader::feed(std::string_view text) {
  for (const char c : text) {
    if (quote_ == Quote::open) {
      if (c == '"')
        quote_ = Quote::maybe_closed;
      else
        cell_ += c;
    } else if (c == '"') {
      if (quote_ == Quote::maybe_closed) cell_ += c;
      quote_ = Quote::open;
      any_ = true;
    } else {
      quote_ = Quote::none;
      if (c == ',') {
        end_cell();
      } else if (c == '\n') {
        end_row();
      } else if (c != '\r') {
        cell_ += c;
        any_ = true;
      }
    }
    line_ += c == '\n';
  }
}

std::vector<std::string> CsvReader::finish() {
  if (quote_ == Quote::open) throw Error(Exit::input, concat(where_, ": a quote is never closed"));
  end_row();
  if (columns_.empty()) throw Error(Exit::input, concat(where_, ": is empty, expected a header line"));
  return columns_;
}

Table parse_csv(const std::string& csv, const std::string& where) {
  Table table;
  CsvReader reader(where, [&](const auto&, std::vector<Cell> row) { table.rows.push_back(std::move(row)); });
  reader.feed(csv);
  table.columns = reader.finish();
  return table;
}

void read_rows(const fs::path& path, const CsvReader::OnRow& on_row) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Exit::input, concat("cannot read ", path.string()));
  CsvReader reader(path.string(), on_row);
  std::string part(1 << 16, '\0');
  while (in.read(part.data(), static_cast<std::streamsize>(part.size())), in.gcount() > 0)
    reader.feed(std::string_view(part).substr(0, static_cast<std::size_t>(in.gcount())));
  reader.finish();
}

Table read_csv(const fs::path& path) { return parse_csv(read_file(path), path.string()); }

}  // namespace facepoison
