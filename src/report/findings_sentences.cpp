// Sentences that tell whether a cloak helps. Each follows from the tables that it is made from.
#include <algorithm>
#include <cmath>

#include "facepoison/findings.hpp"
#include "facepoison/text.hpp"
#include "report/columns.hpp"
#include "report/findings.hpp"

namespace facepoison {
namespace {

using Row = std::vector<Cell>;
using RowList = std::vector<const Row*>;

constexpr auto plain = "as they are";

std::string sentences(const Words& all) {
  std::string text;
  for (const auto& one : all) text += (text.empty() ? "" : " ") + one;
  return text;
}

std::string percent(double share) { return concat(with_decimals(100 * share, 0), " %"); }

// The table `found`, with the queries of the sentences.
class FoundTable {
 public:
  explicit FoundTable(const Findings& findings)
      : all_(findings), columns_(findings.found), finders_(finders_of(findings)) {}

  RowList everybody() const { return rows(plain, "none", "0", false); }
  // Only recognisers that find the person by photos as they are: the others tell nothing about a cloak.
  RowList finders(const std::string& posted, const std::string& transform = "none",
                  const std::string& clean = "0") const {
    auto some = rows(posted, transform, clean, false);
    std::erase_if(some, [&](const Row* row) { return !has(finders_, name(*row)); });
    return some;
  }
  RowList pair(const std::string& posted) const { return rows(posted, "none", "0", true); }

  std::string word(const Row& row, const std::string& column) const { return columns_.word(row, column); }
  double number(const Row& row, const std::string& column) const { return columns_.number(row, column); }
  std::string name(const Row& row) const { return word(row, "recogniser"); }
  Words values(const std::string& column) const { return columns_.values(column); }
  long count(const Row& row) const { return std::lround(number(row, "found") * number(row, "n")); }
  std::string count_of(const Row& row) const { return concat(count(row), " of ", word(row, "n")); }
  std::size_t on_most(const RowList& some) const {
    return static_cast<std::size_t>(std::count_if(
        some.begin(), some.end(), [&](const Row* row) { return 2 * count(*row) > std::lround(number(*row, "n")); }));
  }

  // The same recogniser's row among others, or null.
  const Row* same(const Row& row, const RowList& others) const {
    const auto found = std::find_if(others.begin(), others.end(), [&](auto* one) { return name(*one) == name(row); });
    return found == others.end() ? nullptr : *found;
  }
  // Those that find most first.
  RowList sorted(RowList some) const {
    std::stable_sort(some.begin(), some.end(), [&](auto* a, auto* b) { return count(*a) > count(*b); });
    return some;
  }

 private:
  RowList rows(const std::string& posted, const std::string& transform, const std::string& clean, bool together) const {
    RowList some;
    for (const auto& row : all_.found.rows)
      if (word(row, "posted") == posted && word(row, "transform") == transform && word(row, "clean_photos") == clean &&
          (name(row) == all_.inquiry.together) == together)
        some.push_back(&row);
    return some;
  }

  const Findings& all_;
  Columns columns_;
  Words finders_;
};

// "w600k-mbf on 10 of 20 (as they are: 20)", for each of the rows.
std::string each_beside(const FoundTable& found, const RowList& rows, const RowList& clean) {
  Words parts;
  for (const auto* row : found.sorted(rows))
    parts.push_back(concat(found.name(*row), " on ", found.count_of(*row),
                           " (as they are: ", found.count(*found.same(*row, clean)), ")"));
  return in_words(parts);
}

std::string on_clean(const FoundTable& found, const Findings& findings) {
  const auto all = found.sorted(found.everybody()), finders = found.finders(plain);
  Words names;
  for (const auto* row : finders) names.push_back(found.name(*row));
  std::string says = concat("Among ", findings.inquiry.people, " people, ", finders.size(), " of ", all.size(),
                            " recognisers name you on more than half of your ", found.word(*all.front(), "n"),
                            " photos", names.empty() ? "" : concat(": ", in_words(names)), ".");
  if (finders.size() < all.size())
    says += concat(names.empty() ? " They name you less often" : " The others name you less often", "; the lowest is ",
                   found.name(*all.back()), ", on ", found.count_of(*all.back()), ".");
  return says + (names.empty() ? " So nothing can be said here about a cloak: a person who is not found without one "
                                 "cannot show what it does."
                               : " What follows is about those that find you.");
}

std::string on_cloaked(const FoundTable& found, const Findings& findings) {
  const auto clean = found.finders(plain);
  RowList fooled, others;
  for (const auto* row : found.finders(findings.inquiry.cloak))
    (found.word(*row, "surrogate") == "yes" ? fooled : others).push_back(row);
  Words parts;
  if (!fooled.empty())
    parts.push_back(concat(
        "The cloak ", findings.inquiry.cloak,
        " was made to fool some of these recognisers, which name you: ", each_beside(found, fooled, clean), "."));
  const auto before = fooled.empty()
                          ? "The cloak was not made for any of these recognisers. They name you: "
                          : "A site probably uses another one. Those that the cloak was not made for name you: ";
  if (!others.empty()) parts.push_back(concat(before, each_beside(found, others, clean), "."));
  return sentences(parts);
}

std::string in_short(const FoundTable& found, const Findings& findings) {
  const auto& cloak = findings.inquiry.cloak;
  const auto clean = found.finders(plain), cloaked = found.sorted(found.finders(cloak));
  const auto sum = [&](const RowList& rows) {
    long all = 0;
    for (const auto* row : rows) all += found.count(*row);
    return all;
  };
  std::string says = concat("With photos as they are, ", clean.size(), " of ", found.everybody().size(),
                            " recognisers name you on more than half of your photos. ");
  if (clean.empty() || cloaked.empty()) return says;
  says += concat("With every posted photo cloaked, ", found.on_most(cloaked), " of these ", clean.size(), " still do; ",
                 found.name(*cloaked.front()), " names you most often, on ", found.count_of(*cloaked.front()), ". ");
  return says + (sum(cloaked) < sum(clean) ? "The cloak makes it harder to find you. It does not hide you."
                                           : "Here the cloak does not make it harder to find you.");
}

std::string after_sites(const FoundTable& found, const std::string& cloak) {
  Words parts;
  for (const auto& transform : found.values("transform")) {
    if (transform == "none") continue;
    long least = 0, most = 0;
    for (const auto* row : found.finders(cloak, transform)) {
      const auto change = found.count(*row) - found.count(*found.same(*row, found.finders(cloak)));
      least = std::min(least, change), most = std::max(most, change);
    }
    Words changes;
    if (most > 0) changes.push_back(concat("on up to ", most, " photos more"));
    if (least < 0) changes.push_back(concat("on up to ", -least, " fewer"));
    parts.push_back(concat("after ", transform, " ", changes.empty() ? "on as many" : in_words(changes)));
  }
  return concat("Beside cloaked pictures that a site leaves as they are, a recogniser names you ", in_words(parts),
                ". More means that you are easier to find.");
}

std::string with_clean(const FoundTable& found, const std::string& cloak) {
  Words parts;
  for (const auto& clean : found.values("clean_photos")) {
    const auto rows = found.sorted(found.finders(cloak, "none", clean));
    if (clean == "0" || rows.empty()) continue;
    parts.push_back(concat("With ", clean, clean == "1" ? " uncloaked photo" : " uncloaked photos",
                           " among the posted ones, ", found.on_most(rows), " of ", rows.size(),
                           " recognisers name you on more than half of your photos; ", found.name(*rows.front()),
                           " most often, on ", found.count_of(*rows.front()), "."));
  }
  parts.emplace_back("Old photos count too, and so do those that friends post.");
  return sentences(parts);
}

std::string together(const FoundTable& found, const Findings& findings) {
  Words parts;
  for (const auto& posted : {std::string(plain), findings.inquiry.cloak})
    for (const auto* row : found.pair(posted))
      parts.push_back(concat("on ", found.count_of(*row),
                             posted == plain ? " photos as they are" : " when the posted photos are cloaked"));
  return concat("Each has one guess, and one right guess is enough. ", findings.inquiry.together, " name you ",
                in_words(parts), ".");
}

std::string of_trained(const FoundTable& found, const Findings& findings) {
  Words parts;
  for (const auto* row : found.everybody()) {
    if (!findings.inquiry.trained.count(found.name(*row))) continue;
    for (const auto& cloaked : findings.found.rows)
      if (found.name(cloaked) == found.name(*row) && found.word(cloaked, "posted") == findings.inquiry.cloak &&
          found.word(cloaked, "transform") == "none" && found.word(cloaked, "clean_photos") == "0")
        parts.push_back(concat(found.name(*row), " names you on ", found.count_of(cloaked),
                               " photos when the posted ones ", "are cloaked, and on ", found.count_of(*row),
                               " when they are not."));
  }
  return parts.empty() ? "No recogniser here was trained on cloaked photos, so this was not measured."
                       : sentences(parts);
}

std::string of_check(const FoundTable& found, const std::string& cloak) {
  Words parts;
  for (const auto& posted : {std::string(plain), cloak}) {
    double least = INFINITY, most = -INFINITY;
    for (const auto* row : found.finders(posted))
      if (const auto check = found.number(*row, "check"); !std::isnan(check))
        least = std::min(least, check), most = std::max(most, check);
    if (least > most) continue;
    const auto share = percent(least) == percent(most) ? percent(least) : concat(percent(least), " to ", percent(most));
    parts.push_back(concat(share, posted == plain ? " if the posted photo is as it is" : " if it is cloaked"));
  }
  if (parts.empty()) return "This was not measured: no recogniser here finds you by photos as they are.";
  return concat(
      "Such a check is set so strictly that it accepts 1 of 1,000 pairs of photos of different people. Of the ",
      "pairs of a posted photo of you and another one the recognisers accept ", in_words(parts),
      ". That a check turns you away does not keep a search in a crowd from finding you.");
}

std::string of_detectors(const Findings& findings) {
  const Columns columns(findings.flagged);
  Words all;
  for (const auto& detector : columns.values("detector")) {
    Words parts;
    for (const auto& row : findings.flagged.rows)
      if (columns.word(row, "detector") == detector)
        parts.push_back(concat(std::lround(columns.number(row, "flagged") * columns.number(row, "n")), " of ",
                               columns.word(row, "n"),
                               columns.word(row, "posted") == plain ? " photos as they are" : " cloaked photos"));
    all.push_back(concat("The detector ", detector, " says \"cloaked\" of ", in_words(parts), "."));
  }
  all.emplace_back("A site can refuse what its detector flags, or treat it differently.");
  return sentences(all);
}

std::string what_is_open(const FoundTable& found, const Findings& findings) {
  std::string says = "Other recognisers, other photos of you and larger crowds were not measured. ";
  if (findings.inquiry.is_crowd_rendered)
    says +=
        "The crowd was pictures of people who do not exist, and a real face is easier to find among them than among "
        "real people. ";
  const Columns columns(findings.crowd);
  const auto name = found.name(*found.sorted(found.everybody()).front());
  RowList curve;
  for (const auto& row : findings.crowd.rows)
    if (columns.word(row, "recogniser") == name && columns.word(row, "posted") == plain) curve.push_back(&row);
  const auto at = [&](const Row& row) {
    return concat(percent(columns.number(row, "found")), " among ", columns.word(row, "people"), " people");
  };
  if (curve.size() > 1)
    says += concat("With photos as they are ", name, " names you on ", at(*curve.front()),
                   " drawn from this crowd, and on ", at(*curve.back()),
                   ". Millions of people were not tried, so do not count on the crowd. ");
  return says + "What you post today can be searched by a newer recogniser later.";
}

}  // namespace

Words finders_of(const Findings& findings) {
  const Columns columns(findings.found);
  Words names;
  for (const auto& row : findings.found.rows)
    if (columns.word(row, "posted") == plain && columns.word(row, "recogniser") != findings.inquiry.together &&
        columns.number(row, "found") > 0.5)
      names.push_back(columns.word(row, "recogniser"));
  return names;
}

std::vector<Answered> answers_of(const Findings& findings) {
  const FoundTable found(findings);
  const auto& cloak = findings.inquiry.cloak;
  const bool can_judge = !found.finders(plain).empty();
  std::vector<Answered> all;
  if (!cloak.empty() && can_judge) all.push_back({"short", "In short", in_short(found, findings)});
  all.push_back({"as-they-are", "Am I found by my photos as they are?", on_clean(found, findings)});
  if (!cloak.empty() && can_judge) {
    all.push_back({"cloaked", "Am I found when every photo that I post is cloaked?", on_cloaked(found, findings)});
    if (found.values("transform").size() > 1)
      all.push_back({"sites", "Does it matter what a site does to the pictures?", after_sites(found, cloak)});
    if (found.values("clean_photos").size() > 1)
      all.push_back({"clean", "What if some photos of me are on the web without a cloak?", with_clean(found, cloak)});
  }
  if (!cloak.empty())
    all.push_back(
        {"trained", "What if a recogniser was trained on other people's cloaked photos?", of_trained(found, findings)});
  if (!findings.inquiry.together.empty())
    all.push_back({"together", "What if two recognisers are asked together?", together(found, findings)});
  all.push_back(
      {"check", "Would a strict comparison of two photos take me for the same person?", of_check(found, cloak)});
  if (!findings.flagged.rows.empty())
    all.push_back({"detector", "Would a detector notice the cloak?", of_detectors(findings)});
  all.push_back({"open", "What remains unknown?", what_is_open(found, findings)});
  return all;
}

}  // namespace facepoison
