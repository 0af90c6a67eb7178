#include "commands/commands.hpp"
#include "facepoison/report.hpp"

namespace facepoison {

Action table_command(CLI::App& app) {
  struct Options {
    std::string run, of = "protection", by, against;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("RUN", o->run, "a run folder of eval")->required();
  auto* of = app.add_option("--of", o->of, "the table: one of facepoison list tables")->capture_default_str();
  auto* by = app.add_option("--by", o->by, "person: a row for each protected person")
                 ->check(CLI::IsMember({"person"}))
                 ->excludes(of);
  app.add_option(
         "--against", o->against,
         "KEY=VALUE, KEY a coordinate of the rows (attack, transform, seed, …): differences to the rows with that "
         "value, over the same people")
      ->excludes(by)
      ->excludes(of);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [o, output] {
    output->check({o->run});
    if (o->against.empty()) {
      const auto& row = table_row(o->of);
      output->write(readable(o->by == "person" ? table_of_run(o->run, true) : row.make(o->run), *output));
      return Exit::ok;
    }
    const auto equals = o->against.find('=');
    const auto key = o->against.substr(0, equals);
    if (equals == std::string::npos) throw Error(Exit::usage, concat("--against ", o->against, ": expected KEY=VALUE"));
    output->write(readable(differences_of_run(o->run, key, o->against.substr(equals + 1)), *output));
    return Exit::ok;
  };
}

}  // namespace facepoison
