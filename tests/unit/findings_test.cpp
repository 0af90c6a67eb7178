// The answers to a user about their own photos, on invented tables and run folders.
#include "facepoison/findings.hpp"

#include <cmath>
#include <regex>

#include "facepoison/random.hpp"
#include "facepoison/stats.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

TEST(Wilson, IsWhatScipyGives) {  // binomtest(k, n).proportion_ci(method="wilson") of SciPy
  const auto nine = wilson(0.9, 10), none = wilson(0, 20);
  EXPECT_NEAR(nine.low, 0.5958499732047615, 1e-12);
  EXPECT_NEAR(nine.high, 0.9821237869049271, 1e-12);
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.16112515805281935, 1e-12);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

// A table as findings_of() makes them, of drawn numbers.
class Drawn {
 public:
  explicit Drawn(Seed seed) : stream_(seed, "findings") {
    findings.inquiry = {below(3) > 0 ? "pgd" : "", "", {"net-s"}, 2 + below(200), below(2) > 0, {}, {}};
    findings.found = {{"recogniser", "released", "posted", "transform", "clean_photos", "n", "found", "low", "high",
                       "place", "check", "surrogate"},
                      {},
                      {}};
    findings.crowd = {{"recogniser", "posted", "people", "found"}, {}, {}};
    findings.flagged = {{"detector", "posted", "n", "flagged", "low", "high"}, {}, {}};
    n_ = static_cast<std::int64_t>(6 + below(25));
    const auto recognisers = 1 + below(5);
    for (std::size_t r = 0; r < recognisers; ++r) names.push_back(concat("net-", static_cast<char>('a' + r)));
    if (below(2) > 0) findings.inquiry.trained[names.back()] = "noise";
    add("as they are", "none", "0");
    if (!findings.inquiry.cloak.empty()) {
      add("pgd", "none", "0");
      for (const auto* transform : {"jpeg-75", "half"})
        if (below(2) > 0) add("pgd", transform, "0");
      for (const auto* clean : {"1", "5"})
        if (below(2) > 0) add("pgd", "none", clean);
      for (std::size_t d = 0; d < below(3); ++d)
        for (const auto* posted : {"as they are", "pgd"})
          findings.flagged.add({concat("detector-", d), posted, n_, share(), 0.0, 1.0});
    }
    if (below(2) > 0) {
      findings.inquiry.together = "both";
      findings.found.add(
          {"both", "2020", "as they are", "none", "0", n_, share(), 0.0, 1.0, std::int64_t{1}, unknown, "no"});
    }
    for (const auto& name : names)
      for (const std::int64_t people : {2, 10})
        findings.crowd.add({name, "as they are", people, people == 2 ? 1.0 : 0.5});
  }

  long count(const std::string& name, const std::string& posted, const std::string& transform = "none",
             const std::string& clean = "0") const {
    for (const auto& row : findings.found.rows)
      if (testing::named(findings.found, row, "recogniser") == name &&
          testing::named(findings.found, row, "posted") == posted &&
          testing::named(findings.found, row, "transform") == transform &&
          testing::named(findings.found, row, "clean_photos") == clean)
        return std::lround(std::get<double>(row[6]) * static_cast<double>(n_));
    ADD_FAILURE() << name << " " << posted << " " << transform << " " << clean;
    return -1;
  }
  bool on_most(long count) const { return 2 * count > n_; }
  long n() const { return n_; }

  Findings findings;
  std::vector<std::string> names;

 private:
  std::size_t below(std::size_t n) { return stream_.below(n); }
  double share() { return static_cast<double>(below(static_cast<std::size_t>(n_) + 1)) / static_cast<double>(n_); }
  void add(const std::string& posted, const std::string& transform, const std::string& clean) {
    for (const auto& name : names)
      findings.found.add({name, "2020", posted, transform, clean, n_, share(), 0.0, 1.0, 1.0, share(),
                          posted == "pgd" && name == "net-a" ? "yes" : "no"});
  }
  Stream stream_;
  std::int64_t n_ = 0;
};

std::string answer(const Findings& findings, const std::string& id) {
  for (const auto& one : answers_of(findings))
    if (one.id == id) return one.answer;
  return "";
}

// The numbers that a pattern captures in a text, for each match.
std::vector<std::vector<std::string>> captured(const std::string& text, const std::string& pattern) {
  std::vector<std::vector<std::string>> all;
  const std::regex form(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), form), end; at != end; ++at)
    all.emplace_back(at->begin() + 1, at->end());
  return all;
}

// The drawn recognisers that find somebody by uncloaked photos.
std::vector<std::string> finders(const Drawn& drawn) {
  std::vector<std::string> names;
  for (const auto& name : drawn.names)
    if (drawn.on_most(drawn.count(name, "as they are"))) names.push_back(name);
  return names;
}

void expect_clean_answer(const Drawn& drawn) {
  const auto says = answer(drawn.findings, "as-they-are");
  const auto numbers = captured(says,
                                "^Among (\\d+) people, (\\d+) of (\\d+) recognisers name you on more than half of "
                                "your (\\d+) photos(:[^.]*)?\\.");
  ASSERT_EQ(numbers.size(), 1u) << says;
  EXPECT_EQ(numbers[0], (std::vector<std::string>{
                            std::to_string(drawn.findings.inquiry.people), std::to_string(finders(drawn).size()),
                            std::to_string(drawn.names.size()), std::to_string(drawn.n()), numbers[0][4]}));
  for (const auto& name : drawn.names)
    EXPECT_EQ(contains(numbers[0][4], name), drawn.on_most(drawn.count(name, "as they are"))) << name << ": " << says;
  for (const auto& lowest : captured(says, "the lowest is (net-.), on (\\d+) of")) {
    EXPECT_EQ(std::stol(lowest[1]), drawn.count(lowest[0], "as they are")) << says;
    for (const auto& name : drawn.names) EXPECT_LE(std::stol(lowest[1]), drawn.count(name, "as they are")) << says;
  }
}

void expect_cloaked_answers(const Drawn& drawn) {
  const auto found = finders(drawn);
  const auto cloaked = answer(drawn.findings, "cloaked"), brief = answer(drawn.findings, "short");
  const auto each = captured(cloaked, "(net-.) on (\\d+) of (\\d+) \\(as they are: (\\d+)\\)");
  EXPECT_EQ(each.size(), found.size()) << cloaked;
  for (const auto& one : each) {
    EXPECT_EQ(std::stol(one[1]), drawn.count(one[0], "pgd")) << cloaked;
    EXPECT_EQ(std::stol(one[3]), drawn.count(one[0], "as they are")) << cloaked;
  }
  const auto fooled = cloaked.find("was made to fool"), others = cloaked.find("was not made for");
  const auto a = cloaked.find("net-a on");
  if (a != std::string::npos) {
    EXPECT_TRUE(fooled < a && (others == std::string::npos || a < others)) << cloaked;
  }
  long before = 0, after = 0, still = 0, most = 0;
  for (const auto& name : found) {
    before += drawn.count(name, "as they are"), after += drawn.count(name, "pgd");
    still += drawn.on_most(drawn.count(name, "pgd"));
    most = std::max(most, drawn.count(name, "pgd"));
  }
  const auto numbers =
      captured(brief, "cloaked, (\\d+) of these (\\d+) still do; (net-.) names you most often, on (\\d+) of");
  ASSERT_EQ(numbers.size(), 1u) << brief;
  EXPECT_EQ(std::stol(numbers[0][0]), still) << brief;
  EXPECT_EQ(std::stoul(numbers[0][1]), found.size()) << brief;
  EXPECT_EQ(std::stol(numbers[0][3]), most) << brief;
  EXPECT_EQ(drawn.count(numbers[0][2], "pgd"), most) << brief;
  EXPECT_EQ(contains(brief, "makes it harder to find you"), after < before) << brief;
}

void expect_changes(const Drawn& drawn) {
  const auto sites = answer(drawn.findings, "sites");
  for (const std::string transform : {"jpeg-75", "half"}) {
    long least = 0, most = 0;
    if (!contains(sites, "after " + transform)) continue;
    for (const auto& name : finders(drawn)) {
      const auto change = drawn.count(name, "pgd", transform) - drawn.count(name, "pgd");
      least = std::min(least, change), most = std::max(most, change);
    }
    std::string says = concat("after ", transform, " ");
    if (most > 0) says += concat("on up to ", most, " photos more");
    if (least < 0) says += concat(most > 0 ? " and " : "", "on up to ", -least, " fewer");
    EXPECT_TRUE(contains(sites, least == 0 && most == 0 ? says + "on as many" : says)) << sites;
  }
  for (const auto& one :
       captured(answer(drawn.findings, "clean"),
                "With (\\d) uncloaked photos? [^,]*, (\\d+) of \\d+ recognisers name you on more than half "
                "of your photos; (net-.) most often, on (\\d+) of")) {
    long on_most = 0, most = 0;
    for (const auto& name : finders(drawn)) {
      const auto count = drawn.count(name, "pgd", "none", one[0]);
      on_most += drawn.on_most(count), most = std::max(most, count);
    }
    EXPECT_EQ(std::stol(one[1]), on_most);
    EXPECT_EQ(std::stol(one[3]), most);
    EXPECT_EQ(drawn.count(one[2], "pgd", "none", one[0]), most);
  }
}

TEST(Answers, SayWhatTheTablesSay) {
  int judged = 0;
  for (Seed seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Drawn drawn(seed);
    const auto& findings = drawn.findings;
    for (const auto& one : answers_of(findings)) {
      EXPECT_FALSE(contains(one.answer, "nan") || contains(one.answer, "inf")) << one.answer;
      EXPECT_FALSE(std::regex_search(one.answer, std::regex("protected|safe"))) << one.answer;
      EXPECT_TRUE(one.answer.ends_with('.') && !one.answer.starts_with('.')) << one.answer;
    }
    expect_clean_answer(drawn);
    const bool can_judge = !findings.inquiry.cloak.empty() && !finders(drawn).empty();
    EXPECT_EQ(!answer(findings, "cloaked").empty(), can_judge);
    EXPECT_EQ(!answer(findings, "short").empty(), can_judge);
    if (!can_judge) continue;
    ++judged;
    expect_cloaked_answers(drawn);
    expect_changes(drawn);
    for (const auto& [name, attacks] : findings.inquiry.trained)
      EXPECT_TRUE(
          contains(answer(findings, "trained"),
                   concat(name, " names you on ", drawn.count(name, "pgd"), " of ", drawn.n(), " photos when the ",
                          "posted ones are cloaked, and on ", drawn.count(name, "as they are"), " of ")));
  }
  EXPECT_GT(judged, 100);
}

// A run folder of one search: a row of trials.csv is extractor, attack, id, correct, rank.
void write_run(const fs::path& folder, const std::string& trials) {
  const Json extractors = {{{"name", "net"}, {"released", "2020"}}, {{"name", "cloaky"}, {"released", "2021"}}};
  const Json attacks = {{{"name", "none"}, {"attacked", Json::array()}}, {{"name", "pgd"}, {"attacked", {"net"}}}};
  write_file(folder / "config.resolved.json", Json{{"extractors", extractors}, {"attacks", attacks}}.dump());
  write_file(folder / "run.json", R"({"notes": ["a note"]})");
  write_file(folder / "others.csv", "extractor,attack,classifier,protected,n,errors\n");
  write_file(folder / "budget.csv", "id\n");
  write_file(folder / "trials.csv", "extractor,attack,id,correct,rank,protected,classifier\n" + trials);
}

TEST(Findings, CountEachPhotoOnceOverRuns) {
  const TempFolder folder;
  write_run(folder / "a", "net,none,1,1,1,(you),nearest\nnet,none,2,0,3,(you),nearest\n");
  write_run(folder / "b", "net,none,3,1,1,(you),nearest\nnet,none,1,1,1,(you),nearest\nnet,pgd,1,0,4,(you),nearest\n");
  write_file(folder / "b/pairs.csv",
             "extractor,attack,protected,genuine,accepted_at_0.001\nnet,none,(you),10,0.5\nnet,none,(you),30,0.9\n");
  const auto findings = findings_of({"pgd", "", {}, 5, false, {}, {}}, {folder / "a", folder / "b"});
  ASSERT_EQ(findings.found.rows.size(), 2u);
  const auto cell = [&](std::size_t row, const char* name) {
    return testing::named(findings.found, findings.found.rows[row], name);
  };
  EXPECT_EQ(cell(0, "posted"), "as they are");
  EXPECT_EQ(cell(0, "n"), "3");
  EXPECT_EQ(cell(0, "found"), text(2.0 / 3));
  EXPECT_EQ(cell(0, "place"), "1");
  EXPECT_EQ(cell(0, "check"), "0.8");
  EXPECT_EQ(cell(0, "surrogate"), "no");
  EXPECT_EQ(cell(1, "posted"), "pgd");
  EXPECT_EQ(cell(1, "surrogate"), "yes");
  EXPECT_EQ(cell(1, "place"), "4");
}

// In a drawn part of the crowd, the third of five is first only if neither of the first two is drawn.
TEST(Findings, SmallerCrowdsAreByTheChanceOfADraw) {
  const TempFolder folder;
  write_run(folder / "a", "net,none,1,0,3,(you),nearest\n");
  const auto crowd = findings_of({"", "", {}, 5, false, {}, {}}, {folder / "a"}).crowd;
  ASSERT_EQ(crowd.rows.size(), 2u);  // 2 people, and all 5
  EXPECT_EQ(testing::named(crowd, crowd.rows[0], "people"), "2");
  EXPECT_EQ(testing::named(crowd, crowd.rows[0], "found"), text(0.5))
      << "of the 4 others one is drawn, 2 of whom are nearer";
  EXPECT_EQ(testing::named(crowd, crowd.rows[1], "found"), "0");
}

}  // namespace
}  // namespace facepoison::testing
