#include <functional>
#include <map>

#include "commands/commands.hpp"
#include "facepoison/attack.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"
#include "facepoison/report.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {
namespace {

// Says whether a card's weights are here and sound: "yes", or the first reason why not.
std::string presence(const Card& card) {
  try {
    verify_model(card.file, card.path.parent_path(), card.sha256, false, card.how_to_get());
    return "yes";
  } catch (const Error& error) {
    return concat("no: ", error.what());
  }
}

// The input's size: a square's side, else "WIDTHxHEIGHT".
Cell side_of(const Card& card) {
  if (card.width == card.height) return static_cast<std::int64_t>(card.width);
  return concat(card.width, "x", card.height);
}

Table list_extractors() {
  Table table{{"name", "released", "dimension", "side", "template", "licence", "present"}, {}, {}};
  for (const auto& card : all_cards()) {
    const Cell dimension = card.dimension > 0 ? Cell(static_cast<std::int64_t>(card.dimension)) : unknown;
    table.add({card.name, card.release(), dimension, side_of(card), card.template_name, card.licence, presence(card)});
  }
  return table;
}

Table list_cloak_detectors() {
  Table table{{"name", "released", "trained_against", "threshold", "side", "licence", "present"}, {}, {}};
  for (const auto& card : all_cards(Task::cloak_detector))
    table.add({card.name, card.released, listed(card.trained_against), card.threshold, side_of(card), card.licence,
               presence(card)});
  return table;
}

Table list_purifiers() {
  Table table{{"name", "released", "trained_against", "side", "licence", "present"}, {}, {}};
  for (const auto& card : all_cards(Task::purifier))
    table.add({card.name, card.released, listed(card.trained_against), side_of(card), card.licence, presence(card)});
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

template <class Rows>
Table list_registry(const Rows& rows) {
  Table table{{"name", "help"}, {}, {}};
  for (const auto& row : rows) table.add({row.name, row.help});
  return table;
}

Table list_classifiers() {
  Table table = list_registry(classifier_registry());
  table.add({"end-to-end",
             "extractor and a dense layer, trained together in each trial; keys steps, batch, …, public_twins"});
  return table;
}

const std::map<std::string, std::function<Table()>> lists = {
    {"extractors", list_extractors},
    {"cloak-detectors", list_cloak_detectors},
    {"purifiers", list_purifiers},
    {"attacks", list_attacks},
    {"classifiers", list_classifiers},
    {"transforms", [] { return list_registry(transform_registry()); }},
    {"tables", [] { return list_registry(table_registry()); }}};

}  // namespace

Action list_command(CLI::App& app) {
  const auto what = std::make_shared<std::string>();
  std::vector<std::string> names;
  for (const auto& [name, list] : lists) names.push_back(name);
  app.add_option("WHAT", *what,
                 "extractors (by release), cloak-detectors, purifiers, attacks, classifiers, transforms or tables")
      ->required()
      ->check(CLI::IsMember(names));
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [what, output] {
    output->check();
    output->write(lists.at(*what)());
    return Exit::ok;
  };
}

}  // namespace facepoison
