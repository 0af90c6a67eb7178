#include "facepoison/json.hpp"

#include <set>
#include <vector>

#include "facepoison/error.hpp"

namespace facepoison {

Json parse_json(const std::string& text, const std::string& where) {
  if (text.size() > (std::size_t{64} << 20)) throw Error(Exit::usage, concat(where, ": more than 64 MB of JSON"));
  std::vector<std::set<std::string>> keys;  // of the objects that are open, to refuse a key given twice
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= 64 && problem.empty()) problem = "more than 64 levels deep";
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second && problem.empty())
      problem = concat("key \"", parsed.get<std::string>(), "\" is given twice");
    return true;
  };
  try {
    Json value = Json::parse(text, watch, true, true);  // comments are allowed
    if (!problem.empty()) throw Error(Exit::usage, concat(where, ": ", problem));
    return value;
  } catch (const Json::exception& error) {
    std::string what = error.what();
    const auto start = what.find("] ");
    throw Error(Exit::usage, concat(where, ": not JSON: ", start == std::string::npos ? what : what.substr(start + 2)));
  }
}

Json read_json(const fs::path& path) {
  if (!fs::exists(path)) throw Error(Exit::usage, concat("no such file: ", path.string()));
  return parse_json(read_file(path), path.string());
}

}  // namespace facepoison
