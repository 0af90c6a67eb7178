// The binary on a small drawn data set and tiny networks, as a user runs it.
#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <random>
#include <regex>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eEval : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 5, 10);
    write_tiny_extractor(folder_.path, 1, "tiny-a");
    write_tiny_extractor(folder_.path, 2, "tiny-b");
    write_config(Json::object());
  }

  void write_config(const Json& changes) {
    Json config = {
        {"dataset", "dataset"},
        {"protected", 2},
        {"extractors", {"./tiny-a.json", "./tiny-b.json"}},
        {"attacks",
         {"none", "noise", {{"preset", "pgd"}, {"name", "pgd-a"}, {"surrogates", {"./tiny-a.json"}}, {"steps", 5}}}},
        {"classifiers", {"nearest", "centroid"}},
        {"seed", 4}};
    config.update(changes);
    write_file(folder_ / "x.json", config.dump());
  }

  Outcome eval(const std::string& more = "", const std::string& environment = "") {
    return run_binary("eval --config x.json --store store2 " + more, folder_.path, environment);
  }

  TempFolder folder_;
};

TEST_F(E2eEval, PrintsOneTableAndNothingElseOnStdout) {
  const auto run = eval("--format csv --run-dir run");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  EXPECT_EQ(table.rows.size(), 2u * 3 * 2);
  EXPECT_EQ(print(table, Format::csv), run.out);
  EXPECT_EQ(read_file(folder_ / "run/table.csv"), run.out);
  for (const auto* file :
       {"config.resolved.json", "trials.csv", "others.csv", "budget.csv", "rejected.csv", "run.json"})
    EXPECT_TRUE(fs::exists(folder_ / "run" / file)) << file;
}

TEST_F(E2eEval, ProtectionIsTheMeanOverPeopleOfTheirErrorInTrials) {
  ASSERT_EQ(eval("--run-dir run").code, 0);
  const Table trials = read_csv(folder_ / "run/trials.csv"), table = read_csv(folder_ / "run/table.csv");
  const auto cell_of = [](const Table& of, const std::vector<Cell>& row) {
    return named(of, row, "extractor") + named(of, row, "attack") + named(of, row, "classifier");
  };
  std::map<std::string, std::map<std::string, std::pair<int, int>>> counts;  // cell → person → errors, n
  for (const auto& row : trials.rows) {
    const auto word = [&](const char* name) { return named(trials, row, name); };
    auto& count = counts[cell_of(trials, row)][word("protected")];
    EXPECT_EQ(word("protected"), word("person")) << "a trial is a probe of the protected person";
    EXPECT_EQ(word("correct") == "1", word("person") == word("predicted"));
    count.first += word("correct") == "0";
    ++count.second;
  }
  EXPECT_EQ(table.rows.size(), counts.size());
  EXPECT_FALSE(counts.empty());
  for (const auto& row : table.rows) {
    double sum = 0;
    const auto number = [&](const char* name) { return std::stod(named(table, row, name)); };
    const auto& people = counts.at(cell_of(table, row));
    for (const auto& [person, count] : people) sum += static_cast<double>(count.first) / count.second;
    EXPECT_EQ(people.size(), 2u);
    EXPECT_NEAR(number("protection"), sum / 2, 1e-12);
    EXPECT_LE(number("low"), number("protection"));
    EXPECT_GE(number("high"), number("protection"));
  }
}

TEST_F(E2eEval, TheSecondRunFindsEverythingInTheStoreAndGivesTheSameBytes) {
  ASSERT_EQ(eval("--run-dir one").code, 0);
  const auto again = eval("--run-dir two -v");
  ASSERT_EQ(again.code, 0);
  EXPECT_TRUE(contains(again.err, ", 0 made)")) << again.err;
  EXPECT_FALSE(contains(again.err, "loading ")) << "a network was loaded: " << again.err;
  for (const auto* file : {"trials.csv", "others.csv", "budget.csv", "table.csv", "config.resolved.json"})
    EXPECT_EQ(read_file(folder_ / "one" / file), read_file(folder_ / "two" / file)) << file;
}

// Digests of the computed files below a folder, without times, durations and machines.
std::map<std::string, std::string> bytes_below(const fs::path& folder) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto name = entry.path().lexically_relative(folder).generic_string();
    const auto is_in = [&](const char* one) { return name.starts_with(one); };
    if (!entry.is_regular_file() || is_in("seconds/") || is_in("claims/") || is_in("digests/")) continue;
    if (name == "run.json" || name.ends_with("stats.txt") || name.ends_with("verified.txt")) continue;
    digests[name] = sha256_of_file(entry.path());
  }
  return digests;
}

// From photos to answers, killed in any arrow. The undisturbed run has another number of threads.
TEST_F(E2eEval, KilledAtTwentyRandomMomentsItGoesOnToTheSameBytes) {
  write_config({{"dataset", "photos"},
                {"prepare", {{"detect", false}, {"canvas", 48}}},
                {"attacks",
                 {"noise",
                  {{"preset", "pgd"}, {"surrogates", {"./tiny-a.json"}}, {"steps", 20}},
                  {{"preset", "fawkes-v0.3-low"}, {"surrogates", {"./tiny-a.json"}}, {"steps", 5}}}},
                {"protected", "all"}});
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(
      run_binary("eval --config x.json --store quiet-store --run-dir quiet", folder_.path, "env OMP_NUM_THREADS=2")
          .code,
      0);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  std::mt19937 random(20);
  int killed = 0, finished = 0;
  while (killed < 20 && finished < 20) {
    const double moment = std::uniform_real_distribution(0.0, whole.count() / 3)(random);
    const auto run = eval("--run-dir run", concat("env OMP_NUM_THREADS=1 timeout -s KILL ", moment));
    ++(run.code == 0 ? finished : killed);
    if (run.code != 0 || killed == 20) continue;
    fs::remove_all(folder_ / "run");
    fs::remove_all(folder_ / "store2");
  }
  EXPECT_EQ(killed, 20) << "the run was too quick to be killed";
  const auto last = eval("--run-dir run", "env OMP_NUM_THREADS=1");
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(bytes_below(folder_ / "run"), bytes_below(folder_ / "quiet"));
  EXPECT_EQ(bytes_below(folder_ / "store2"), bytes_below(folder_ / "quiet-store"));
}

TEST_F(E2eEval, CtrlCStopsBetweenBlocksWith130) {
  write_config(
      {{"attacks", {{{"preset", "pgd"}, {"surrogates", {"./tiny-a.json"}}, {"steps", 1000}}}}, {"protected", "all"}});
  const auto run = eval("--run-dir run", "timeout --foreground --preserve-status -s INT 1");
  EXPECT_EQ(run.code, 130) << run.err;
  EXPECT_TRUE(contains(run.err, "continues from here")) << run.err;
}

TEST_F(E2eEval, TablePrintsARunAgain) {
  const auto run = eval("--run-dir run");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run_binary("table run", folder_.path).out, run.out);
  EXPECT_TRUE(run.out.starts_with("| extractor | released |")) << run.out;
  EXPECT_TRUE(contains(run.out, "\n\n- protection [95 % interval]")) << run.out;
  const auto long_rows = run_binary("table run --long", folder_.path).out;
  EXPECT_TRUE(contains(long_rows, " | attack ") && contains(long_rows, " | others_error ")) << long_rows;
  EXPECT_EQ(run_binary("table run/table.csv", folder_.path).out.substr(0, 200), run.out.substr(0, 200));
  const Table by_person = parse_csv(run_binary("table run --by person --format csv", folder_.path).out, "stdout");
  EXPECT_EQ(by_person.rows.size(), 2u * 3 * 2 * 2);
  EXPECT_FALSE(named(by_person, by_person.rows[0], "protected").empty());
  EXPECT_EQ(run_binary("table nowhere", folder_.path).code, 3);
}

TEST_F(E2eEval, RunJsonSaysWhenOfWhichCommitAndWhere) {
  ASSERT_EQ(eval("--run-dir run").code, 0);
  const Json run = read_json(folder_ / "run/run.json");
  const auto date = run.at("date").get<std::string>(), machine = run.at("machine").get<std::string>();
  EXPECT_TRUE(std::regex_match(date, std::regex("20\\d\\d-[01]\\d-[0-3]\\dT[0-2]\\d:[0-5]\\d:[0-5]\\dZ"))) << date;
  EXPECT_TRUE(std::regex_match(machine, std::regex(".*\\w, \\d+ threads"))) << machine;
  const auto version = run_binary("--version", folder_.path).out;
  EXPECT_TRUE(contains(version, concat("commit ", run.at("commit").get<std::string>(), "\n"))) << version;
}

TEST_F(E2eEval, WorkersFillTheStoreAndTheTableFollows) {
  ASSERT_EQ(run_binary("eval --config x.json --store alone --run-dir alone-run", folder_.path).code, 0);
  const auto work = [&](const char* start) {
    return eval(concat("--worker --expect 'protection >= 2' --start ", start));  // a check of the table, not of workers
  };
  auto other = std::async(std::launch::async, [&] { return work("1/2"); });
  for (const auto& worker : {work("0/2"), other.get()}) {
    EXPECT_EQ(worker.code, 0) << worker.err;
    EXPECT_EQ(worker.out, "");
    EXPECT_TRUE(contains(worker.err, "all is in the store; this worker made ")) << worker.err;
  }
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
  const auto table = eval("--run-dir run");
  EXPECT_TRUE(contains(table.err, ", 0 made)")) << table.err;
  EXPECT_EQ(read_file(folder_ / "run/table.csv"), read_file(folder_ / "alone-run/table.csv"));
}

TEST_F(E2eEval, AWorkerCanMakeSomeKindsOnly) {
  EXPECT_EQ(eval("--worker --only tried,perturbed").code, 0);
  for (const auto* kind : {"tried", "perturbed"}) EXPECT_TRUE(fs::exists(folder_ / "store2" / kind)) << kind;
  for (const auto* kind : {"embedded", "answered"}) EXPECT_FALSE(fs::exists(folder_ / "store2" / kind)) << kind;
}

TEST_F(E2eEval, AWorkersOptionsThatMeanNothingAreRefused) {
  for (const auto* options :
       {"--worker --start 2/2", "--worker --start 0/0", "--worker --start 1", "--worker --start a/b",
        "--worker --start 0/2/3", "--worker --start -1/2", "--start 0/2", "--only perturbed", "--worker --only painted",
        "--worker --dry-run", "--worker --run-dir run", "--worker --format csv"})
    EXPECT_EQ(eval(options).code, 2) << options;
}

TEST_F(E2eEval, TheCommandInRunJsonRunsItAgain) {
  fs::rename(folder_ / "x.json", folder_ / "it's mine.json");
  ASSERT_EQ(run_binary("eval --config \"it's mine.json\" --set 'seed=1' --run-dir run", folder_.path).code, 0);
  const auto command = read_json(folder_ / "run/run.json").at("command").get<std::string>();
  const std::string program = "facepoison ";
  ASSERT_TRUE(command.starts_with(program)) << command;
  EXPECT_EQ(run_binary(command.substr(program.size()) + " --run-dir again", folder_.path).code, 0) << command;
  EXPECT_EQ(read_file(folder_ / "again/table.csv"), read_file(folder_ / "run/table.csv"));
}

TEST_F(E2eEval, ReportWritesAPageAndFigures) {
  ASSERT_EQ(eval("--run-dir run").code, 0);
  const auto report = run_binary("report run -o run/page.html --figures figures --to paper", folder_.path);
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_TRUE(contains(report.err, "The recognisers identify ")) << report.err;
  const auto page = read_file(folder_ / "run/page.html");
  for (const std::string part :
       {"<table id=\"table-protection\">", "<section id=\"paper\">", "facepoison eval --config x.json",
        "<a download=\"protection.csv\"", "The recognisers identify "})
    EXPECT_TRUE(contains(page, part)) << part;
  EXPECT_FALSE(contains(page, "{{content}}"));
  EXPECT_FALSE(read_json(folder_ / "figures/protection.vl.json")["data"]["values"].empty());
  EXPECT_EQ(run_binary("report run", folder_.path).code, 2);
  EXPECT_EQ(run_binary("report nowhere -o page.html", folder_.path).code, 3);
  EXPECT_EQ(run_binary("report run -o run/table.csv", folder_.path).code, 2) << "a file of the run is not replaced";
}

TEST_F(E2eEval, ShowDrawsThePicturesThatWereMeasured) {
  const std::string show = "show --config x.json --store store2 --side 48 -o strip.png ";
  ASSERT_EQ(eval("--run-dir run").code, 0);
  const auto shown = run_binary(show + "-v", folder_.path);
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_FALSE(contains(shown.err, "loading ")) << "not from the store: " << shown.err;
  const Image strip = decode_image(read_file(folder_ / "strip.png"), Exif::ignore);
  EXPECT_EQ(strip.width, 4 + 5 * 52) << "original, and two pictures each for noise and pgd-a; none has none to show";
  EXPECT_EQ(strip.height, 4 + 2 * (16 + 52)) << "a photo of each protected person";
  ASSERT_EQ(run_binary(show + "--set protected=3 --photos 2", folder_.path).code, 0);
  EXPECT_EQ(decode_image(read_file(folder_ / "strip.png"), Exif::ignore).height, 4 + 6 * (16 + 52));
  for (const auto* refused : {"dataset", "--attack noise", "--seed 1", "--precision bf16"})
    EXPECT_EQ(run_binary(show + refused, folder_.path).code, 2) << refused;
  EXPECT_EQ(run_binary("show -o strip.png", folder_.path).code, 2);
}

TEST_F(E2eEval, ThePeopleOfASmallerDrawAreInALargerOne) {
  ASSERT_EQ(eval("--run-dir two").code, 0);
  ASSERT_EQ(eval("--run-dir three --set protected=3").code, 0);
  const Json two = read_json(folder_ / "two/config.resolved.json")["protected"]["4"],  // of the seed
      three = read_json(folder_ / "three/config.resolved.json")["protected"]["4"];
  EXPECT_EQ(three[0], two[0]);
  EXPECT_EQ(three[1], two[1]);
}

TEST_F(E2eEval, AnEditedConfigOverwritesNobodysResults) {
  ASSERT_EQ(eval().code, 0);
  ASSERT_EQ(eval("--set seed=5").code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "runs/x"), fs::directory_iterator()), 3)
      << "two runs and the link";
  EXPECT_TRUE(fs::exists(folder_ / "runs/x/latest/trials.csv"));
  ASSERT_EQ(eval("--run-dir mine").code, 0);
  const auto refused = eval("--run-dir mine --set seed=5");
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(contains(refused.err, "another config's run")) << refused.err;
}

TEST_F(E2eEval, TheDifferenceOfTwoRowsIsOverTheSamePeople) {
  ASSERT_EQ(eval("--run-dir run --set protected=4").code, 0);
  const auto run = run_binary("table run --against attack=none --format csv", folder_.path);
  ASSERT_EQ(run.code, 0) << run.err;
  const Table found = parse_csv(run.out, "stdout"), table = read_csv(folder_ / "run/table.csv");
  EXPECT_EQ(found.rows.size(), 2u * 2 * 2) << "none has no difference to itself";
  const auto first = [&](const char* name) { return named(found, found.rows[0], name); };
  const auto protection = [&](const std::string& attack) {
    for (const auto& row : table.rows)
      if (named(table, row, "extractor") == first("extractor") && named(table, row, "attack") == attack &&
          named(table, row, "classifier") == first("classifier"))
        return std::stod(named(table, row, "protection"));
    return -1.0;
  };
  EXPECT_NEAR(std::stod(first("difference")), protection(first("attack")) - protection("none"), 1e-12);
  EXPECT_EQ(first("reading"), "too few people") << "four";
  EXPECT_EQ(run_binary("table run --against attack=nobody", folder_.path).code, 2);
  EXPECT_EQ(run_binary("table run --against n=8", folder_.path).code, 2);
}

TEST_F(E2eEval, AGateThatDoesNotHoldIsExit5AfterTheResultsAreWritten) {
  EXPECT_EQ(eval("--run-dir run --expect 'protection[attack=none] >= 0' --expect 'people == 2'").code, 0);
  const auto failed = eval("--run-dir run --format csv --expect 'protection[attack=none,extractor=tiny-a] > 1'");
  EXPECT_EQ(failed.code, 5) << failed.err;
  EXPECT_TRUE(contains(failed.err, "found ")) << failed.err;
  EXPECT_EQ(failed.out, read_file(folder_ / "run/table.csv"));
  write_file(folder_ / "gates", "people == 3\n");
  EXPECT_EQ(eval("--run-dir run --expect-file gates").code, 5);
}

TEST_F(E2eEval, AGateThatMeansNothingIsExit2BeforeAnyWork) {
  const auto run = eval("--run-dir run --expect 'protection[attack=lowkey] > .5'");
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  EXPECT_EQ(eval("--run-dir run --expect 'protecton > .5'").code, 2);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(E2eEval, ASurrogateUnderAnotherNameIsASurrogate) {
  fs::copy(folder_ / "tiny-a.pt", folder_ / "copy.pt");
  Json card = read_json(folder_ / "tiny-a.json");
  card["file"] = "./copy.pt", card["title"] = "the same weights";
  write_file(folder_ / "copy.json", card.dump());
  write_config({{"extractors", {"./tiny-a.json", "./tiny-b.json", "./copy.json"}}});
  const auto run = eval("--format csv --run-dir run");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  ASSERT_FALSE(table.rows.empty());
  for (const auto& row : table.rows) {
    const bool attacked = named(table, row, "attack") == "pgd-a" && named(table, row, "extractor") != "tiny-b";
    EXPECT_EQ(named(table, row, "surrogate"), attacked ? "yes" : "no") << named(table, row, "extractor");
    EXPECT_EQ(named(table, row, "strategy"), attacked ? "surrogate" : "");
  }
}

TEST_F(E2eEval, TrustIsForTheModelsThatTheConfigNames) {
  // A preset's own surrogate that the config does not name has no hash: no flag lets it run.
  Json card = read_json(folder_ / "tiny-b.json");
  card.erase("sha256");
  write_file(folder_ / "tiny-b.json", card.dump());
  const TempFolder home;
  for (const auto* folder : {"configs", "data"})
    fs::copy(fs::path(FACEPOISON_ROOT) / folder, home / folder, fs::copy_options::recursive);
  write_file(home / "configs/attacks/mine.json",
             Json{{"preset", "pgd"}, {"surrogates", {(folder_ / "tiny-b.json").string()}}}.dump());
  const std::string in_home = concat("FACEPOISON_HOME='", home.path.string(), "'");
  write_config({{"extractors", {"./tiny-a.json"}}, {"attacks", {"mine"}}});
  const auto refused = eval("--trust-model", in_home);
  EXPECT_EQ(refused.code, 4) << refused.err;
  write_config(
      {{"extractors", {"./tiny-a.json"}}, {"attacks", {{{"preset", "mine"}, {"surrogates", {"./tiny-b.json"}}}}}});
  EXPECT_EQ(eval("--trust-model", in_home).code, 0);
}

TEST_F(E2eEval, ADryRunWritesNoRun) {
  const auto run = eval("--dry-run --format csv");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(parse_csv(run.out, "stdout").rows.size(), 12u);
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

// By arrow, how many units a dry run names, and how many of them are stored.
std::map<std::string, std::pair<int, int>> counted(const Json& units) {
  std::map<std::string, std::pair<int, int>> counts;
  for (const auto& unit : units) {
    ++counts[unit.at("arrow")].first;
    counts[unit.at("arrow")].second += unit.at("stored").get<bool>();
  }
  return counts;
}

TEST_F(E2eEval, AKillInTheFirstWriteOfARunFolderLeavesItUsable) {
  write_file(folder_ / "run/.tmp-0123456789abcdef", "half");
  ASSERT_EQ(eval("--run-dir run").code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "run/.tmp-0123456789abcdef"));
  write_file(folder_ / "other/.tmp-of-somebody", "whole");
  EXPECT_EQ(eval("--run-dir other").code, 2) << "that is nothing of ours";
}

TEST_F(E2eEval, ADryRunNamesTheUnitsOfWorkAndWhatTheyNeed) {
  const auto plan = [&] { return Json::parse(eval("--dry-run --format json").out).at("units"); };
  const Json before = plan();
  std::map<std::string, bool> stored;
  for (const auto& unit : before) {
    EXPECT_TRUE(unit.at("arrow") == "all" || unit.at("seconds").is_null()) << unit << ": nothing was ever made here";
    for (const auto& need : unit.at("needs")) {
      ASSERT_TRUE(stored.count(need)) << unit << " comes before what it needs";
      EXPECT_TRUE(stored[need] || !unit.at("stored").get<bool>()) << unit;
    }
    stored[unit.at("id")] = unit.at("stored");
  }
  // 2 of 5 people with 7 training photos each: two attacks; two extractors see all people and the 2 under each attack,
  // and answer for 2 people, three attacks, two classifiers, and once for unchanged photos, which attacks share. Both
  // are tried first.
  const std::map<std::string, std::pair<int, int>> fresh = {{"tried", {2, 0}},
                                                            {"perturbed", {2 * 2, 0}},
                                                            {"audited", {2 * 2, 0}},
                                                            {"embedded", {2 * (5 + 2 * 2), 0}},
                                                            {"answered", {2 * (2 * 3 + 1) * 2, 0}},
                                                            {"all", {2, 0}}};  // a unit has both sides' photos
  EXPECT_EQ(counted(before), fresh);
  ASSERT_EQ(eval("--run-dir run").code, 0);
  const auto after = counted(plan());
  EXPECT_EQ(after.size(), fresh.size());
  for (const auto& [arrow, count] : after) EXPECT_EQ(count.first, count.second) << arrow;
  // One more person: existing units stay, and the others have a price.
  write_config({{"protected", 3}});
  double seconds = 0;
  const Json more = plan();
  for (const auto& unit : more) seconds += unit.at("seconds").get<double>();
  EXPECT_GT(seconds, 0);
  EXPECT_EQ(counted(more).at("perturbed"), std::make_pair(2 * 3, 2 * 2));
  EXPECT_EQ(counted(more).at("answered"), std::make_pair(2 * (3 * 3 + 1) * 2, 2 * (2 * 3 + 1) * 2));
}

struct Mistake {
  std::string name, set, part;
  int code;
};

class E2eMistake : public E2eEval, public ::testing::WithParamInterface<Mistake> {};

TEST_P(E2eMistake, IsNamedWithTheRightCode) {
  const auto run = eval("--set '" + GetParam().set + "'");
  EXPECT_EQ(run.code, GetParam().code) << run.err;
  EXPECT_TRUE(contains(run.err, GetParam().part)) << run.err;
  EXPECT_TRUE(run.out.empty());
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

INSTANTIATE_TEST_SUITE_P(
    Config, E2eMistake,
    ::testing::Values(Mistake{"unknown_key", "protectd=3", "did you mean \"protected\"", 2},
                      Mistake{"unknown_extractor", "extractors=[\"dllib\"]", "did you mean dlib", 2},
                      Mistake{"unknown_attack", "attacks=[\"lowkee\"]", "did you mean lowkey", 2},
                      Mistake{"unknown_classifier", "classifiers=[\"neerest\"]", "did you mean nearest", 2},
                      Mistake{"unknown_attack_key", "attacks=[{\"preset\":\"noise\",\"epsilom\":1}]",
                              "did you mean \"epsilon\"", 2},
                      Mistake{"too_many_protected", "protected=6", "1 to 5", 2},
                      Mistake{"unknown_person", "protected=[\"p0\"]", "no person \"p0\"", 2},
                      Mistake{"no_such_folder", "dataset=nowhere", "no such folder", 3},
                      Mistake{"attack_twice", "attacks=[\"none\",\"none\"]", "named twice", 2},
                      Mistake{"seed_of_the_wrong_type", "seed=x", "expected a whole number", 2},
                      Mistake{"tf32_on_the_cpu", "precision=tf32' --set 'device=cpu", "is not a CUDA device", 2},
                      Mistake{"precision", "precision=fp8", "one of fp32, tf32, bf16", 2}),
    [](const auto& info) { return info.param.name; });

TEST_F(E2eEval, AModelThatIsNotWhatItsCardSaysIsExit4) {
  write_file(folder_ / "tiny-a.pt", read_file(folder_ / "tiny-a.pt") + "x");
  const auto altered = eval();
  EXPECT_EQ(altered.code, 4);
  EXPECT_TRUE(contains(altered.err, "sha256")) << altered.err;
  write_file(folder_ / "tiny-a.pt", "\n<!DOCTYPE html><html>Sign in</html>");
  const auto page = eval();
  EXPECT_EQ(page.code, 4);
  EXPECT_TRUE(contains(page.err, "HTML page")) << page.err;
  fs::remove(folder_ / "tiny-a.pt");
  EXPECT_EQ(eval().code, 4);
}

TEST_F(E2eEval, AnAbsentRecogniserIsSkippedAndNamedOrRefused) {
  Json card = read_json(folder_ / "tiny-b.json");
  card["source"] = {{"export", ".venv/bin/python scripts/export/b.py b.pth --name tiny-b"}};
  write_file(folder_ / "tiny-b.json", card.dump());
  fs::remove(folder_ / "tiny-b.pt");
  const auto refused = eval();
  EXPECT_EQ(refused.code, 4);
  EXPECT_TRUE(contains(refused.err, "to get it: .venv/bin/python scripts/export/b.py b.pth --name tiny-b"))
      << refused.err;
  write_config({{"absent", "skip"}});
  const auto skipped = eval("--format json");
  ASSERT_EQ(skipped.code, 0) << skipped.err;
  const Json found = Json::parse(skipped.out);
  EXPECT_FALSE(found["rows"].empty());
  for (const auto& row : found["rows"]) EXPECT_EQ(row["extractor"], "tiny-a");
  EXPECT_TRUE(contains(found["notes"].dump(), "tiny-b (2001) was skipped")) << found["notes"].dump(1);
  EXPECT_EQ(eval("--strict").code, 4);
  fs::remove(folder_ / "tiny-a.pt");
  write_config({{"absent", "skip"}, {"attacks", {"none"}}});
  EXPECT_EQ(eval().code, 4) << "nobody is left";
}

TEST_F(E2eEval, ANoteSaysWhosePublishedFileIsKnownByItsFirstUseAlone) {
  for (const auto& [name, verified] : {std::pair{"tiny-a", "md5, first use"}, {"tiny-b", "sha256"}}) {
    const auto path = folder_ / (std::string(name) + ".json");
    Json card = read_json(path);
    card["source"] = {{"exported_sha256", sha256(name)}, {"verified", verified}};
    write_file(path, card.dump());
  }
  const auto outcome = eval("--format json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto notes = Json::parse(outcome.out)["notes"].dump(1);
  const auto said = concat("tiny-a: its published file was verified by md5, first use (its sha256 begins with ",
                           sha256("tiny-a").substr(0, 16), "): no sha256 of it is published");
  EXPECT_TRUE(contains(notes, said)) << notes;
  EXPECT_FALSE(contains(notes, "tiny-b: its published file")) << notes;
}

// tiny-a's card with a network that computes `embeddings`, in Python, from the pooled picture y; product(y) multiplies
// with its weights.
void replace_network(const fs::path& folder, const std::string& embeddings) {
  torch::jit::Module module("tiny");
  module.register_parameter("w", torch::ones({108, 16}), false);
  module.define("def product(self, y):\n  return torch.matmul(y, self.w)\n");
  module.define("def forward(self, x):\n  y = torch.flatten(torch.adaptive_avg_pool2d(x, [6, 6]), 1)\n  return " +
                embeddings + "\n");
  module.save((folder / "tiny-a.pt").string());
  Json card = read_json(folder / "tiny-a.json");
  card["sha256"] = sha256_of_file(folder / "tiny-a.pt");
  write_file(folder / "tiny-a.json", card.dump());
}

TEST_F(E2eEval, ANetworkThatAsksForFloat32RunsInItUnderBf16AndANoteSaysSo) {
  replace_network(folder_.path, "self.product(y.to(6))");  // 6: float32
  const auto said = "tiny-a: computes in float32, for it does not run in bf16: ";
  const auto run = eval("--set precision=bf16 --format json --run-dir one");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(contains(run.out, said)) << run.out;
  EXPECT_FALSE(contains(run.out, "tiny-b: computes")) << run.out;
  const auto again = eval("--set precision=bf16 --format json --run-dir two -v");
  EXPECT_TRUE(contains(again.out, said)) << again.out;
  EXPECT_FALSE(contains(again.err, "loading ")) << again.err;
  EXPECT_FALSE(contains(eval("--format json --run-dir three").out, said));
}

TEST_F(E2eEval, ANetworkThatCannotBeUsedIsNamedBeforeAnythingIsPerturbed) {
  for (const auto& [embeddings, what] :
       {std::pair{"self.product((y > 0).to(6))", "cannot be attacked, because it gives no gradient"},
        {"self.product(y)[:, 0:7]", "the network returned the shape [1, 7]"}}) {
    replace_network(folder_.path, embeddings);
    const auto run = eval();
    EXPECT_EQ(run.code, 4) << run.err;
    EXPECT_TRUE(contains(run.err, "tiny-a: ")) << run.err;
    EXPECT_TRUE(contains(run.err, what)) << run.err;
    EXPECT_FALSE(fs::exists(folder_ / "store2/perturbed"));
  }
}

TEST_F(E2eEval, TakesClassifiersWithKeys) {
  write_config({{"classifiers",
                 {"linear",
                  {{"classifier", "k-nearest"}, {"k", 3}},
                  {{"classifier", "k-nearest"}, {"k", 1}, {"name", "one"}},
                  "nearest"}},
                {"extractors", {"./tiny-a.json"}}});
  const auto run = eval("--format csv");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  std::map<std::string, std::string> protection;  // of one attack
  for (const auto& row : table.rows)
    if (named(table, row, "attack") == "pgd-a")
      protection[named(table, row, "classifier")] = named(table, row, "protection");
  ASSERT_EQ(protection.size(), 4u);
  EXPECT_TRUE(protection.count("k-nearest, k 3"));
  EXPECT_EQ(protection["one"], protection["nearest"]);
  write_config({{"classifiers", {{{"classifier", "linear"}, {"k", 3}}}}});
  EXPECT_EQ(eval().code, 2);
}

TEST_F(E2eEval, AModelWithoutAHashNeedsTrust) {
  Json card = read_json(folder_ / "tiny-a.json");
  card.erase("sha256");
  write_file(folder_ / "tiny-a.json", card.dump());
  const auto refused = eval();
  EXPECT_EQ(refused.code, 4);
  EXPECT_TRUE(contains(refused.err, "--trust-model")) << refused.err;
  EXPECT_EQ(eval("--trust-model").code, 0);
}

TEST_F(E2eEval, AWrongOutputShapeAndATruncatedFileAreExit4) {
  Json card = read_json(folder_ / "tiny-a.json");
  card["dimension"] = 17;
  write_file(folder_ / "tiny-a.json", card.dump());
  const auto shape = eval("--set 'attacks=[\"none\"]'");
  EXPECT_EQ(shape.code, 4);
  EXPECT_TRUE(contains(shape.err, "17")) << shape.err;
  const std::string bytes = read_file(folder_ / "tiny-a.pt");
  write_file(folder_ / "tiny-a.pt", bytes.substr(0, bytes.size() / 2));
  const auto differs = eval("--trust-model --set 'attacks=[\"none\"]'");
  EXPECT_EQ(differs.code, 4);
  EXPECT_TRUE(contains(differs.err, "sha256")) << "trust never overrides a pinned hash: " << differs.err;
  card.erase("sha256");
  write_file(folder_ / "tiny-a.json", card.dump());
  const auto truncated = eval("--trust-model --set 'attacks=[\"none\"]'");
  EXPECT_EQ(truncated.code, 4);
  EXPECT_TRUE(contains(truncated.err, "truncated")) << truncated.err;
}

TEST_F(E2eEval, AFolderOfPhotosIsPreparedFirst) {
  const auto run =
      eval("--format csv --run-dir run --set dataset=photos --set 'prepare={\"detect\":false,\"canvas\":48}'");
  ASSERT_EQ(run.code, 0) << run.err;
  ASSERT_EQ(eval("--run-dir other").code, 0);
  EXPECT_EQ(read_file(folder_ / "run/trials.csv"), read_file(folder_ / "other/trials.csv"));
}

TEST_F(E2eEval, SaysUnderTheTableWhatHappenedToDuplicatesEachTime) {
  for (int v = 0; v < 4; ++v)
    fs::copy_file(folder_ / concat("photos/p00/v", v, ".png"), folder_ / concat("photos/p00/w", v, ".png"));
  write_file(folder_ / "photos/p01/w0.jpg", encode_jpeg(draw_photo(0, 5), 75));
  fs::copy_file(folder_ / "photos/p02/v0.png", folder_ / "photos/p02/v1_small.png");
  const std::string command =
      "--format json --set attacks='[\"none\"]' --set dataset=photos "
      "--set 'prepare={\"detect\":false,\"canvas\":48";
  const std::string counts = "4 exact (4 within and 0 across people), 1 near (0 within and 1 across people)";
  const std::string dropped = "duplicates dropped: " + counts;
  for (const auto* folder : {"one", "two"}) {  // made, and found in the store
    const auto run = eval(concat(command, "}' --run-dir ", folder));
    ASSERT_EQ(run.code, 0) << run.err;
    const std::string notes = Json::parse(run.out)["notes"].dump();
    EXPECT_TRUE(contains(notes, dropped)) << notes;
    EXPECT_TRUE(contains(notes, "files that tools left beside their originals, left out: 1")) << notes;
    EXPECT_TRUE(contains(run_binary(concat("table ", folder), folder_.path).out, dropped));
  }
  const auto kept = eval(command + ",\"drop_duplicates\":false}' --run-dir kept");
  ASSERT_EQ(kept.code, 0) << kept.err;
  const std::string notes = Json::parse(kept.out)["notes"].dump();
  EXPECT_TRUE(contains(notes, "duplicates kept: " + counts + "; ")) << notes;
  EXPECT_TRUE(contains(notes, " test photos have a twin in the gallery")) << notes;
  EXPECT_FALSE(contains(Json::parse(eval("--format json").out)["notes"].dump(), "duplicates")) << "nothing to say";
}

}  // namespace
}  // namespace facepoison::testing
