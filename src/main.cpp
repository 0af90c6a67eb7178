// facepoison: the table of commands, and the only catch block.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <new>

#include "commands/commands.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/version.hpp"

using namespace facepoison;

namespace {

struct Command {
  const char* name;
  const char* help;
  Action (*configure)(CLI::App&);
};

constexpr Command commands[] = {
    {"prepare", "make a data set from a folder of photos: find faces, align, split", prepare_command},
    {"perturb", "perturb people's photos in a data set with an attack", perturb_command},
    {"embed", "write the embeddings of a data set or a folder as a matrix", embed_command},
    {"detect", "say which photos were perturbed, with a cloak detector", detect_command},
    {"identify", "name the person in each probe, from a gallery", identify_command},
    {"eval", "run an experiment: recognisers × attacks × classifiers, one table", eval_command},
    {"audit", "say whether a person is found by their own photos, unchanged and cloaked", audit_command},
    {"table", "print the tables of a run folder", table_command},
    {"compare", "compare two runs over the same people, or a run and the paper's figures", compare_command},
    {"report", "write a run as one HTML page, with its figures", report_command},
    {"show", "draw contact sheets of people; original | perturbed | difference", show_command},
    {"train", "train a network from fresh or given weights: card in, card out", train_command},
    {"list", "list extractors, cloak detectors, purifiers, attacks, classifiers, transforms or tables", list_command},
    {"check", "check a recogniser: its hash, its golden embedding, its preprocessing", check_command},
    {"store", "check the cached work, and delete what is not needed", store_command},
    {"doctor", "say what this machine has, and check every recogniser on it", doctor_command},
};

// Opens /dev/null if stdin, stdout or stderr is closed, as under some schedulers and daemons: else the next file that
// is opened would get its number, and messages would be written into that file. Writing to such a stdout fails, so that
// no result is lost silently. Libraries open files when they are loaded; this runs before.
void open_standard_descriptors() {
  for (const auto [number, mode] :
       {std::pair{STDIN_FILENO, O_RDONLY}, {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_WRONLY}})
    if (fcntl(number, F_GETFD) < 0) open("/dev/null", mode);  // gets the lowest number that is free
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = open_standard_descriptors;

std::string version_text() {
  return concat("facepoison ", version(), "\ncommit ", commit(), "\nLibTorch ", libtorch_version(), "\nOpenCV ",
                opencv_version());
}

std::string last_line(std::string text) {
  text.resize(text.find_last_not_of('\n') + 1);
  return text.substr(text.rfind('\n') + 1);
}

// Without LibTorch's C++ stack trace.
std::string without_trace(const std::string& what) {
  return what.substr(0, std::min(what.find("\nException raised from"), what.find("\nframe #")));
}

Exit run(int argc, char** argv) {
  CLI::App app(
      "What protection do perturbed photos give against facial recognition? Results on stdout, the rest on stderr.",
      "facepoison");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  app.fallthrough();
  bool quiet = false, verbose = false;
  app.add_flag("-q,--quiet", quiet, "warnings and errors only");
  app.add_flag("-v,--verbose", verbose, "more messages");
  Action action;
  for (const auto& command : commands) {
    auto* sub = app.add_subcommand(command.name, command.help);
    auto configured = command.configure(*sub);
    sub->callback([&action, configured] { action = configured; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? Exit::ok : Exit::usage;
  }
  set_verbosity(quiet ? Verbosity::quiet : verbose ? Verbosity::verbose : Verbosity::normal);
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  install_signal_handlers();
  Exit code = Exit::failure;
  try {
    code = run(argc, argv);
  } catch (const Error& error) {
    log_error(error.what());
    code = error.code();
  } catch (const std::bad_alloc&) {
    log_error("out of memory");
    code = Exit::resource;
  } catch (const std::exception& error) {
    const auto what = without_trace(error.what());
    if (is_shortage(error)) code = Exit::resource;
    log_error(code == Exit::resource ? "short of memory, threads or disk: " + last_line(what) : what);
  }
  return static_cast<int>(code);
}
