#include "commands/commands.hpp"
#include "facepoison/figures.hpp"
#include "facepoison/home.hpp"
#include "facepoison/log.hpp"
#include "facepoison/page.hpp"

namespace facepoison {
namespace {

struct ReportOptions {
  std::vector<fs::path> runs;
  fs::path output, figures, pictures;
  std::string to;
};

void write_figures(const KeptRun& run, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [row, table] : run.tables)
    for (const auto& figure : figures_of(*row, table, run.config))
      write_file(folder / (figure.name + ".vl.json"), figure.spec.dump(1) + "\n");
}

}  // namespace

Action report_command(CLI::App& app) {
  const auto o = std::make_shared<ReportOptions>();
  app.add_option("RUN", o->runs, "run folders of eval; the page shows several side by side")->required();
  auto* page = app.add_option("-o,--output", o->output, "an HTML page with a summary, figures and tables");
  auto* figures = app.add_option(
      "--figures", o->figures,
      "a folder for the figures of one run as Vega-Lite specifications, NAME.vl.json, which scripts/figures.py draws");
  app.add_option("--to", o->to, "paper: compare the first run with the published figures (data/paper.json) on the page")
      ->check(CLI::IsMember({"paper"}))
      ->needs(page);
  app.add_option("--pictures", o->pictures, "a picture made by facepoison show, PNG or JPEG, for the page")
      ->needs(page);
  return [o, page, figures] {
    if (!*page && !*figures) throw Error(Exit::usage, "report needs -o, --figures, or both");
    if (*figures && o->runs.size() > 1) throw Error(Exit::usage, "--figures: expected one run, found several");
    if (*page && o->output.extension() != ".html")
      throw Error(Exit::usage, concat("-o ", o->output.string(), ": expected a name that ends in .html"));
    check_output(o->output, o->runs);
    PageContent content;
    std::set<std::string> names;
    for (const auto& folder : o->runs) {
      content.runs.push_back(read_kept_run(folder));
      auto& name = content.runs.back().name;
      while (!names.insert(name).second) name += "'";
    }
    if (*figures) write_figures(content.runs.front(), o->figures);
    if (*page) {
      if (!o->to.empty()) content.paper = compare_to_paper(o->runs.front(), project_home() / "data" / "paper.json");
      if (!o->pictures.empty()) content.pictures = read_file(o->pictures);
      write_file(o->output, page_of(content, project_home()));
    }
    for (const auto& run : content.runs)
      for (const auto& sentence : run.sentences()) log_info(sentence);
    return Exit::ok;
  };
}

}  // namespace facepoison
