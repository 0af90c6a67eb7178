#include "facepoison/figures.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/text.hpp"
#include "report/columns.hpp"

namespace facepoison {
namespace {

using Kind = FigureRow::Kind;
using Row = std::vector<Cell>;

// Okabe and Ito's colours, which colour-blind readers can distinguish, without yellow and black, which are hard to see
// on a light or on a dark page; and a shape for each.
const Json colours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888"};
const Json shapes = {"circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"};

// The title of a column in a figure.
std::string title_of(const std::string& column) {
  static const std::map<std::string, std::string> titles = {{"protection", "misidentified probes"},
                                                            {"clean_photos", "clean photos among the posted ones"},
                                                            {"budget", "budget, grey levels (L∞)"},
                                                            {"distractors", "other people in the gallery"},
                                                            {"first", "among the first …"},
                                                            {"recall", "flagged perturbed photos"},
                                                            {"others_error", "misidentified probes of others"},
                                                            {"far", "false accept rate"},
                                                            {"found", "photos with the right name"},
                                                            {"missed", "missed genuine pairs"}};
  const auto found = titles.find(column);
  return found == titles.end() ? column : found->second;
}

// The columns whose values a figure tells apart.
Words told_apart_by(const FigureRow& figure) {
  return {"extractor", "attack", figure.along, figure.panel, figure.colour};
}

// The rows that a figure draws.
std::vector<const Row*> drawn_rows(const FigureRow& figure, const Table& table, const std::string& value) {
  auto rows = rows_that_stay(table, told_apart_by(figure));
  const Columns columns(table);
  // An axis that has no effect in a row has no place for it.
  std::erase_if(rows, [&](const auto* row) {
    const bool is_other = !figure.where.empty() && columns.word(*row, figure.where) != figure.equals;
    return is_other || std::isnan(columns.number(*row, value)) || columns.word(*row, figure.along).empty();
  });
  return rows;
}

// The values of a column in the order in which they are drawn: recognisers by release, others as in the table.
Words order_of(const std::string& name, const std::vector<const Row*>& rows, const Columns& columns) {
  std::vector<std::pair<std::string, std::string>> values;  // release or "", value
  for (const auto* row : rows) {
    std::pair one{name == "extractor" ? columns.word(*row, "released") : "", columns.word(*row, name)};
    if (std::find(values.begin(), values.end(), one) == values.end()) values.push_back(std::move(one));
  }
  std::stable_sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Words names;
  for (auto& [release, one] : values) names.push_back(std::move(one));
  return names;
}

// A channel of colours or of shapes, one for each value of a column. Channels of one column share a legend.
Json channel(const std::string& column, const Json& values, const Json& range) {
  return {{"field", column}, {"type", "nominal"}, {"title", column}, {"scale", {{"domain", values}, {"range", range}}}};
}

// Text has the colour of the text around the figure, so that it is readable on a light and on a dark page.
Json style() {
  const auto ink = "currentColor", line = "#88888855";
  return {{"font", "Helvetica, Arial, sans-serif"},
          {"background", nullptr},
          {"view", {{"stroke", nullptr}}},
          {"header", {{"labelColor", ink}}},
          {"axis",
           {{"labelLimit", 220},
            {"labelColor", ink},
            {"titleColor", ink},
            {"titleFontWeight", "normal"},
            {"gridColor", line},
            {"domainColor", line},
            {"tickColor", line}}},
          {"legend",
           {{"orient", "top"},
            {"columns", 3},
            {"labelLimit", 220},
            {"symbolOpacity", 1},
            {"labelColor", ink},
            {"titleColor", ink},
            {"titleFontWeight", "normal"}}}};
}

// Makes the specification of a figure of any kind.
class Drawing {
 public:
  Drawing(const FigureRow& figure, const Table& table, std::string value)
      : figure_(figure),
        columns_(table),
        value_(std::move(value)),
        has_interval_(figure.value.empty() && columns_.has("low")),
        rows_(drawn_rows(figure, table, value_)) {}

  bool is_empty() const {
    return rows_.empty() || (figure_.needs_variety && order_of(figure_.along, rows_, columns_).size() < 2);
  }
  const std::vector<const Row*>& rows() const { return rows_; }
  Words order(const std::string& name) const { return order_of(name, rows_, columns_); }

  Json spec() const {
    Json view = figure_.kind == Kind::dots ? dots() : figure_.kind == Kind::cells ? cells() : curve();
    Json all = {{"$schema", "https://vega.github.io/schema/vega-lite/v6.json"}, {"data", {{"values", values()}}}};
    if (figure_.panel.empty()) {
      all.update(view);
    } else {
      all["facet"] = {{"field", figure_.panel},
                      {"type", "nominal"},
                      {"sort", order(figure_.panel)},
                      {"header", {{"title", nullptr}, {"labelFontWeight", "bold"}, {"labelLimit", 260}}}};
      all["columns"] = order(figure_.panel).size() == 4 ? 2 : 3;
      all["spec"] = std::move(view);
    }
    all["spacing"] = 12;
    // Keeps labels inside the picture if a reader's font is wider than the one that they were measured in.
    all["padding"] = {{"left", 24}, {"right", 12}, {"top", 5}, {"bottom", 5}};
    all["config"] = style();
    return all;
  }

 private:
  Json values() const {
    Json all = Json::array();
    const bool marks_surrogates = columns_.has("surrogate") && figure_.kind != Kind::cells;
    for (const auto* row : rows_) {
      Json one = {{value_, columns_.number(*row, value_)}};
      for (const auto& name : {figure_.along, figure_.panel, figure_.colour})
        if (!name.empty()) one[name] = columns_.word(*row, name);
      for (const auto* name : {"low", "high", "people"})
        if (has_interval_ && columns_.has(name)) one[name] = columns_.number(*row, name);
      if (figure_.kind == Kind::log) one[figure_.along] = columns_.number(*row, figure_.along);
      if (marks_surrogates) one["optimised against"] = columns_.word(*row, "surrogate");
      all.push_back(std::move(one));
    }
    return all;
  }

  Json tooltip() const {
    Json all = Json::array();
    for (const auto& name : {figure_.panel, figure_.along, figure_.colour})
      if (!name.empty()) all.push_back({{"field", name}, {"type", "nominal"}});
    for (const auto& name : {value_, std::string("low"), std::string("high")})
      if (name == value_ || has_interval_)
        all.push_back({{"field", name}, {"type", "quantitative"}, {"format", ".3f"}});
    return all;
  }

  Json quantity() const {
    return {{"field", value_},
            {"type", "quantitative"},
            {"title", title_of(value_)},
            {"scale", has_interval_ ? Json{{"domain", {0, 1}}} : Json{{"zero", true}}},
            {"axis", {{"format", has_interval_ ? ".1f" : ".2f"}, {"tickCount", 5}}}};
  }

  // Colour and shape, with one legend for both.
  Json told_apart() const {
    const auto names = order(figure_.colour);
    Json range = Json::array(), forms = Json::array();
    for (std::size_t i = 0; i < names.size(); ++i) {
      range.push_back(colours[i % colours.size()]);
      forms.push_back(shapes[i % shapes.size()]);
    }
    return {{"color", channel(figure_.colour, names, range)}, {"shape", channel(figure_.colour, names, forms)}};
  }

  // Marks whether the attack optimises against the recogniser.
  Json of_surrogates() const {
    if (!columns_.has("surrogate")) return Json::object();
    const Json answers = {"no", "yes"};
    return {{"shape", channel("optimised against", answers, {"circle", "diamond"})},
            {"color", channel("optimised against", answers, {colours[0], colours[1]})}};
  }

  Json dots() const {
    Json line = {{"field", figure_.along}, {"type", "nominal"}, {"sort", order(figure_.along)}, {"title", nullptr}};
    Json shared = {{"y", line}};
    Json marks = figure_.colour.empty() ? of_surrogates() : told_apart();
    if (!figure_.colour.empty())
      shared["yOffset"] = {{"field", figure_.colour}, {"type", "nominal"}, {"sort", order(figure_.colour)}};
    if (marks.contains("color")) shared["color"] = marks["color"];
    Json layers = Json::array();
    if (has_interval_)
      layers.push_back({{"mark", {{"type", "rule"}, {"strokeWidth", 2}, {"opacity", 0.6}}},
                        {"encoding", {{"x", quantity_of("low")}, {"x2", {{"field", "high"}}}}}});
    Json point = {{"x", quantity()}, {"tooltip", tooltip()}};
    if (marks.contains("shape")) point["shape"] = marks["shape"];
    layers.push_back(
        {{"mark", {{"type", "point"}, {"filled", true}, {"size", 55}, {"opacity", 1}}}, {"encoding", point}});
    return {{"width", 210},
            {"height", {{"step", figure_.colour.empty() ? 18 : 10}}},
            {"encoding", shared},
            {"layer", layers}};
  }

  Json curve() const {
    Json across = {{"field", figure_.along}, {"type", "ordinal"}, {"sort", order(figure_.along)}};
    Json axis = {{"labelAngle", 0}};
    if (figure_.kind == Kind::log) {
      across = {{"field", figure_.along}, {"type", "quantitative"}, {"scale", {{"type", "log"}}}};
      axis.update({{"format", "~f"}, {"tickCount", 3}, {"grid", false}});
    }
    across["title"] = figure_.along == "share" ? "share of probes asked twice" : title_of(figure_.along);
    across["axis"] = axis;
    Json shared = {{"x", across}};
    const Json marks = figure_.colour.empty() ? Json::object() : told_apart();
    if (marks.contains("color")) shared["color"] = marks["color"];
    Json layers = Json::array();
    if (has_interval_)
      layers.push_back({{"mark", {{"type", "area"}, {"opacity", 0.15}}},
                        {"encoding", {{"y", quantity_of("low")}, {"y2", {{"field", "high"}}}}}});
    layers.push_back({{"mark", {{"type", "line"}, {"strokeWidth", 2}}}, {"encoding", {{"y", quantity()}}}});
    Json point = {{"y", quantity()}, {"tooltip", tooltip()}};
    if (marks.contains("shape")) point["shape"] = marks["shape"];
    layers.push_back({{"mark", {{"type", "point"}, {"filled", true}, {"size", 45}}}, {"encoding", point}});
    return {{"width", 210}, {"height", 150}, {"encoding", shared}, {"layer", layers}};
  }

  // Each cell shows its number, so the colour only helps.
  Json cells() const {
    const auto nominal = [&](const std::string& name) {
      return Json{{"field", name}, {"type", "nominal"}, {"sort", order(name)}, {"title", nullptr}};
    };
    Json across = nominal(figure_.along);
    across["axis"] = {{"labelAngle", -35}};
    const Json shade = {{"field", value_},
                        {"type", "quantitative"},
                        {"legend", nullptr},
                        {"scale", {{"domain", {0, 1}}, {"range", {"#f0f4f8", "#0072B2"}}}}};
    const Json ink = {{"condition", {{"test", concat("datum['", value_, "'] > 0.5")}, {"value", "#ffffff"}}},
                      {"value", "#111111"}};
    Json layers = Json::array();
    layers.push_back({{"mark", "rect"}, {"encoding", {{"color", shade}, {"tooltip", tooltip()}}}});
    layers.push_back(
        {{"mark", {{"type", "text"}, {"fontSize", 11}}},
         {"encoding", {{"text", {{"field", value_}, {"type", "quantitative"}, {"format", ".2f"}}}, {"color", ink}}}});
    return {{"width", {{"step", 52}}},
            {"height", {{"step", 22}}},
            {"encoding", {{"x", across}, {"y", nominal(figure_.colour)}}},
            {"layer", layers}};
  }

  Json quantity_of(const std::string& bound) const {
    Json quantity_there = quantity();
    quantity_there["field"] = bound;
    return quantity_there;
  }

  const FigureRow& figure_;
  Columns columns_;
  std::string value_;
  bool has_interval_;
  std::vector<const Row*> rows_;
};

// Describes a figure in words: its kind, its axes and colours, and the range of its values.
std::string alternative(const FigureRow& figure, const Drawing& drawing, const Columns& columns,
                        const std::string& value) {
  static const std::map<Kind, std::string> kinds = {{Kind::dots, "Dots with intervals"},
                                                    {Kind::curve, "Curves"},
                                                    {Kind::log, "Curves"},
                                                    {Kind::cells, "A grid of numbers"}};
  std::string of;
  for (const auto& name : {figure.panel, figure.along, figure.colour})
    if (!name.empty()) of += concat("; ", name, ": ", listed(drawing.order(name), 6));
  double least = INFINITY, most = -INFINITY;
  for (const auto* row : drawing.rows()) {
    least = std::min(least, columns.number(*row, value));
    most = std::max(most, columns.number(*row, value));
  }
  return concat(kinds.at(figure.kind), ": ", title_of(value), ", from ", with_decimals(least, 2), " to ",
                with_decimals(most, 2), of, ". The table has the numbers.");
}

// Adds a figure of the table, if the table has the figure's columns.
void add_figure(std::vector<Figure>& figures, const FigureRow& figure, const std::string& name, const Table& table,
                const std::string& measured) {
  const Columns columns(table);
  const auto& value = figure.value.empty() ? measured : figure.value;
  for (const auto& needed : {value, figure.along, figure.panel, figure.colour, figure.where})
    if (!needed.empty() && !columns.has(needed)) return;
  const Drawing drawing(figure, table, value);
  if (drawing.is_empty()) return;
  const auto stays = where_it_stays(table, told_apart_by(figure));
  Figure made{figure.name.empty() ? name : concat(name, "-", figure.name),
              stays.empty() ? figure.title : concat(figure.title, " (", stays, ")"), figure.look,
              alternative(figure, drawing, columns, value), drawing.spec()};
  made.spec["description"] = made.alt;
  figures.push_back(std::move(made));
}

// For each recogniser that was trained from another one in the table: the other's rows as "before", its own as "after".
Table before_and_after(const Table& table, const Json& config) {
  Table out{{"trained", "training", "attack", "protection", "low", "high", "people"}, {}, {}};
  const Columns columns(table);
  const auto rows = rows_that_stay(table, {"extractor", "attack"});
  const auto add = [&](const std::string& trained, const char* when, const std::string& extractor) {
    for (const auto* row : rows)
      if (columns.word(*row, "extractor") == extractor)
        out.add({trained, when, columns.word(*row, "attack"), columns.number(*row, "protection"),
                 columns.number(*row, "low"), columns.number(*row, "high"), columns.number(*row, "people")});
  };
  for (const auto& one : config.value("extractors", Json::array())) {
    const auto name = one.value("name", ""), start = one.value("trained_from", "");
    if (start.empty() || !has(columns.values("extractor"), start)) continue;
    const auto trained = concat(name, ", from ", start);
    add(trained, "before", start);
    add(trained, "after", name);
  }
  return out;
}

}  // namespace

std::vector<Figure> figures_of(const TableRow& row, const Table& table, const Json& config) {
  std::vector<Figure> figures;
  for (const auto& figure : row.figures) add_figure(figures, figure, row.name, table, row.measured);
  if (row.name == "protection")
    add_figure(figures,
               {"training", Kind::curve, "training", "trained", "attack", "Before and after training",
                "Look at how far the lines fall: training on other people's perturbed photos takes protection away."},
               row.name, before_and_after(table, config), row.measured);
  return figures;
}

}  // namespace facepoison
