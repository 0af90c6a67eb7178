#include "report/tables/registry.hpp"

#include "facepoison/error.hpp"

namespace facepoison {

namespace {

using enum FigureRow::Kind;

const std::vector<FigureRow> figures_of_protection = {
    {"", dots, "extractor", "attack", "", "Recognisers by release",
     "From top to bottom recognisers are newer. A dot near 1 means that the attack protects; a diamond marks a "
     "recogniser that the attack optimises against."},
    {"clean_photos", curve, "clean_photos", "extractor", "attack", "What clean photos leave",
     "Look at how fast the curves fall: each clean photo that a trainer finds takes protection away.", true},
    {"budget", curve, "budget", "extractor", "attack", "Protection against the budget",
     "From left to right an attack may change each pixel by more grey levels.", true},
    {"learned_from", dots, "learned_from", "attack", "extractor", "From how many photos a mask was learned",
     "A number: the mask is on photos that it never saw; \"seen\": on those that it was learned from.", true},
    {"distractors", curve, "distractors", "extractor", "probes", "The size of the gallery",
     "From left to right more people are in the gallery: does that protect?", true},
    {"transform", dots, "transform", "attack", "extractor", "What sites and trainers do to a photo",
     "A transform with dots left of those of \"none\", the first line, takes protection away.", true},
    {"filter", dots, "filter", "attack", "extractor", "With and without a cloak detector",
     "Compare the lines: does it matter that flagged photos are dropped?", true},
    {"enrolled", dots, "enrolled", "attack", "extractor", "Which photos of the person are in the gallery",
     "Compare the lines: does it matter which of the person's photos the trainer has?", true},
    {"together", dots, "together", "attack", "extractor", "Alone and together",
     "Compare the lines: does an attack protect more where many people use it?", true},
    {"probes", dots, "probes", "attack", "extractor", "What is asked",
     "Compare the lines: are new photos recognised when they are perturbed too?", true},
    {"classifier", dots, "classifier", "attack", "extractor", "Classifiers",
     "Compare the lines: does the classifier matter?", true},
};

const std::vector<FigureRow> figures_of_growth = {
    {"", curve, "round", "extractor", "attack", "A tracker who believes every answer",
     "The higher a curve ends, the more of the posted photos lead to each other.", false, "", "mode", "believed"},
    {"oracle", curve, "round", "extractor", "attack", "A tracker who knows which answers are right",
     "The difference from the tracker who believes every answer is what wrong answers lead to.", false, "", "mode",
     "oracle"},
};

const std::vector<FigureRow> figures_of_linkage = {
    {"", dots, "extractor", "attack", "", "Do posted photos of a person find each other?",
     "Of the photos nearest to a posted one, the share that is the person's: a dot near 1 means that they do.", false,
     "", "measure", "posted_in_posted"},
    {"clean", dots, "extractor", "attack", "", "Does a new, clean photo find the posted ones?",
     "Of the photos nearest to a clean one, the share that is the person's: a dot near 1 means that it does.", false,
     "", "measure", "clean_in_posted"},
};

const std::vector<FigureRow> figures_of_impersonation = {
    {"", log, "far", "extractor", "attack", "Do posted photos pass for another person?",
     "Compare with attack none, whose photos are clean: how often do they pass for the most similar other person?",
     false, "", "measure", "impersonation"},
    {"dodging", log, "far", "extractor", "attack", "Do posted photos fail to pass for their own person?",
     "From left to right a check accepts more pairs of different people (far), and fewer photos dodge it.", false, "",
     "measure", "dodging"},
};

}  // namespace

const std::vector<TableRow>& table_registry() {
  static const std::vector<TableRow> rows = {
      {"protection", "share of a protected person's probes that are misidentified",
       [](const fs::path& folder) { return table_of_run(folder, false); }, "protection", figures_of_protection},
      {"rank",
       "share of probes with the person among the first 1, 2, 5, 10, 50 names",
       rank,
       "share",
       {{"", curve, "first", "attack", "extractor", "Is the person among the first few?",
         "Look at how soon the curves rise: somebody who looks at the first ten names finds a person who is among "
         "them."}}},
      {"open-set",
       "missed, or found though not enrolled, at a threshold set on others",
       open_set,
       "share",
       {{"", dots, "extractor", "attack", "measure", "A trainer who may answer \"nobody I know\"",
         "fnir: the person is missed; fpir: the person is found without being there."}}},
      {"verification",
       "1:1: probe against posted photos; AUC and accepted shares",
       verification,
       "value",
       {{"", dots, "extractor", "attack", "measure", "Does a 1:1 check still pass?",
         "Far right, a new photo still matches the posted ones."}}},
      {"det",
       "1:1: missed genuine pairs at several false accept rates (DET)",
       det,
       "missed",
       {{"", log, "far", "attack", "extractor", "What a 1:1 check misses, the stricter it is",
         "From left to right a check accepts more pairs of different people (far, the false accept rate). A curve near "
         "the top misses nearly every pair of the protected person."}}},
      {"confusion",
       "who protected people are mistaken for, and who is mistaken for them",
       confusion,
       "",
       {{"", cells, "attack", "", "extractor", "How often the most frequent wrong name is given",
         "Dark cells: a person under this attack is nearly always taken for the same other one.", false,
         "most_share"}}},
      {"detection",
       "how well cloak detectors tell perturbed photos from clean ones",
       detection,
       "recall",
       {{"", cells, "attack", "transform", "detector", "Can perturbed photos be found?",
         "Dark cells: nearly every perturbed photo is flagged."},
        {"false_alarms", cells, "attack", "transform", "detector", "Clean photos that are flagged",
         "The darker, the more clean photos a detector flags.", false, "false_alarms"}}},
      {"displacement",
       "how far embeddings moved, beside the nearest other person",
       displacement,
       "beyond",
       {{"", dots, "extractor", "attack", "", "Photos that moved beyond the nearest other person",
         "A dot near 1 means that nearly every photo is now farther from its clean version than from another "
         "person."}}},
      {"growth", "how far a gallery grows that starts with one clean photo of the person", growth, "found",
       figures_of_growth},
      {"linkage",
       "whether clean and posted photos of a person find each other, and posted photos of different people too",
       linkage, "value", figures_of_linkage},
      {"impersonation", "1:1: posted photos that pass for another person, or not for their own", impersonation, "share",
       figures_of_impersonation},
      {"threshold",
       "the curve of a combination with a threshold",
       threshold,
       "protection",
       {{"", curve, "share", "attack", "combine", "The more often the robust recogniser is asked",
         "From left to right the robust recogniser answers more often."},
        {"others_error", curve, "share", "attack", "combine", "What that costs everybody else",
         "Do the errors on other people's photos grow?", false, "others_error"}}},
  };
  return rows;
}

const TableRow& table_row(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& row : table_registry()) {
    if (row.name == name) return row;
    known.push_back(row.name);
  }
  const auto near = nearest_name(name, known);
  throw Error(Exit::usage, concat("no table \"", name, "\"; ",
                                  near.empty() ? "there are " + listed(known) : "did you mean " + near + "?"));
}

Table table_with(const RunFolder& run, const std::vector<std::string>& more, const std::string& note) {
  Table table{key_columns, {}, run.notes};
  table.columns.insert(table.columns.end(), more.begin(), more.end());
  table.notes.push_back(note);
  return table;
}

}  // namespace facepoison
