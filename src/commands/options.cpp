// The options that several commands share.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/photos.hpp"

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

// Is a picture below the folder one of its input pictures, or would it be one in the next run? If people have folders,
// a picture beside these belongs to nobody, unless a link in one of them points to it.
bool is_picture_of(const fs::path& folder, const fs::path& picture) {
  std::error_code none;
  const fs::path root = fs::canonical(folder, none), target = fs::weakly_canonical(picture, none);
  if (is_dataset(root) || target.parent_path() != root) return true;
  const auto there = pictures_below(root).usable;
  const auto is_beside = [&](const fs::path& one) { return one.parent_path() == root; };
  const auto is_link = [&](const fs::path& one) { return !is_beside(one) && fs::equivalent(one, target, none); };
  return std::all_of(there.begin(), there.end(), is_beside) || std::any_of(there.begin(), there.end(), is_link);
}

// The same for any file that is read from a folder.
bool is_read_of(const fs::path& folder, const fs::path& file) {
  static const std::set<std::string> pictures = {".jpg", ".jpeg", ".png", ".bmp"},
                                     others = {"manifest.jsonl",   "landmarks.csv", "rejected.csv",
                                               "budget.csv",       "run.json",      "rows.csv",
                                               "trials.csv",       "others.csv",    "config.resolved.json",
                                               "pairs.csv",        "strangers.csv", "thresholds.csv",
                                               "displacements.csv"};
  std::error_code none;
  if (!fs::is_directory(folder, none) || !is_below(file, folder)) return false;
  if (pictures.count(file.extension().string())) return is_picture_of(folder, file);
  return others.count(file.filename().string()) && fs::is_regular_file(file, none);
}

// Ends the process by the signal's default action, which a shell or a pipeline recognises.
void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) { return number_from(low, high, "whole number"); }
CLI::Validator number(double low, double high) { return number_from(low, high, "number"); }

StoreOption::StoreOption(CLI::App& app) {
  app.add_option("--store", folder,
                 "folder of cached artifacts (default: store/ in the project's folder, or ~/.cache/facepoison/store)")
      ->envname("FACEPOISON_STORE");
}

fs::path StoreOption::path() const { return folder.empty() ? default_store() : fs::absolute(folder); }

ArtifactStore StoreOption::open(Access access) const { return ArtifactStore(path(), access); }

DeviceOptions::DeviceOptions(CLI::App& app) {
  app.add_option("--device", device, "auto, cpu, cuda, cuda:N or another device of LibTorch")->capture_default_str();
  app.add_option("--precision", precision, "precision of the networks: fp32, tf32 (CUDA) or bf16")
      ->capture_default_str();
  app.add_flag("--trust-model", trust_model,
               "run the model files of this command even if their sha256 is not pinned (model files are code)");
}

RunOptions DeviceOptions::resolve() const { return run_options(device, precision, trust_model); }

WorkerOptions::WorkerOptions(CLI::App& app, const std::vector<std::string>& excluded) {
  auto* worker = app.add_flag("--worker", is_on,
                              "make the results that the store lacks, together with other workers, and print no table");
  for (const auto& name : excluded) worker->excludes(app.get_option(name));
  app.add_option("--start", start,
                 "I/N with 0 ≤ I < N: begin after this part of the work, so that N workers do not collide")
      ->needs(worker);
  app.add_option("--only", only, "make only artefacts of these kinds, and wait for the others: perturbed,embedded,…")
      ->needs(worker)
      ->delimiter(',');
}

Part WorkerOptions::part() const {
  Part part{.kinds = {only.begin(), only.end()}};
  if (start.empty()) return part;
  unsigned i = 0, n = 0;
  const char* const end = start.data() + start.size();
  const auto [slash, wrong] = std::from_chars(start.data(), end, i);
  const bool has_slash = wrong == std::errc() && slash != end && *slash == '/';
  const auto last = has_slash ? std::from_chars(slash + 1, end, n) : std::from_chars_result{slash, wrong};
  if (!has_slash || last.ec != std::errc() || last.ptr != end || i >= n)
    throw Error(Exit::usage, concat("--start ", start, ": expected I/N, whole numbers with 0 ≤ I < N"));
  part.start = static_cast<double>(i) / n;
  return part;
}

OutputOptions::OutputOptions(CLI::App& app, const std::string& default_format) : format(default_format) {
  app.add_option("--format", format, "markdown, csv, json or latex")->capture_default_str();
  app.add_option("-o,--output", file, "write to this file instead of stdout");
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
  if (std::fwrite(out.data(), 1, out.size(), stdout) == out.size() && std::fflush(stdout) == 0) return;
  const int reason = errno;
  if (reason == EPIPE) end_by(SIGPIPE);  // the reader has closed the pipe
  throw Error(Exit::resource, concat("cannot write to stdout: ", std::strerror(reason)));
}

TableOutput::TableOutput(CLI::App& app) : OutputOptions(app, "markdown") {
  app.add_flag("--long", is_long, "markdown and latex: a line for each row of the table instead of a matrix");
}

bool TableOutput::is_for_reading() const {
  const auto parsed = parse_format(format);
  return parsed == Format::markdown || parsed == Format::latex;
}

void TableOutput::write_table(const Table& table, const std::string& measured, const Layout& layout) const {
  if (!is_for_reading()) return write(table);
  const bool has_cells = !measured.empty() || !layout.value.empty();
  write(is_long || !has_cells ? for_reading(table) : matrix(table, measured, layout));
}

std::pair<std::string, std::string> key_and_value(const std::string& option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos) throw Error(Exit::usage, concat(option, " ", text, ": expected KEY=VALUE"));
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void check_output(const fs::path& output, const std::vector<fs::path>& inputs) {
  if (output.empty()) return;
  std::error_code none;
  const bool there = fs::is_regular_file(output, none);
  for (const auto& input : inputs) {
    const bool is_manifest = input.filename() == "manifest.jsonl";
    if (is_read_of(is_manifest ? fs::absolute(input).parent_path() : input, fs::absolute(output)) ||
        (there && fs::equivalent(output, input, none)))
      throw Error(Exit::usage, concat("-o ", output.string(), there ? " is" : " would be",
                                      " an input of this command; choose another file"));
  }
  check_writable(output);
}

fs::path output_folder(const std::string& name) {
  const fs::path folder = fs::absolute(name).lexically_normal();
  return folder.has_filename() ? folder : folder.parent_path();
}

std::set<std::string> chosen_people(const Dataset& dataset, const std::vector<std::string>& names) {
  return match_people(dataset.people(), names);
}

}  // namespace facepoison
