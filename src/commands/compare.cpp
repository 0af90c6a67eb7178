#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/report.hpp"

namespace facepoison {

Action compare_command(CLI::App& app) {
  struct Options {
    std::string a, b, to;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("RUN_A", o->a, "a run folder of eval")->required();
  auto* b = app.add_option("RUN_B", o->b, "another one: differences A − B over the same people and probes");
  app.add_option("--to", o->to, "paper: beside the published figures (data/paper.json)")
      ->check(CLI::IsMember({"paper"}))
      ->excludes(b);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [o, output] {
    if (o->b.empty() && o->to.empty()) throw Error(Exit::usage, "compare: expected a second run folder, or --to paper");
    const fs::path other = o->to.empty() ? fs::path(o->b) : project_home() / "data" / "paper.json";
    output->check({o->a, other});
    output->write(readable(o->to.empty() ? compare_runs(o->a, other) : compare_to_paper(o->a, other), *output));
    return Exit::ok;
  };
}

}  // namespace facepoison
