// The options that several commands share.
#include <charconv>
#include <cstdio>

#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/report.hpp"

namespace facepoison {
namespace {

template <class Number>
CLI::Validator number_from(Number low, Number high, const char* kind) {
  const auto check = [=](const std::string& word) {
    Number value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool fits = error == std::errc() && end == word.data() + word.size() && value >= low && value <= high;
    return fits ? "" : concat("found ", word, ", expected a ", kind, " from ", low, " to ", high);
  };
  return CLI::Validator(check, concat("from ", low, " to ", high));
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) { return number_from(low, high, "whole number"); }
CLI::Validator number(double low, double high) { return number_from(low, high, "number"); }

StoreOption::StoreOption(CLI::App& app) {
  app.add_option("--store", folder, "folder of cached artifacts (default: store/ in the project's folder)")
      ->envname("FACEPOISON_STORE");
}

fs::path StoreOption::path() const { return folder.empty() ? project_home() / "store" : fs::absolute(folder); }

ArtifactStore StoreOption::open() const { return ArtifactStore(path()); }

DeviceOptions::DeviceOptions(CLI::App& app) {
  app.add_option("--device", device, "auto, cpu, cuda, cuda:N or another of LibTorch's")->capture_default_str();
  app.add_option("--precision", precision, "of the network: fp32, tf32 (CUDA) or bf16")->capture_default_str();
  app.add_flag("--trust-model", trust_model,
               "run the model files that this command names though nobody pinned their sha256 (they are code)");
}

RunOptions DeviceOptions::resolve() const { return run_options(device, precision, trust_model); }

OutputOptions::OutputOptions(CLI::App& app, const std::string& default_format) : format(default_format) {
  app.add_option("--format", format, "markdown, csv, json or latex")->capture_default_str();
  app.add_option("-o,--output", file, "write there instead of to stdout");
}

void OutputOptions::check(const std::vector<fs::path>& inputs) const {
  parse_format(format);
  if (file != "-") check_output(file, inputs);
}

void OutputOptions::write(const Table& table, const Json& more) const {
  std::string out = print(table, parse_format(format));
  if (!more.empty() && parse_format(format) == Format::json) {
    Json all = parse_json(out, "the table");
    all.update(more);
    out = all.dump(1) + "\n";
  }
  if (!file.empty() && file != "-") return write_file(file, out);
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)
    throw Error(Exit::resource, "cannot write to stdout");
}

Table readable(const Table& table, const OutputOptions& output) {
  const auto format = parse_format(output.format);
  return format == Format::markdown || format == Format::latex ? for_reading(table) : table;
}

void check_output(const fs::path& output, const std::vector<fs::path>& inputs) {
  static const std::set<std::string> read_of_folders = {".jpg",
                                                        ".jpeg",
                                                        ".png",
                                                        ".bmp",
                                                        "manifest.jsonl",
                                                        "landmarks.csv",
                                                        "rejected.csv",
                                                        "budget.csv",
                                                        "run.json",
                                                        "rows.csv",
                                                        "trials.csv",
                                                        "others.csv",
                                                        "config.resolved.json",
                                                        "pairs.csv",
                                                        "strangers.csv",
                                                        "thresholds.csv",
                                                        "displacements.csv"};
  if (output.empty()) return;
  std::error_code none;
  for (const auto& input : fs::is_regular_file(output, none) ? inputs : std::vector<fs::path>()) {
    const bool of_a_folder =
        fs::is_directory(input, none) && is_below(output, input) &&
        (read_of_folders.count(output.extension().string()) || read_of_folders.count(output.filename().string()));
    if (of_a_folder || fs::equivalent(output, input, none))
      throw Error(Exit::usage, concat("-o ", output.string(), " is an input of this command; name another file"));
  }
  check_writable(output);
}

std::set<std::string> chosen_people(const Dataset& dataset, const std::vector<std::string>& names) {
  return match_people(dataset.people(), names);
}

}  // namespace facepoison
