// The options that several commands share.
#include <fnmatch.h>

#include <algorithm>
#include <cstdio>

#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"

namespace facepoison {

StoreOption::StoreOption(CLI::App& app) { app.add_option("--store", folder, "folder of cached artifacts (default: store/ in the project's folder)")->envname("FACEPOISON_STORE"); }

ArtifactStore StoreOption::open() const { return ArtifactStore(folder.empty() ? project_home() / "store" : fs::path(folder)); }

DeviceOptions::DeviceOptions(CLI::App& app) {
  app.add_option("--device", device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--precision", precision, "of the network: fp32 or bf16")->capture_default_str();
  app.add_flag("--trust-model", trust_model, "run a model file whose sha256 nobody pinned (it is code)");
}

RunOptions DeviceOptions::resolve() const { return {parse_device(device), parse_precision(precision), trust_model}; }

OutputOptions::OutputOptions(CLI::App& app, const std::string& default_format) : format(default_format) {
  app.add_option("--format", format, "markdown, csv, json or latex")->capture_default_str();
  app.add_option("-o,--output", file, "write there instead of to stdout");
}

void OutputOptions::write(const Table& table) const {
  const std::string out = print(table, parse_format(format));
  if (!file.empty() && file != "-") return write_file(file, out);
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) throw Error(Exit::resource, "cannot write to stdout");
}

std::set<std::string> chosen_people(const Dataset& dataset, const std::vector<std::string>& names) {
  const auto people = dataset.people();
  if (names == std::vector<std::string>{"all"}) return {people.begin(), people.end()};
  std::set<std::string> chosen;
  for (const auto& name : names) {
    const auto fits = [&](const std::string& person) { return person == name || fnmatch(name.c_str(), person.c_str(), 0) == 0; };
    if (std::none_of(people.begin(), people.end(), fits)) {
      const auto near = nearest_name(name, people);
      throw Error(Exit::usage, concat("--people: no person \"", name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
    std::copy_if(people.begin(), people.end(), std::inserter(chosen, chosen.end()), fits);
  }
  return chosen;
}

}  // namespace facepoison
