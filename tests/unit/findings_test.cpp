// What is said to somebody who asks about own photos, on made tables and run folders.
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
    findings.inquiry = {below(3) > 0 ? "pgd" : "", "", {"net-s"}, 2 + below(200), {}, {}};
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

// A range as answers have it, against the counts of all recognisers.
void expect_range(const std::string& says, const Drawn& drawn, const std::function<long(const std::string&)>& count) {
  std::vector<long> all;
  for (const auto& name : drawn.names) all.push_back(count(name));
  const auto [least, most] = std::minmax_element(all.begin(), all.end());
  std::smatch found;
  if (drawn.names.size() == 1) {
    EXPECT_TRUE(contains(says, concat("net-a names you on ", all[0], " of ", drawn.n(), " photos"))) << says;
  } else if (*least == *most) {
    EXPECT_TRUE(contains(says, concat("each of ", all.size(), " recognisers names you on ", *most, " of ", drawn.n())));
  } else {
    const std::regex form(
        "(\\d+) recognisers name you on (\\d+) \\((net-.)\\) to (\\d+) \\((net-.)\\) of (\\d+) photos");
    ASSERT_TRUE(std::regex_search(says, found, form)) << says;
    EXPECT_EQ(std::stoul(found[1]), all.size());
    EXPECT_EQ(std::stol(found[2]), *least);
    EXPECT_EQ(count(found[3]), *least);
    EXPECT_EQ(std::stol(found[4]), *most);
    EXPECT_EQ(count(found[5]), *most);
    EXPECT_EQ(std::stol(found[6]), drawn.n());
  }
}

// By whom an answer says that somebody is named on more than half of the photos.
void expect_most(const std::string& says, const Drawn& drawn, const std::string& posted) {
  std::smatch found;
  const bool any = std::regex_search(says, found, std::regex("On more than half of them you are named by ([^.]*)\\."));
  const std::string list = any ? found[1].str() : "";
  for (const auto& name : drawn.names)
    EXPECT_EQ(contains(list, name), drawn.on_most(drawn.count(name, posted))) << name << ": " << says;
}

TEST(Answers, SayWhatTheTablesSay) {
  for (Seed seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Drawn drawn(seed);
    const auto& findings = drawn.findings;
    const auto clean = answer(findings, "as-they-are");
    EXPECT_TRUE(clean.starts_with(concat("Among ", findings.inquiry.people, " people, "))) << clean;
    expect_range(clean, drawn, [&](const auto& name) { return drawn.count(name, "as they are"); });
    expect_most(clean, drawn, "as they are");
    for (const auto& one : answers_of(findings)) {
      EXPECT_FALSE(contains(one.answer, "nan") || contains(one.answer, "inf")) << one.answer;
      EXPECT_FALSE(std::regex_search(one.answer, std::regex("protected|safe"))) << one.answer;
      EXPECT_TRUE(one.answer.ends_with('.') && !one.answer.starts_with('.')) << one.answer;
    }
    if (findings.inquiry.cloak.empty()) {
      EXPECT_EQ(answer(findings, "cloaked"), "");
      continue;
    }
    const auto cloaked = answer(findings, "cloaked");
    expect_range(cloaked, drawn, [&](const auto& name) { return drawn.count(name, "pgd"); });
    expect_most(cloaked, drawn, "pgd");
    EXPECT_TRUE(contains(cloaked, "optimised against net-s.")) << cloaked;
    for (const std::string transform : {"jpeg-75", "half"}) {
      std::smatch found;
      const auto sites = answer(findings, "sites");
      if (!std::regex_search(sites, found, std::regex(concat("after ", transform, " by at most (\\d+)")))) continue;
      long largest = 0;
      for (const auto& name : drawn.names)
        largest = std::max(largest, std::abs(drawn.count(name, "pgd", transform) - drawn.count(name, "pgd")));
      EXPECT_EQ(std::stol(found[1]), largest) << sites;
    }
    for (const std::string clean_photos : {"1", "5"}) {
      const auto leaks = answer(findings, "clean");
      std::smatch found;
      const std::regex part(concat("[Ww]ith ", clean_photos, " clean photos? among the posted ones, ([^.]*?photos)"));
      if (!std::regex_search(leaks, found, part)) continue;
      expect_range(found[1], drawn, [&](const auto& name) { return drawn.count(name, "pgd", "none", clean_photos); });
    }
    const auto trained = answer(findings, "trained");
    for (const auto& [name, attacks] : findings.inquiry.trained)
      EXPECT_TRUE(contains(trained, concat("it names you on ", drawn.count(name, "pgd"), " of ", drawn.n())))
          << trained;
  }
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
  const auto findings = findings_of({"pgd", "", {}, 5, {}, {}}, {folder / "a", folder / "b"});
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

// In a drawn part of the crowd somebody who is third of five is first only where neither of the two before is drawn.
TEST(Findings, SmallerCrowdsAreByTheChanceOfADraw) {
  const TempFolder folder;
  write_run(folder / "a", "net,none,1,0,3,(you),nearest\n");
  const auto crowd = findings_of({"", "", {}, 5, {}, {}}, {folder / "a"}).crowd;
  ASSERT_EQ(crowd.rows.size(), 2u);  // 2 people, and all 5
  EXPECT_EQ(testing::named(crowd, crowd.rows[0], "people"), "2");
  EXPECT_EQ(testing::named(crowd, crowd.rows[0], "found"), text(0.5))
      << "of the 4 others one is drawn, 2 of whom are nearer";
  EXPECT_EQ(testing::named(crowd, crowd.rows[1], "found"), "0");
}

}  // namespace
}  // namespace facepoison::testing
