#include "commands/commands.hpp"
#include "facepoison/home.hpp"

namespace facepoison {

namespace {

std::pair<std::string, std::string> read_stand_in(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos || equals + 1 == text.size())
    throw Error(Exit::usage, concat("--stand-in ", text, ": expected PUBLISHED=OURS"));
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

Action compare_command(CLI::App& app) {
  struct Options {
    std::string a, b, to;
    std::vector<std::string> stand_ins;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("RUN_A", o->a, "a run folder of eval")->required();
  auto* b =
      app.add_option("RUN_B", o->b, "another run folder: print the differences A − B over the same people and probes");
  app.add_option("--to", o->to, "paper: compare with the published figures (data/paper.json)")
      ->check(CLI::IsMember({"paper"}))
      ->excludes(b);
  app.add_option("--stand-in", o->stand_ins,
                 "PUBLISHED=OURS: our recogniser or attack OURS takes the place of the paper's PUBLISHED (repeatable)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->excludes(b);
  const auto output = std::make_shared<TableOutput>(app);
  return [o, output] {
    if (o->b.empty() && o->to.empty()) throw Error(Exit::usage, "compare: expected a second run folder, or --to paper");
    StandIns stand_ins;
    for (const auto& text : o->stand_ins) stand_ins.push_back(read_stand_in(text));
    const fs::path other = o->to.empty() ? fs::path(o->b) : project_home() / "data" / "paper.json";
    output->check({o->a, other});
    if (o->to.empty())
      output->write_table(compare_runs(o->a, other, output->is_for_reading()), "difference");
    else
      output->write_table(compare_to_paper(o->a, other, stand_ins), "");  // several figures may be of one cell
    return Exit::ok;
  };
}

}  // namespace facepoison
