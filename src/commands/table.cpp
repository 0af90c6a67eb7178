#include "commands/commands.hpp"

namespace facepoison {
namespace {

struct TableOptions {
  std::string run, of = "protection", by, against;
  std::vector<std::string> rows, where;
  std::string across = "attack", value;
};

// The wanted table, and the name of its column with an interval.
std::pair<Table, std::string> table_of(const TableOptions& o) {
  if (!o.against.empty()) {
    const auto [key, value] = key_and_value("--against", o.against);
    return {differences_of_run(o.run, key, value), "difference"};
  }
  if (o.by == "person") return {table_of_run(o.run, true), "protection"};
  const auto& row = table_row(o.of);
  return {fs::is_regular_file(o.run) ? read_table(o.run) : row.make(o.run), row.measured};
}

}  // namespace

Action table_command(CLI::App& app) {
  const auto o = std::make_shared<TableOptions>();
  app.add_option("RUN", o->run, "a run folder of eval, or the CSV file of a table")->required();
  auto* of = app.add_option("--of", o->of, "the table's name, one of facepoison list tables")->capture_default_str();
  auto* by = app.add_option("--by", o->by, "person: a row for each protected person")
                 ->check(CLI::IsMember({"person"}))
                 ->excludes(of);
  app.add_option(
         "--against", o->against,
         "KEY=VALUE, KEY a coordinate of the rows (attack, transform, seed, …): differences to the rows with that "
         "value, over the same people")
      ->excludes(by)
      ->excludes(of);
  app.add_option("--where", o->where,
                 "COLUMN=VALUE: only rows with this value (repeatable; several values of one column: any of them)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--rows", o->rows,
                 "matrix: the columns that name its rows, separated by commas (default: the recogniser, its release, "
                 "and each axis on which rows differ)")
      ->delimiter(',');
  app.add_option("--across", o->across, "matrix: the column that gives its columns, one for each value")
      ->capture_default_str();
  app.add_option("--value", o->value, "matrix: another column for its cells, without intervals");
  const auto output = std::make_shared<TableOutput>(app);
  return [o, output] {
    output->check({o->run});
    std::vector<std::pair<std::string, std::string>> wanted;
    for (const auto& word : o->where) wanted.push_back(key_and_value("--where", word));
    const auto [table, measured] = table_of(*o);
    output->write_table(rows_where(table, wanted), measured, {o->rows, o->across, o->value});
    return Exit::ok;
  };
}

}  // namespace facepoison
