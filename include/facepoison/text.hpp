// Text: messages put together, lists and near names in them, UTF-8.
#pragma once
#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace facepoison {

// Its arguments, printed one after the other: concat("found ", 3, " photos").
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// "a, b, c", or "a, b and 7 more" beyond `most` names.
std::string listed(const std::vector<std::string>& names, std::size_t most = -1);

// Levenshtein's distance, in bytes.
std::size_t edit_distance(const std::string& a, const std::string& b);

// The nearest of `known` to `word` by edit distance, or "" when none is near.
std::string nearest_name(const std::string& word, const std::vector<std::string>& known);

bool is_utf8(std::string_view text);

// The text without the byte-order mark that spreadsheets and Windows' editors put before UTF-8.
std::string_view without_mark(std::string_view text);

}  // namespace facepoison
