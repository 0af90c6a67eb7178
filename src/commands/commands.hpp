// One file per command, glue only: each adds its options to the parser and returns the action to run after parsing.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <set>

#include "facepoison/dataset.hpp"
#include "facepoison/error.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/extractor.hpp"
#include "facepoison/report.hpp"
#include "facepoison/store.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

using Action = std::function<Exit()>;

Action audit_command(CLI::App& app);
Action check_command(CLI::App& app);
Action compare_command(CLI::App& app);
Action doctor_command(CLI::App& app);
Action detect_command(CLI::App& app);
Action embed_command(CLI::App& app);
Action eval_command(CLI::App& app);
Action identify_command(CLI::App& app);
Action list_command(CLI::App& app);
Action perturb_command(CLI::App& app);
Action prepare_command(CLI::App& app);
Action report_command(CLI::App& app);
Action show_command(CLI::App& app);
Action store_command(CLI::App& app);
Action table_command(CLI::App& app);
Action train_command(CLI::App& app);

// Options that several commands share.
struct StoreOption {
  explicit StoreOption(CLI::App& app);
  fs::path path() const;
  ArtifactStore open(Access access = Access::write) const;
  std::string folder;  // "" means <home>/store
};

struct DeviceOptions {
  explicit DeviceOptions(CLI::App& app);
  RunOptions resolve() const;
  std::string device = "auto", precision = "fp32";
  bool trust_model = false;
};

// Validators of an option's number, with the messages of a config. They refuse text that is not a number and numbers
// that do not fit the type. Both bounds are allowed.
CLI::Validator whole_number(std::int64_t low, std::int64_t high = std::numeric_limits<std::int64_t>::max());
CLI::Validator number(double low, double high);

// The options of a worker: a process that fills the store together with others, and prints no table.
struct WorkerOptions {
  // `excluded`: options that a worker does not accept.
  WorkerOptions(CLI::App& app, const std::vector<std::string>& excluded);
  Part part() const;  // throws Error(usage)
  bool is_on = false;
  std::string start;
  std::vector<std::string> only;
};

// The options -o and --format, by which a table is printed to stdout, or to a file atomically.
struct OutputOptions {
  OutputOptions(CLI::App& app, const std::string& default_format);
  void check(const std::vector<fs::path>& inputs = {}) const;  // the format, and check_output(); before any work
  // `more`: further keys of the object, only for json.
  void write(const Table& table, const Json& more = {}) const;
  std::string format, file;
};

// The same for a table of a run: markdown and latex show a matrix or, with --long, every row and the columns that vary.
// csv and json have everything.
struct TableOutput : OutputOptions {
  explicit TableOutput(CLI::App& app);
  bool is_for_reading() const;
  // `measured`: the table's column that has an interval; "": no matrix, unless the layout names a column.
  void write_table(const Table& table, const std::string& measured, const Layout& layout = {}) const;
  bool is_long = false;
};

// Splits KEY=VALUE; throws Error(usage) with the name `option` if there is no KEY.
std::pair<std::string, std::string> key_and_value(const std::string& option, const std::string& text);

// Checks an output before any work. Throws Error(usage) if the output is one of the command's inputs: the same file, a
// file that is read from an input folder (pictures, manifest, a run's files), or a picture that the next run would
// read. Also throws what check_writable() throws. "" (no output) is valid.
void check_output(const fs::path& output, const std::vector<fs::path>& inputs = {});

// Compares a recogniser's embedding of the golden picture with that of its original runtime. Throws Error(model) if it
// gives none, or one of another length.
struct GoldenCheck {
  std::string golden = "none";  // "ok", "differs", or "none": its card names no golden embedding
  double cosine = std::numeric_limits<double>::quiet_NaN(), difference = std::numeric_limits<double>::quiet_NaN();
};
GoldenCheck check_golden(const FeatureExtractor& extractor, const RunOptions& options);
std::string off_by(double cosine, double difference);  // in words; one number has no cosine

// An extractor's embeddings of a data set, or of a plain folder of crops: a row of `names` (id, person, split) for each
// row of the matrix. Warns of photos left out. Throws Error(input) if none is left.
struct EmbeddedPath {
  Table names;
  torch::Tensor matrix;
};
EmbeddedPath embed_path(const fs::path& path, bool ignore_exif, const FeatureExtractor& extractor,
                        const RunOptions& options, ArtifactStore& store);

// A data set's folder as -o names it: absolute, without a slash at its end.
fs::path output_folder(const std::string& name);

// The data set's people that the names of --people choose; see match_people.
std::set<std::string> chosen_people(const Dataset& dataset, const std::vector<std::string>& names);

}  // namespace facepoison
