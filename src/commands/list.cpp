#include "commands/commands.hpp"
#include "facepoison/attack.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"

namespace facepoison {
namespace {

// "yes", or the first reason why not.
std::string presence(const Card& card) {
  try {
    verify_model(card.file, card.path.parent_path(), card.sha256, false, card.how_to_get());
    return "yes";
  } catch (const Error& error) {
    return concat("no: ", error.what());
  }
}

Table list_extractors() {
  Table table{{"name", "released", "dimension", "side", "template", "licence", "present"}, {}, {}};
  for (const auto& card : all_cards()) {
    const Cell dimension = card.dimension > 0 ? Cell(static_cast<std::int64_t>(card.dimension)) : Cell("not known");
    table.add({card.name, card.release(), dimension, static_cast<std::int64_t>(card.side), card.template_name,
               card.licence, presence(card)});
  }
  return table;
}

Table list_attacks() {
  Table table{{"preset", "attack", "help"}, {}, {}};
  for (const auto& name : names_in("configs/attacks")) {
    const auto kind = Spec(read_preset(name), name).text("attack");
    for (const auto& row : attack_registry())
      if (row.name == kind) table.add({name, kind, row.help});
  }
  return table;
}

Table list_classifiers() {
  Table table{{"name", "help"}, {}, {}};
  for (const auto& row : classifier_registry()) table.add({row.name, row.help});
  return table;
}

}  // namespace

Action list_command(CLI::App& app) {
  const auto what = std::make_shared<std::string>();
  app.add_option("WHAT", *what, "extractors (by release), attacks or classifiers")
      ->required()
      ->check(CLI::IsMember({"extractors", "attacks", "classifiers"}));
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [what, output] {
    output->write(*what == "extractors" ? list_extractors() : *what == "attacks" ? list_attacks() : list_classifiers());
    return Exit::ok;
  };
}

}  // namespace facepoison
