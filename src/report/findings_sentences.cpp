// Sentences for somebody who asks whether a cloak helps: each is true of the tables that it was made from.
#include <algorithm>
#include <cmath>
#include <functional>

#include "facepoison/findings.hpp"
#include "facepoison/text.hpp"
#include "report/columns.hpp"

namespace facepoison {
namespace {

using Row = std::vector<Cell>;
using RowList = std::vector<const Row*>;

std::string sentences(const Words& all) {
  std::string text;
  for (const auto& one : all) text += (text.empty() ? "" : " ") + one;
  return text;
}

std::string percent(double share) { return concat(with_decimals(100 * share, 0), " %"); }

// The table `found`, as sentences ask of it.
class FoundTable {
 public:
  explicit FoundTable(const Findings& findings) : all_(findings), columns_(findings.found) {}

  // Of recognisers alone, or of the two that are asked together.
  RowList rows(const std::string& posted, const std::string& transform, const std::string& clean,
               bool together = false) const {
    RowList some;
    for (const auto& row : all_.found.rows)
      if (word(row, "posted") == posted && word(row, "transform") == transform && word(row, "clean_photos") == clean &&
          (name(row) == all_.inquiry.together) == together)
        some.push_back(&row);
    return some;
  }
  RowList as_they_are() const { return rows("as they are", "none", "0"); }
  RowList cloaked() const { return all_.inquiry.cloak.empty() ? RowList() : rows(all_.inquiry.cloak, "none", "0"); }

  std::string word(const Row& row, const std::string& name) const { return columns_.word(row, name); }
  double number(const Row& row, const std::string& name) const { return columns_.number(row, name); }
  std::string name(const Row& row) const { return word(row, "recogniser"); }
  Words values(const std::string& column) const { return columns_.values(column); }
  long count(const Row& row) const { return std::lround(number(row, "found") * number(row, "n")); }
  bool on_most(const Row& row) const { return 2 * count(row) > std::lround(number(row, "n")); }
  std::string count_of(const Row& row) const { return concat(count(row), " of ", word(row, "n")); }

  const Row& best(const RowList& some) const {
    return *some[extreme(some, [](double a, double b) { return a > b; })];
  }
  const Row& worst(const RowList& some) const {
    return *some[extreme(some, [](double a, double b) { return a < b; })];
  }

  Words names_where(const RowList& some, const std::function<bool(const Row&)>& holds) const {
    Words names;
    for (const auto* row : some)
      if (holds(*row)) names.push_back(name(*row));
    return names;
  }

  // "3 (small-clip) to 20 (dlib) of 20": on how many photos recognisers name the person.
  std::string range(const RowList& some) const {
    const Row &most = best(some), &least = worst(some);
    if (some.size() == 1) return concat(name(most), " names you on ", count_of(most), " photos");
    if (count(most) == count(least))
      return concat("each of ", some.size(), " recognisers names you on ", count_of(most), " photos");
    return concat(some.size(), " recognisers name you on ", count(least), " (", name(least), ") to ", count(most), " (",
                  name(most), ") of ", word(most, "n"), " photos");
  }

 private:
  template <class Better>
  std::size_t extreme(const RowList& some, const Better& better) const {
    std::size_t chosen = 0;
    for (std::size_t i = 1; i < some.size(); ++i)
      if (better(number(*some[i], "found"), number(*some[chosen], "found"))) chosen = i;
    return chosen;
  }

  const Findings& all_;
  Columns columns_;
};

std::string on_clean(const FoundTable& found, const Findings& findings) {
  const auto rows = found.as_they_are();
  const auto most = found.names_where(rows, [&](const Row& row) { return found.on_most(row); });
  const auto says = concat("Among ", findings.inquiry.people, " people, ", found.range(rows), ". ");
  if (most.empty())
    return says +
           "None of them names you on more than half of your photos as they are, so whether a cloak adds anything "
           "cannot "
           "be seen here.";
  return concat(says, "On more than half of them you are named by ", in_words(most), ".");
}

std::string on_cloaked(const FoundTable& found, const Findings& findings) {
  const auto rows = found.cloaked(), before = found.as_they_are();
  const auto most = found.names_where(rows, [&](const Row& row) { return found.on_most(row); });
  std::string says = concat("With all posted photos cloaked by ", findings.inquiry.cloak, ", ", found.range(rows),
                            "; with photos as they are it is ", found.count(found.worst(before)), " to ",
                            found.count(found.best(before)), ". ");
  says += most.empty() ? "No recogniser here names you on more than half. "
                       : concat("On more than half of them you are named by ", in_words(most), ". ");
  if (const auto& against = findings.inquiry.surrogates; !against.empty())
    says += concat("The cloak was optimised against ", in_words(against),
                   ". What it does to other recognisers matters more: a site uses others. ");
  return says + "One recogniser that names you is enough to find you.";
}

std::string after_sites(const FoundTable& found, const std::string& cloak) {
  Words parts;
  for (const auto& transform : found.values("transform")) {
    if (transform == "none") continue;
    long largest = 0;
    for (const auto* row : found.rows(cloak, transform, "0"))
      for (const auto* plain : found.cloaked())
        if (found.name(*plain) == found.name(*row))
          largest = std::max(largest, std::abs(found.count(*row) - found.count(*plain)));
    parts.push_back(concat("after ", transform, " by at most ", largest));
  }
  return concat("The number of photos on which a recogniser names you changes ", in_words(parts), ".");
}

std::string with_clean(const FoundTable& found, const std::string& cloak) {
  Words parts;
  for (const auto& clean : found.values("clean_photos"))
    if (const auto rows = found.rows(cloak, "none", clean); clean != "0" && !rows.empty())
      parts.push_back(concat("With ", clean, clean == "1" ? " clean photo" : " clean photos",
                             " among the posted ones, ", found.range(rows), "."));
  return sentences(parts);
}

std::string together(const FoundTable& found, const Findings& findings) {
  Words parts;
  for (const auto& posted : {findings.inquiry.cloak, std::string("as they are")})
    for (const auto* row : found.rows(posted, "none", "0", true))
      parts.push_back(
          concat("on ", found.count_of(*row), posted == "as they are" ? " photos as they are" : " cloaked photos"));
  return concat("Asked together, with one guess each, ", findings.inquiry.together, " names you ", in_words(parts),
                ".");
}

std::string of_trained(const FoundTable& found, const Findings& findings) {
  Words parts;
  for (const auto* row : found.cloaked()) {
    const auto trained = findings.inquiry.trained.find(found.name(*row));
    if (trained == findings.inquiry.trained.end()) continue;
    parts.push_back(concat("The recogniser ", trained->first, " was trained on other people's photos, perturbed by ",
                           trained->second, ": it names you on ", found.count_of(*row), " cloaked photos."));
  }
  return parts.empty() ? "No recogniser here was trained on cloaked photos, so this was not measured."
                       : sentences(parts);
}

std::string of_check(const FoundTable& found) {
  Words parts;
  for (const auto& rows : {found.as_they_are(), found.cloaked()}) {
    double least = INFINITY, most = -INFINITY;
    for (const auto* row : rows)
      if (const auto check = found.number(*row, "check"); !std::isnan(check))
        least = std::min(least, check), most = std::max(most, check);
    if (least > most) continue;
    const auto share = percent(least) == percent(most) ? percent(least) : concat(percent(least), " to ", percent(most));
    parts.push_back(concat(share, parts.empty() ? " with photos as they are" : " with cloaked ones"));
  }
  return concat("A check that lets a thousandth of the pairs of different people pass accepts this share of the pairs ",
                "of a photo of you and a posted one, by recogniser: ", in_words(parts), ".");
}

std::string of_detectors(const Findings& findings) {
  const Columns columns(findings.flagged);
  Words all;
  for (const auto& detector : columns.values("detector")) {
    Words parts;
    for (const auto& row : findings.flagged.rows)
      if (columns.word(row, "detector") == detector)
        parts.push_back(concat(
            std::lround(columns.number(row, "flagged") * columns.number(row, "n")), " of ", columns.word(row, "n"),
            columns.word(row, "posted") == "as they are" ? " photos as they are" : " cloaked photos"));
    all.push_back(concat("The detector ", detector, " flags ", in_words(parts), "."));
  }
  return sentences(all);
}

std::string what_is_open(const FoundTable& found, const Findings& findings) {
  const auto& name = found.name(found.best(found.as_they_are()));
  const Columns columns(findings.crowd);
  std::vector<const Row*> curve;
  for (const auto& row : findings.crowd.rows)
    if (columns.word(row, "recogniser") == name && columns.word(row, "posted") == "as they are") curve.push_back(&row);
  const auto at = [&](const Row& row) {
    return concat(percent(columns.number(row, "found")), " of the photos among ", columns.word(row, "people"),
                  " people");
  };
  std::string says = "Other recognisers, other photos of you and larger crowds were not measured. ";
  if (curve.size() > 1)
    says += concat("With photos as they are the recogniser ", name, " names you on ", at(*curve.front()),
                   " drawn from this crowd and on ", at(*curve.back()), "; in a larger crowd it is as many or fewer. ");
  return says + "A site that finds nobody today can run a newer recogniser on the same photos later.";
}

}  // namespace

std::vector<Answered> answers_of(const Findings& findings) {
  const FoundTable found(findings);
  const auto& cloak = findings.inquiry.cloak;
  std::vector<Answered> all;
  all.push_back({"as-they-are", "Am I found by my photos as they are?", on_clean(found, findings)});
  if (!cloak.empty()) {
    all.push_back({"cloaked", "Am I found when every photo that I post is cloaked?", on_cloaked(found, findings)});
    if (found.values("transform").size() > 1)
      all.push_back({"sites", "Does it matter what a site does to the pictures?", after_sites(found, cloak)});
    if (found.values("clean_photos").size() > 1)
      all.push_back({"clean", "What if some photos of me are on the web without a cloak?", with_clean(found, cloak)});
    all.push_back({"trained", "What if the recogniser was trained on cloaked photos?", of_trained(found, findings)});
  }
  if (!findings.inquiry.together.empty())
    all.push_back({"together", "What if two recognisers are asked together?", together(found, findings)});
  all.push_back({"check", "Would a strict 1:1 check, as at a border, accept me?", of_check(found)});
  if (!findings.flagged.rows.empty())
    all.push_back({"detector", "Would a detector notice the cloak?", of_detectors(findings)});
  all.push_back({"open", "What remains unknown?", what_is_open(found, findings)});
  return all;
}

}  // namespace facepoison
