// Figures: which ones a table asks for, which rows they draw, and what is in their specifications.
#include "facepoison/figures.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

using Words = std::vector<std::string>;

Table varied_table() {
  return parse_csv(
      "extractor,released,attack,transform,transform_on,clean_photos,classifier,seed,people,protection,low,high,"
      "surrogate\n"
      "new,2021,none,none,,0,nearest,0,8,0.02,0,0.1,no\n"
      "new,2021,pgd,none,,0,nearest,0,8,0.5,0.3,0.7,no\n"
      "new,2021,pgd,none,,1,nearest,0,8,0.1,0,0.3,no\n"
      "new,2021,pgd,jpeg,all,0,nearest,0,8,0.4,0.2,0.6,no\n"
      "new,2021,pgd,jpeg,perturbed,0,nearest,0,8,0.3,0.2,0.6,no\n"
      "new,2021,pgd,none,,0,linear,0,8,0.9,0.3,1,no\n"
      "old,2015,none,none,,0,nearest,0,8,0.1,0,0.2,no\n"
      "old,2015,pgd,none,,0,nearest,0,8,1,0.6,1,yes\n"
      "nobody,2010,pgd,none,,0,nearest,0,0,,,,no\n",
      "table.csv");
}

const Figure& named(const std::vector<Figure>& figures, const std::string& name) {
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const auto& one) { return one.name == name; });
  if (found == figures.end()) throw std::runtime_error("no figure " + name);
  return *found;
}

Words names_of(const std::vector<Figure>& figures) {
  Words names;
  for (const auto& figure : figures) names.push_back(figure.name);
  return names;
}

std::vector<Figure> figures_of_protection(const Table& table, const Json& config = Json::object()) {
  return figures_of(table_row("protection"), table, config);
}

TEST(Figures, AreThoseOfTheAxesThatVary) {
  const auto all = figures_of_protection(varied_table());
  EXPECT_EQ(names_of(all),
            (Words{"protection", "protection-clean_photos", "protection-transform", "protection-classifier"}));
  EXPECT_TRUE(figures_of_protection(Table{varied_table().columns, {}, {}}).empty());
}

TEST(Figures, DrawTheRowsInWhichNothingElseVaries) {
  const auto all = figures_of_protection(varied_table());
  const auto& first = named(all, "protection").spec;
  EXPECT_EQ(first["data"]["values"].size(), 4u) << "not the other classifier, clean photo, transform; nor nobody";
  const auto& transforms = named(all, "protection-transform").spec["data"]["values"];
  EXPECT_EQ(transforms.size(), 5u) << "of two kinds of photos that a transform is on, the first";
}

TEST(Figures, SayAtWhichValuesTheOtherColumnsStay) {
  const auto all = figures_of_protection(varied_table());
  EXPECT_EQ(named(all, "protection").title, "Recognisers by release (classifier nearest)") << "0 clean photos is usual";
  const auto budgets = parse_csv(
      "extractor,released,attack,budget,classifier,seed,people,protection,low,high,surrogate\n"
      "new,2021,none,,nearest,0,8,0.02,0,0.1,no\nnew,2021,pgd,4,nearest,0,8,0.1,0,0.2,no\n"
      "new,2021,pgd,8,nearest,0,8,0.5,0.3,0.7,no\n",
      "table.csv");
  const auto of_budgets = figures_of_protection(budgets);
  const auto& first = named(of_budgets, "protection");
  EXPECT_EQ(first.title, "Recognisers by release (budget 4)");
  EXPECT_EQ(first.spec["data"]["values"].size(), 2u) << "that budget, and where there is none";
  EXPECT_EQ(named(of_budgets, "protection-budget").spec["data"]["values"].size(), 2u) << "those that have a budget";
}

TEST(Figures, OfFalseAcceptRatesHaveALogarithmicAxis) {
  const auto table = parse_csv(
      "extractor,released,attack,classifier,far,people,n,missed,low,high\n"
      "new,2021,pgd,,0.0001,8,100,0.5,0.3,0.7\nnew,2021,pgd,,0.01,8,100,0.25,0.1,0.4\n",
      "det.csv");
  const auto spec = named(figures_of(table_row("det"), table, Json::object()), "det").spec;
  const auto& across = spec["spec"]["encoding"]["x"];
  EXPECT_EQ(across["scale"]["type"], "log");
  EXPECT_EQ(across["title"], "false accept rate");
  EXPECT_EQ(spec["data"]["values"][0]["far"], 0.0001);
}

TEST(Figures, HaveRecognisersByReleaseAndTheSurrogateMarked) {
  const auto spec = named(figures_of_protection(varied_table()), "protection").spec;
  EXPECT_EQ(spec["spec"]["encoding"]["y"]["sort"], Json({"old", "new"}));
  EXPECT_EQ(spec["facet"]["sort"], Json({"none", "pgd"}));
  for (const auto& one : spec["data"]["values"])
    EXPECT_EQ(one["optimised against"], one["extractor"] == "old" && one["attack"] == "pgd" ? "yes" : "no");
}

TEST(Figures, HaveTheTablesNumbers) {
  const auto values = named(figures_of_protection(varied_table()), "protection").spec["data"]["values"];
  const Json expected = {{"protection", 1.0}, {"extractor", "old"}, {"attack", "pgd"},           {"low", 0.6},
                         {"high", 1.0},       {"people", 8.0},      {"optimised against", "yes"}};
  EXPECT_NE(std::find(values.begin(), values.end(), expected), values.end()) << values.dump(1);
}

TEST(Figures, SayInWordsWhatTheyShow) {
  const auto figure = named(figures_of_protection(varied_table()), "protection");
  EXPECT_EQ(figure.alt,
            "Dots with intervals: misidentified probes, from 0.02 to 1.00; attack: none, pgd; extractor: old, new. The "
            "table has the numbers.");
  EXPECT_EQ(figure.spec["description"], figure.alt);
}

TEST(Figures, OfTrainingHaveTheStartBeforeAndTheTrainedAfter) {
  const Json config = {{"extractors", {{{"name", "old"}}, {{"name", "new"}, {"trained_from", "old"}}}}};
  const auto values =
      named(figures_of_protection(varied_table(), config), "protection-training").spec["data"]["values"];
  EXPECT_EQ(values.size(), 4u);
  for (const auto& one : values)
    if (one["attack"] == "pgd") {
      EXPECT_EQ(one["protection"], one["training"] == "before" ? 1.0 : 0.5);
    }
  const Json unknown_start = {{"extractors", {{{"name", "new"}, {"trained_from", "elsewhere"}}}}};
  EXPECT_EQ(figures_of_protection(varied_table(), unknown_start).size(), 4u);
}

TEST(Figures, OfEveryTableAreThereAndNamedOnce) {
  std::set<std::string> names;
  for (const auto& row : table_registry())
    for (const auto& wanted : row.figures) {
      Table table{{"released", "low", "high"}, {}, {}};
      for (const auto& name : {wanted.along, wanted.panel, wanted.colour, wanted.value, wanted.where, row.measured})
        if (!name.empty() && std::find(table.columns.begin(), table.columns.end(), name) == table.columns.end())
          table.columns.push_back(name);
      for (const auto* value : {"0.25", "0.5"}) {
        auto& cells = table.rows.emplace_back(table.columns.size(), value);
        if (!wanted.where.empty()) cells[column(table, wanted.where, "the table")] = wanted.equals;
      }
      const auto name = wanted.name.empty() ? row.name : concat(row.name, "-", wanted.name);
      const auto figure = named(figures_of(row, table, Json::object()), name);
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_FALSE(figure.title.empty() || figure.look.empty() || figure.alt.empty()) << name;
    }
}

}  // namespace
}  // namespace facepoison::testing
