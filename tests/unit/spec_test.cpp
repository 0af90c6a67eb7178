// The reader of settings: its message for every kind of mistake, and its record.
#include "facepoison/spec.hpp"

#include <unistd.h>

#include "facepoison/config_file.hpp"
#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

Spec spec_of(const std::string& json) { return Spec(parse_json(json, "x.json"), "x.json"); }

// Expects a usage error with all `parts` in its message.
template <class Action>
void expect_usage(Action&& action, const std::vector<std::string>& parts) {
  const auto [code, message] = caught(action);
  EXPECT_EQ(code, Exit::usage);
  for (const auto& part : parts) EXPECT_TRUE(contains(message, part)) << "no '" << part << "' in: " << message;
}

TEST(Spec, ReadsEveryKind) {
  Spec spec =
      spec_of(R"({"t": "word", "c": "b", "n": 2, "i": -3, "f": true, "l": ["x", "y"], "v": [1, 2.5], "r": [null]})");
  EXPECT_EQ(spec.text("t"), "word");
  EXPECT_EQ(spec.choice("c", {"a", "b"}), "b");
  EXPECT_EQ(spec.number("n", 0, 2), 2);
  EXPECT_EQ(spec.integer("i", -3, 3), -3);
  EXPECT_TRUE(spec.flag("f"));
  EXPECT_EQ(spec.texts("l"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(spec.numbers("v", 2), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(spec.raw("r"), Json::parse("[null]"));
  EXPECT_NO_THROW(spec.finish());
}

TEST(Spec, SaysWhereWhatWasFoundAndWhatIsRight) {
  Spec spec = spec_of(
      R"({"t": 3, "c": "z", "n": 9.5, "i": 2.5, "big": 11, "f": "yes", "l": ["x", 4], "v": [1, "b"], "word": "w"})");
  expect_usage([&] { spec.text("t"); }, {"x.json", "\"t\"", "found 3", "text"});
  expect_usage([&] { spec.choice("c", {"a", "b"}); }, {"x.json", "\"c\"", "\"z\"", "a, b"});
  expect_usage([&] { spec.number("n", 0, 9); }, {"x.json", "\"n\"", "9.5", "0", "9"});
  expect_usage([&] { spec.number("word", 0, 9); }, {"\"word\"", "\"w\"", "number"});
  expect_usage([&] { spec.integer("i", 0, 9); }, {"\"i\"", "2.5", "whole"});
  expect_usage([&] { spec.integer("big", 0, 10); }, {"\"big\"", "11", "0", "10"});
  expect_usage([&] { spec.flag("f"); }, {"\"f\"", "\"yes\"", "true or false"});
  expect_usage([&] { spec.texts("l"); }, {"\"l\"", "4", "text"});
  expect_usage([&] { spec.texts("t"); }, {"\"t\"", "3", "list"});
  expect_usage([&] { spec.numbers("v", 2); }, {"\"v\"", "[1,\"b\"]", "2 numbers"});
  expect_usage([&] { spec.object("t"); }, {"\"t\"", "3", "object"});
}

TEST(Spec, WantsTheRightCountOfNumbers) {
  Spec spec = spec_of(R"({"v": [1, 2, 3]})");
  expect_usage([&] { spec.numbers("v", 2); }, {"2 numbers"});
  expect_usage([&] { spec.numbers("v", 4); }, {"4 numbers"});
}

TEST(Spec, NamesTheNearestOfAnUnknownKey) {
  Spec spec = spec_of(R"({"stepz": 3})");
  spec.integer("steps", 0, 10, 1);
  spec.flag("momentum", false);
  expect_usage([&] { spec.finish(); }, {"\"stepz\"", "did you mean \"steps\"?"});
  Spec far = spec_of(R"({"absolutely-different": 3})");
  far.flag("momentum", false);
  expect_usage([&] { far.finish(); }, {"\"absolutely-different\"", "expected one of momentum"});
}

TEST(Spec, NamesAMissingOrMisspeltRequiredKey) {
  Spec spec = spec_of(R"({"datasett": "x", "other": 1})");
  expect_usage([&] { spec.text("dataset"); }, {"key \"dataset\": missing", "is \"datasett\" a misspelling of it?"});
  expect_usage([&] { spec.number("required", 0, 1); }, {"\"required\"", "missing"});
}

TEST(Spec, BlamesNoRightKeyForAMissingOne) {
  for (const auto& [json, missing] : {std::pair{R"({"file": "x"})", "title"}, std::pair{R"({"std": [1]})", "side"},
                                      std::pair{R"({"mean": [1]})", "name"}}) {
    Spec spec = spec_of(json);
    const auto message = caught([&, &missing = missing] { spec.text(missing); }).message;
    EXPECT_EQ(message, concat("x.json, key \"", missing, "\": missing"));
  }
}

TEST(Spec, RefusesANumberThatItsTypeDoesNotHold) {
  for (const char* number : {"18446744073709551615", "9223372036854775808", "-9223372036854775809", "1e30"}) {
    Spec spec = spec_of(concat("{\"seed\": ", number, "}"));
    expect_usage([&] { spec.integer("seed", 0, std::numeric_limits<std::int64_t>::max()); }, {"\"seed\"", "whole"});
  }
  Spec spec = spec_of(R"({"seed": 18446744073709551615})");
  expect_usage([&] { spec.integer("seed", 0, 9); }, {"found 18446744073709551615"});
}

TEST(Spec, KnowsAKeyBeforeItIsRead) {
  const Spec spec = spec_of(R"({"a": null})");
  EXPECT_TRUE(spec.has("a"));
  EXPECT_FALSE(spec.has("b"));
  expect_usage([&] { spec.fail("a", "a problem"); }, {"x.json", "\"a\"", "a problem"});
  expect_usage([&] { spec.finish(); }, {"\"a\""});  // looking is not reading
}

TEST(Spec, RefusesWhatIsNoObject) {
  expect_usage([] { spec_of("[1]"); }, {"x.json", "[1]", "object"});
  expect_usage([] { spec_of("3"); }, {"x.json"});
}

TEST(Spec, RecordsNestedObjectsWithTheirDefaults) {
  Spec spec = spec_of(R"({"inner": {"a": 1, "deep": {"b": "x"}}, "last": true})");
  Spec inner = spec.object("inner");
  spec.flag("last");
  spec.text("defaulted", "d");
  inner.integer("a", 0, 9);
  Spec deep = inner.object("deep");
  deep.text("b");
  inner.number("c", 0, 9, 2.5);
  EXPECT_EQ(spec.record().dump(), R"({"inner":{"a":1,"deep":{"b":"x"},"c":2.5},"last":true,"defaulted":"d"})");
  EXPECT_NO_THROW(spec.finish());
}

TEST(Spec, FindsUnknownKeysInNestedObjects) {
  Spec spec = spec_of(R"({"inner": {"a": 1, "b": 2}})");
  Spec inner = spec.object("inner");
  inner.integer("a", 0, 9);
  expect_usage([&] { spec.finish(); }, {"inner", "\"b\""});
}

TEST(ParseJson, AllowsCommentsAndNamesThePlaceOfAMistake) {
  EXPECT_EQ(parse_json("{\"a\": 1 // why\n /* and */ }", "x.json"), Json::parse(R"({"a": 1})"));
  expect_usage([] { parse_json("{\n\"a\": 1,\n}", "x.json"); }, {"x.json", "line 3", "column"});
  expect_usage([] { parse_json("", "x.json"); }, {"x.json"});
  expect_usage([] { parse_json("{} {}", "x.json"); }, {"x.json"});
  expect_usage([] { parse_json("\"caf\xe9\"", "x.json"); }, {"x.json"});
}

TEST(ParseJson, RefusesAKeyGivenTwice) {
  expect_usage([] { parse_json(R"({"a": 1, "b": 2, "a": 3})", "x.json"); }, {"x.json", "\"a\"", "twice"});
  expect_usage([] { parse_json(R"({"o": [{"k": 1, "k": 1}]})", "x.json"); }, {"\"k\"", "twice"});
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "x.json"));
}

TEST(ParseJson, RefusesMoreThan64Levels) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "x.json"));
  expect_usage([&] { parse_json(nested(65), "x.json"); }, {"x.json", "64"});
  expect_usage([&] { parse_json("[" + nested(64).insert(64, "1") + "]", "x.json"); }, {"x.json", "64"});
  expect_usage([&] { parse_json(nested(100000), "x.json"); }, {"x.json", "64"});
}

TEST(ParseJson, RefusesANumberThatNoDoubleHolds) {
  expect_usage([] { parse_json(R"({"a": 1e999})", "x.json"); }, {"x.json"});
}

TEST(ReadJson, NamesAMissingFile) {
  expect_usage([] { read_json("/nowhere/x.json"); }, {"/nowhere/x.json"});
}

TEST(ReadJson, ReadsAByteOrderMarkAndOtherLineEnds) {
  const TempFolder folder;
  write_file(folder / "x.json", "\xef\xbb\xbf{\r\n\"a\": 1 // why\r\n}\r\n");
  EXPECT_EQ(read_json(folder / "x.json"), Json::parse(R"({"a": 1})"));
}

TEST(ReadConfig, ComesFromAPipeWhosePathsStartInTheWorkingFolder) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string config = R"({"a": 1})";
  ASSERT_EQ(write(ends[1], config.data(), config.size()), static_cast<ssize_t>(config.size()));
  close(ends[1]);
  fs::path start;
  const auto anchor = [&](Json&, const fs::path& base) { start = base; };
  EXPECT_EQ(read_config(concat("/dev/fd/", ends[0]), {}, anchor), Json::parse(config));  // as a shell's <(…)
  EXPECT_EQ(start, fs::current_path());
  close(ends[0]);
}

TEST(ReadConfig, NamesAnOverrideThatHasNoPlace) {  // a fuzzer's finds
  const TempFolder folder;
  const auto overridden = [&](const std::string& config, const std::string& assignment) {
    write_file(folder / "x.json", config);
    read_config(folder / "x.json", {assignment}, [](Json&, const fs::path&) {});
  };
  expect_usage([&] { overridden("5", "a=1"); }, {"--set a=1", "found number, expected a JSON object"});
  expect_usage([&] { overridden(R"({"a": [1]})", "a..b=1"); }, {"\"\" is not an index in a list of length 1"});
  expect_usage([&] { overridden(R"({"a": [1]})", "a=\xf2"); }, {"bytes that are not text, expected UTF-8"});
}

TEST(NearestName, IsTheFewestEditsAwayOrNone) {
  const std::vector<std::string> known = {"nearest", "nearest-cosine", "centroid"};
  EXPECT_EQ(nearest_name("neerest", known), "nearest");
  EXPECT_EQ(nearest_name("centrod", known), "centroid");
  EXPECT_EQ(nearest_name("nearest-cosin", known), "nearest-cosine");
  EXPECT_EQ(nearest_name("linear-probe", known), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace facepoison
