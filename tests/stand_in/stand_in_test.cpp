// Runs a GPU's code on the stand-in device: it must give the CPU's results; code that forgets the device fails.
#include <algorithm>
#include <regex>

#include "facepoison/attack.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/training.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

const torch::Device stand_in(torch::kPrivateUse1, 0);

// A convolution, a batch norm, dropout and a linear layer, with random weights: what recognisers are made of.
void write_network(const fs::path& folder, int seed, const std::string& name) {
  write_tiny_extractor(folder, seed, name);  // for its card
  auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
  torch::jit::Module module("small");
  module.register_parameter("filters", torch::randn({8, 3, 5, 5}, generator) / 5, false);
  module.register_parameter("weight", torch::ones({8}), false);
  module.register_parameter("bias", torch::rand({8}, generator), false);
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_buffer("mean", torch::zeros({8}));
  module.register_buffer("variance", torch::ones({8}));
  module.register_parameter("last", torch::randn({16, 8 * 36}, generator) / 16, false);
  module.define(R"(
def forward(self, x):
  x = torch.conv2d(x, self.filters, None, [2, 2])
  x = torch.batch_norm(x, self.weight, self.bias, self.mean, self.variance, self.training, 0.1, 0.001, False)
  x = torch.dropout(torch.relu(x), 0.2, self.training)
  return torch.matmul(torch.flatten(torch.adaptive_avg_pool2d(x, [6, 6]), 1), self.last.t())
)");
  module.save((folder / (name + ".pt")).string());
  Json card = read_json(folder / (name + ".json"));
  card["sha256"] = sha256_of_file(folder / (name + ".pt"));
  write_file(folder / (name + ".json"), card.dump());
}

class E2eStandIn : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 4, 5);
    write_network(folder_.path, 1, "net-a");
    write_network(folder_.path, 2, "net-b");
    link_project(folder_ / "home");
    write_mean_square_lpips(folder_ / "home");
  }

  Outcome run(const std::string& command, const std::string& before = "") {
    const auto home = (folder_ / "home").string();  // its store too is there
    const auto preload = concat(before, " env FACEPOISON_HOME='", home, "' LD_PRELOAD='", STAND_IN_DEVICE, "'");
    return run_binary(command, folder_.path, preload);
  }

  // Runs on the CPU and on the stand-in device; each @ becomes the device's name.
  void run_on_both(const std::string& command) {
    for (const auto* device : {"cpu", "standin"}) {
      const auto outcome = run(std::regex_replace(command, std::regex("@"), device));
      ASSERT_EQ(outcome.code, 0) << command << ", " << device << ":\n" << outcome.err;
    }
  }

  // Of the matrices @FILE.
  void expect_equal_matrices(const std::string& file) {
    const auto cpu = read_npy(folder_ / ("cpu" + file)), there = read_npy(folder_ / ("standin" + file));
    EXPECT_GT(cpu.abs().max().item<float>(), 0.01);
    EXPECT_LE((cpu - there).abs().max().item<float>(), 1e-5) << file;
  }

  // Of the tables @FILE: the same words, numbers within 1e-5 of each.
  void expect_equal_tables(const std::string& file) {
    const Table cpu = read_csv(folder_ / ("cpu" + file)), there = read_csv(folder_ / ("standin" + file));
    ASSERT_EQ(cpu.columns, there.columns);
    ASSERT_EQ(cpu.rows.size(), there.rows.size());
    EXPECT_FALSE(cpu.rows.empty()) << file;
    for (std::size_t r = 0; r < cpu.rows.size(); ++r)
      for (std::size_t c = 0; c < cpu.columns.size(); ++c) {
        const auto &a = cpu.rows[r][c], &b = there.rows[r][c];
        if (text(a) == text(b)) continue;
        EXPECT_NEAR(as_number(a, file), as_number(b, file), 1e-5 * (1 + std::abs(as_number(a, file))))
            << file << ", " << cpu.columns[c] << " of " << text(cpu.rows[r][0]);
      }
  }

  TempFolder folder_;
};

TEST_F(E2eStandIn, EmbedsAndIdentifiesAsTheCpu) {
  for (const auto* extractor : {"./net-a.json", "small-surrogate", "small-clip"}) {
    run_on_both(concat("embed dataset -e ", extractor, " --device @ -o @.npy"));
    expect_equal_matrices(".npy");
    run_on_both(concat("embed photos -e ", extractor, " --device @ -o @-crops.npy"));
    expect_equal_matrices("-crops.npy");
  }
  run_on_both("identify dataset dataset -e ./net-a.json --device @ -o @.csv");
  expect_equal_tables(".csv");
}

TEST_F(E2eStandIn, ChecksAsTheCpu) {
  const auto golden = run("check small-surrogate --device standin");
  EXPECT_EQ(golden.code, 0) << golden.err;
  fs::create_directories(folder_ / "one/p00");
  fs::copy_file(folder_ / "photos/p00/v0.png", folder_ / "one/p00/v0.png");
  ASSERT_EQ(run("embed one -e ./net-a.json --device cpu -o one.npy").code, 0);
  const auto reference =
      run("check ./net-a.json --image one/p00/v0.png --crop --reference one.npy --device standin --format json");
  EXPECT_EQ(reference.code, 0) << reference.err;
  EXPECT_TRUE(contains(reference.out, "agrees")) << reference.out;
}

TEST_F(E2eStandIn, ComparesPreprocessingsAsTheCpu) {
  prepare_drawn(folder_ / "eight", 8, 6);
  std::vector<Table> tables;
  for (const auto* device : {"cpu", "standin"}) {
    const auto outcome = run(concat("check small-surrogate --photos eight/dataset --format csv --device ", device));
    ASSERT_TRUE(outcome.code == 0 || outcome.code == 4) << outcome.err;  // drawn blobs are no faces
    tables.push_back(parse_csv(outcome.out, device));
  }
  ASSERT_GT(tables[0].rows.size(), 5u);
  const auto d_prime = [](const Table& table) { return as_number(table.rows.at(0).at(4), "d_prime"); };
  EXPECT_NEAR(d_prime(tables[0]), d_prime(tables[1]), 1e-3);
}

// Results of the CPU are not taken for another device's.
TEST_F(E2eStandIn, KeepsItsResultsApart) {
  const auto blocks = [&] {
    const fs::recursive_directory_iterator files(folder_ / "home/store/embedded"), end;
    return std::count_if(files, end, [](const auto& file) { return file.path().filename() == "features.npy"; });
  };
  ASSERT_EQ(run("embed dataset -e ./net-a.json --device cpu -o a.npy").code, 0);
  const auto before = blocks();
  ASSERT_EQ(run("embed dataset -e ./net-a.json --device standin -o a.npy").code, 0);
  EXPECT_EQ(blocks(), 2 * before);
}

struct Preset {
  std::string name, attack, options;
};

void PrintTo(const Preset& preset, std::ostream* out) { *out << preset.attack; }

const std::vector<Preset>& presets() {
  const std::string both = "--surrogates ./net-a.json,./net-b.json --set ", two = both + "steps=8",
                    two_epochs = both + "epochs=2";
  static const std::vector<Preset> all = {{"None", "none", ""},
                                          {"Noise", "noise", ""},
                                          {"Pgd", "pgd", two},
                                          {"FawkesV03", "fawkes-v0.3-low", two},
                                          {"FawkesV10", "fawkes-v1.0-high", two},
                                          {"FawkesV102", "fawkes-v1.0.2-high", two},
                                          {"LowKey", "lowkey", two},
                                          {"LowKeyDssim", "lowkey-dssim", two},
                                          {"TipIm", "tip-im", two},
                                          {"Opom", "opom", two},
                                          {"Chameleon", "chameleon", two_epochs},
                                          {"ProtegoFlat", "protego-flat", two_epochs},
                                          {"Retouch", "retouch", ""},
                                          {"Files", "files", "--set folder=photos"}};
  return all;
}

TEST(E2eStandInPresets, AreOfEveryAttack) {
  for (const auto& row : attack_registry())
    EXPECT_TRUE(std::any_of(presets().begin(), presets().end(), [&](const Preset& preset) {
      return read_preset(preset.attack)["attack"] == row.name;
    })) << row.name;
}

class E2eStandInAttack : public E2eStandIn, public ::testing::WithParamInterface<Preset> {};

TEST_P(E2eStandInAttack, PerturbsAsTheCpu) {
  run_on_both(concat("perturb dataset --device @ --attack ", GetParam().attack, " ", GetParam().options, " -o @"));
  expect_equal_tables("/budget.csv");
  const Dataset cpu = read_dataset(folder_ / "cpu"), there = read_dataset(folder_ / "standin");
  ASSERT_EQ(cpu.photos.size(), there.photos.size());
  for (std::size_t n = 0; n < cpu.photos.size(); ++n) {
    const auto a = decode_image(read_file(cpu.photos[n].path), Exif::ignore);
    const auto b = decode_image(read_file(there.photos[n].path), Exif::ignore);
    EXPECT_TRUE(a.rgb == b.rgb) << cpu.photos[n].id;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, E2eStandInAttack, ::testing::ValuesIn(presets()),
                         [](const auto& info) { return info.param.name; });

TEST_F(E2eStandIn, EvaluatesAsTheCpu) {
  const Json surrogates = {"./net-a.json"};
  const Json config = {{"dataset", "dataset"},
                       {"extractors", {"./net-a.json", "./net-b.json"}},
                       {"attacks",
                        {"none",
                         "noise",
                         {{"preset", "pgd"}, {"surrogates", surrogates}, {"steps", 4}},
                         {{"preset", "fawkes-v0.3-low"}, {"surrogates", surrogates}, {"steps", 4}},
                         {{"preset", "lowkey"}, {"surrogates", surrogates}, {"steps", 4}}}},
                       {"classifiers", {"nearest", "centroid", "linear", "k-nearest"}}};
  write_file(folder_ / "x.json", config.dump());
  run_on_both("eval --config x.json --set device=@ --run-dir @");
  EXPECT_EQ(read_file(folder_ / "cpu/table.csv"), read_file(folder_ / "standin/table.csv"));
  for (const auto* file : {"/trials.csv", "/others.csv", "/budget.csv"}) expect_equal_tables(file);
  EXPECT_EQ(read_json(folder_ / "standin/config.resolved.json").at("device"), "standin");
  EXPECT_EQ(read_json(folder_ / "standin/run.json").at("machine"), "standin");
}

// Machines with a device run the networks; others classify and write the table.
TEST_F(E2eStandIn, SharesItsStoreWithMachinesThatHaveNoDevice) {
  const Json config = {{"dataset", "dataset"},
                       {"extractors", {"./net-a.json"}},
                       {"attacks", {"none", {{"preset", "pgd"}, {"surrogates", {"./net-b.json"}}, {"steps", 4}}}}};
  write_file(folder_ / "x.json", config.dump());
  const auto on_cpu = [&](const std::string& options) {
    return run_binary("eval --config x.json --set device=elsewhere " + options, folder_.path,
                      concat("env FACEPOISON_HOME='", (folder_ / "home").string(), "'"));
  };
  const auto nobody = on_cpu("");
  EXPECT_EQ(nobody.code, 2);
  EXPECT_TRUE(contains(nobody.err, "no worker")) << nobody.err;
  const std::string work = "eval --config x.json --set device=standin --worker --only ";
  ASSERT_EQ(run(work + "tried,perturbed,audited").code, 0);
  const auto too_early = on_cpu("--run-dir there");
  EXPECT_EQ(too_early.code, 8);
  EXPECT_TRUE(contains(too_early.err, "embed, net-a: ") && contains(too_early.err, "standin")) << too_early.err;
  ASSERT_EQ(run(work + "embedded").code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "home/store/answered"));
  const auto answering = on_cpu("--worker");
  EXPECT_EQ(answering.code, 0) << answering.err;
  const auto table = on_cpu("--run-dir there");
  EXPECT_TRUE(contains(table.err, ", 0 made)")) << table.err;
  const auto alone = run("eval --config x.json --set device=standin --run-dir alone");
  EXPECT_TRUE(contains(alone.err, ", 0 made)")) << alone.err;
  for (const auto* file : {"table.csv", "trials.csv", "config.resolved.json"})
    EXPECT_EQ(read_file(folder_ / "there" / file), read_file(folder_ / "alone" / file));
}

// Workers of two kinds: the word after the colon selects one.
TEST_F(E2eStandIn, WorkersElsewhereAreNamedWhereThereAreSeveralKinds) {
  write_file(folder_ / "x.json", R"({"dataset": "dataset", "extractors": ["./net-a.json"], "attacks": ["none"]})");
  for (const auto* device : {"cpu", "standin"})
    ASSERT_EQ(run(concat("eval --config x.json --worker --set device=", device)).code, 0);
  const auto either = run("eval --config x.json --set device=elsewhere");
  EXPECT_EQ(either.code, 2);
  EXPECT_TRUE(contains(either.err, "2 kinds")) << either.err;
  const auto one = run("eval --config x.json --set device=elsewhere:standin --run-dir there");
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(read_json(folder_ / "there/config.resolved.json").at("device"), "standin");
}

TEST_F(E2eStandIn, DetectsAndTrainsEndToEndAsTheCpu) {
  const Json end_to_end = {{"classifier", "end-to-end"},
                           {"name", "trained"},
                           {"steps", 6},
                           {"batch", {{"people", 4}, {"photos", 1}, {"replacement", true}}},
                           {"public_twins", {"noise"}}};
  const Json config = {{"dataset", "dataset"},
                       {"protected", {"p00"}},
                       {"extractors", {"./net-a.json"}},
                       {"attacks", {"none", "noise"}},
                       {"classifiers", {"nearest", end_to_end}}};
  write_file(folder_ / "x.json", config.dump());

  const Json training = {{"task", "cloak-detector"},
                         {"start", "./net-a.json"},
                         {"dataset", "dataset"},
                         {"exclude", "x.json"},
                         {"held_out", 1},
                         {"twins", {"noise"}},
                         {"batch", {{"people", 2}, {"photos", 2}}},
                         {"steps", 6},
                         {"check_every", 2},
                         {"loss", {{"kind", "cloaked"}}}};
  for (const auto* device : {"cpu", "standin"}) write_file(folder_ / concat(device, ".json"), training.dump());
  run_on_both("train --config @.json --device @ -o trained");
  run_on_both("detect dataset --detector trained/cpu.json --device @ -o @-scores.csv");
  expect_equal_tables("-scores.csv");
  run_on_both("detect dataset --detector trained/@.json --device cpu -o @-left.csv");  // the networks of both trainings
  expect_equal_tables("-left.csv");
  run_on_both("eval --config x.json --set device=@ --set 'filter=[\"none\",\"trained/cpu.json\"]' --run-dir @");
  for (const auto* file : {"/table.csv", "/trials.csv", "/others.csv"}) expect_equal_tables(file);
}

class E2eStandInLoss : public E2eStandIn, public ::testing::WithParamInterface<std::string> {};

TEST_P(E2eStandInLoss, TrainsAsTheCpu) {
  Json config = {{"start", "./net-a.json"},
                 {"dataset", "dataset"},
                 {"held_out", 2},
                 {"batch", {{"people", 2}, {"photos", 2}}},
                 {"steps", 6},
                 {"log_every", 1},
                 {"optimiser", GetParam() == "softmax" ? "adadelta" : "adamw"},
                 {"loss", {{"kind", GetParam()}}}};
  if (GetParam() == "none") config["keep"] = 1, config["twins"] = {"noise"};
  for (const auto* device : {"cpu", "standin"}) write_file(folder_ / concat(device, ".json"), config.dump());
  run_on_both("train --config @.json --device @ -o trained");
  EXPECT_EQ(read_csv(folder_ / "trained/training/cpu.csv").rows.size(), 6u);
  for (const auto* device : {"cpu", "standin"})
    fs::copy(folder_ / concat("trained/training/", device, ".csv"), folder_ / concat(device, ".csv"));
  expect_equal_tables(".csv");
  run_on_both("embed dataset -e trained/@.json --device cpu -o @-left.npy");  // its network works on any device
  expect_equal_matrices("-left.npy");
}

INSTANTIATE_TEST_SUITE_P(Each, E2eStandInLoss,
                         ::testing::Values("arcface", "magface", "triplet", "contrastive", "softmax", "none"),
                         [](const auto& info) { return info.param; });

TEST_F(E2eStandIn, GoesOnFromACheckpoint) {
  const Json config = {{"start", "./net-a.json"}, {"dataset", "dataset"}, {"batch", {{"people", 4}, {"photos", 2}}},
                       {"steps", 100000},         {"log_every", 1},       {"loss", {{"kind", "arcface"}}}};
  write_file(folder_ / "x.json", config.dump());
  const std::string interrupted =  // once the log has its first line
      R"(sh -c 'rm -f out/training/x.csv; "$@" & i=0; while [ ! -f out/training/x.csv ] && [ $i -lt 600 ];)"
      R"( do sleep 0.1; i=$((i+1)); done; kill -INT $!; wait $!' sh)";
  for (int once = 0; once < 2; ++once) {
    const auto outcome = run("train --config x.json --device standin -o out", interrupted);
    EXPECT_EQ(outcome.code, 130) << outcome.err;
    EXPECT_EQ(contains(outcome.err, "going on after step"), once == 1) << outcome.err;
  }
}

TEST(E2eStandInNetwork, HasTheCpusGradientThroughTheWarp) {
  const auto cpu = make_extractor("small-surrogate", RunOptions{});
  const auto there = make_extractor("small-surrogate", run_options("standin", "fp32", false));
  Faces faces = drawn_faces(3, 96, true), moved = faces.to(stand_in);
  faces.pixels.requires_grad_(true);
  moved.pixels.requires_grad_(true);
  const auto expected = cpu->embed(faces), found = there->embed(moved);
  EXPECT_EQ(found.device(), stand_in);
  EXPECT_LE((expected - found.cpu()).abs().max().item<float>(), 1e-5);
  expected.square().sum().backward();
  found.square().sum().backward();
  const auto slope = faces.pixels.grad();
  EXPECT_LE((slope - moved.pixels.grad().cpu()).abs().max().item<float>(), 1e-5 * slope.abs().max().item<float>());
}

TEST(E2eStandInNetwork, RefusesTensorsOfTheCpu) {
  const TempFolder folder;
  const auto there = make_extractor(write_tiny_extractor(folder.path).string(), run_options("standin", "fp32", false));
  const auto error = caught([&] { there->embed(drawn_faces(2, 96, true)); });
  EXPECT_EQ(error.code, Exit::model);
  EXPECT_TRUE(contains(error.message, "expected all tensors on the stand-in device, found one on cpu"))
      << error.message;
}

// As with a GPU's tensor: reading it from C++ without a copy crashes here too.
TEST(E2eStandInDeathTest, ItsMemoryIsNotTheHosts) {
  const auto numbers = torch::ones({4}, stand_in);
  EXPECT_EQ(numbers.sum().item<float>(), 4);
  EXPECT_DEATH(numbers.data_ptr<float>()[0] += 1, "");
}

}  // namespace
}  // namespace facepoison::testing
