#include "commands/commands.hpp"
#include "facepoison/report.hpp"

namespace facepoison {

Action table_command(CLI::App& app) {
  const auto run = std::make_shared<std::string>(), by = std::make_shared<std::string>();
  app.add_option("RUN", *run, "a run folder of eval")->required();
  app.add_option("--by", *by, "person: a row for each protected person")->check(CLI::IsMember({"person"}));
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [run, by, output] {
    output->write(table_of_run(*run, *by == "person"));
    return Exit::ok;
  };
}

}  // namespace facepoison
