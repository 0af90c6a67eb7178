// The other commands, as a user or a script runs them.
#include <algorithm>

#include "facepoison/npy.hpp"
#include "facepoison/random.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 4, 6);
    write_tiny_extractor(folder_.path);
  }
  Outcome run(const std::string& arguments) { return run_binary(arguments + " --store store", folder_.path); }
  TempFolder folder_;
};

TEST_F(E2eCommands, VersionAndHelpGoToStdout) {
  const auto version = run_binary("--version", folder_.path);
  EXPECT_EQ(version.code, 0);
  for (const auto* part : {"commit ", "LibTorch ", "OpenCV "}) EXPECT_TRUE(contains(version.out, part)) << version.out;
  EXPECT_EQ(run_binary("eval --help", folder_.path).code, 0);
  EXPECT_EQ(run_binary("", folder_.path).code, 2);
  EXPECT_EQ(run_binary("frobnicate", folder_.path).code, 2);
  EXPECT_TRUE(run_binary("frobnicate", folder_.path).out.empty());
}

TEST_F(E2eCommands, PrepareListsWhatItRefusesAndGoesOn) {
  fs::create_directories(folder_ / "photos/empty");
  write_file(folder_ / "photos/p00/zz.jpg", "<html>404</html>");
  write_file(folder_ / "photos/p01/half.png", read_file(folder_ / "photos/p01/v0.png").substr(0, 400));
  const auto outcome = run("prepare photos -o again --no-detect --canvas 48");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  const Table rejected = read_csv(folder_ / "again/rejected.csv");
  ASSERT_EQ(rejected.rows.size(), 3u);
  EXPECT_EQ(text(rejected.rows[0][0]), "empty/");
  EXPECT_TRUE(contains(text(rejected.rows[1][2]), "HTML"));
  EXPECT_TRUE(contains(text(rejected.rows[2][2]), "truncated PNG"));
  EXPECT_EQ(read_dataset(folder_ / "again").photos.size(), 24u);
  EXPECT_EQ(run("prepare nowhere -o again").code, 3);
}

TEST_F(E2eCommands, NumbersAreCheckedAsInAConfig) {
  const std::string prepare = "prepare photos -o again --no-detect ", perturb = "perturb dataset --attack noise -o x ",
                    show = "show dataset -o x.png ";
  for (const auto& [command, says] :
       {std::pair{prepare + "--seed -1", "found -1"},
        std::pair{prepare + "--seed 99999999999999999999999", "found 9999"},
        std::pair{prepare + "--seed 9223372036854775808", "to 9223372036854775807"},
        std::pair{prepare + "--split nan", "found nan"}, std::pair{prepare + "--split 1.5", "from 0 to 1"},
        std::pair{prepare + "--canvas 0", "from 16 to 4096"}, std::pair{prepare + "--canvas 100000", "from 16 to 4096"},
        std::pair{prepare + "--canvas 64x", "found 64x"}, std::pair{perturb + "--seed -7", "found -7"},
        std::pair{show + "--seed -7", "found -7"}, std::pair{show + "--photos 99999999999999999999999", "found 9999"},
        std::pair{show + "--side 8", "from 16 to 1024"}}) {
    const auto outcome = run(command);
    EXPECT_EQ(outcome.code, 2) << command;
    EXPECT_TRUE(contains(outcome.err, says)) << command << ": " << outcome.err;
  }
  EXPECT_EQ(run(prepare + "--canvas 48 --seed 9223372036854775807 --split 0.5").code, 0);
}

TEST_F(E2eCommands, SaysThatTheProjectsFolderHoldsNoCards) {
  const auto outcome = run_binary("list extractors", folder_.path, "FACEPOISON_HOME=/nowhere");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(contains(outcome.err, "FACEPOISON_HOME=/nowhere holds no configs/extractors")) << outcome.err;
  EXPECT_EQ(run_binary("list extractors", folder_.path, "FACEPOISON_HOME=").code, 0);
}

TEST_F(E2eCommands, ReadsWhatASpreadsheetSaved) {
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o a.npy").code, 0);
  const auto before = run("identify a.npy a.npy");
  write_file(folder_ / "a.csv", "\xef\xbb\xbf" + read_file(folder_ / "a.csv"));
  EXPECT_EQ(run("identify a.npy a.npy").out, before.out);
  write_file(folder_ / "a.csv", "name\n1\n");
  EXPECT_TRUE(contains(run("identify a.npy a.npy").err, "a.csv")) << "the file that is meant";
}

TEST_F(E2eCommands, EmbedWritesRowsInIdOrderForADataSetAndForCrops) {
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o a.npy").code, 0);
  ASSERT_EQ(run("embed photos -e ./tiny.json -o b.npy").code, 0);
  const auto a = read_npy(folder_ / "a.npy"), b = read_npy(folder_ / "b.npy");
  EXPECT_EQ(a.sizes(), (std::vector<std::int64_t>{24, 16}));
  // The canvas is as large as the drawn photos, so both ways see the same pixels, but for the bytes to which a crop's
  // are rounded after resizing.
  EXPECT_GT((a - b).abs().max().item<float>(), 0);
  EXPECT_LT((a - b).abs().max().item<float>(), 5e-3 * a.abs().max().item<float>());
  const Table names = read_csv(folder_ / "a.csv"), crop_names = read_csv(folder_ / "b.csv");
  EXPECT_EQ(names.columns, (std::vector<std::string>{"id", "person", "split"}));
  EXPECT_EQ(text(names.rows[7][0]), "p01/v1.png");
  EXPECT_EQ(text(crop_names.rows[7][0]), "p01/v1.png");
  EXPECT_EQ(text(crop_names.rows[7][2]), "");
  EXPECT_EQ(run("embed dataset -e ./tiny.json -o a.txt").code, 2);
}

TEST_F(E2eCommands, PrepareDropsDuplicatesUnlessTheyAreToBeKept) {
  fs::copy_file(folder_ / "photos/p00/v1.png", folder_ / "photos/p01/v9.png");
  const auto dropped = run("prepare photos -o again --no-detect --canvas 48 --drop-duplicates");
  EXPECT_EQ(dropped.code, 0);
  EXPECT_TRUE(contains(dropped.err, "duplicates dropped: 1 exact (0 within and 1 across people)")) << dropped.err;
  EXPECT_EQ(read_dataset(folder_ / "again").photos.size(), 24u);
  EXPECT_FALSE(fs::exists(folder_ / "again/canvas/p01/v9.png.png"));
  ASSERT_EQ(run("prepare photos -o kept --no-detect --canvas 48 --keep-duplicates").code, 0);
  EXPECT_EQ(read_dataset(folder_ / "kept").photos[12].duplicate_of, "p00/v1.png");
  EXPECT_EQ(run("prepare photos -o x --no-detect --canvas 48 --keep-duplicates --drop-duplicates").code, 2);
}

// A canvas is replaced after its embedding was cached: the old picture's embedding must not be used.
TEST_F(E2eCommands, EveryCommandNoticesAnEditedCanvas) {
  const Json config = {{"dataset", "dataset"}, {"extractors", {"./tiny.json"}}, {"attacks", {"none"}}};
  write_file(folder_ / "x.json", config.dump());
  const std::vector<std::string> commands = {"embed dataset -e ./tiny.json -o a.npy",
                                             "identify dataset dataset -e ./tiny.json", "eval -c x.json --run-dir run",
                                             "perturb dataset --attack noise -o noisy", "show dataset -o sheet.png"};
  for (const auto& command : commands) ASSERT_EQ(run(command).code, 0) << command;
  fs::copy_file(folder_ / "dataset/canvas/p01/v1.png.png", folder_ / "other.png");
  fs::rename(folder_ / "other.png", folder_ / "dataset/canvas/p00/v2.png.png");
  for (const auto& command : commands) {
    const auto outcome = run(command);
    EXPECT_EQ(outcome.code, 3) << command;
    for (const auto* part : {"photo p00/v2.png", "changed since the data set was made"})
      EXPECT_TRUE(contains(outcome.err, part)) << command << ": " << outcome.err;
  }
}

TEST_F(E2eCommands, Bf16IsCloseButNotTheSame) {
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o a.npy").code, 0);
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o b.npy --precision bf16").code, 0);
  const auto a = read_npy(folder_ / "a.npy"), b = read_npy(folder_ / "b.npy");
  EXPECT_FALSE(torch::equal(a, b));
  EXPECT_GT(at::cosine_similarity(a, b, 1).min().item<float>(), 0.999);
}

TEST_F(E2eCommands, IdentifyTakesDataSetsAndMatricesAlike) {
  const auto by_data = run("identify dataset dataset -e ./tiny.json");
  ASSERT_EQ(by_data.code, 0) << by_data.err;
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o a.npy").code, 0);
  const auto by_matrix = run("identify a.npy a.npy");
  EXPECT_EQ(by_data.out, by_matrix.out);
  const Table table = parse_csv(by_data.out, "stdout");
  EXPECT_EQ(table.columns, (std::vector<std::string>{"id", "person", "predicted", "distance", "correct"}));
  EXPECT_EQ(table.rows.size(), 8u) << "two test photos of each of four people";
  EXPECT_EQ(run("identify a.npy a.npy --classifier centroid").code, 0);
  EXPECT_EQ(run("identify a.npy a.npy --classifier centroit").code, 2);
}

// Writes NumPy's float64, N×2, and the rows' names: person 0's photos first, `each` photos a person.
void write_doubles(const fs::path& path, const std::vector<double>& numbers, std::size_t each) {
  const auto rows = numbers.size() / 2;
  std::string header = concat("{'descr': '<f8', 'fortran_order': False, 'shape': (", rows, ", 2), }\n");
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header;
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  write_file(path, bytes);
  std::string names = "id,person,split\n";
  for (std::size_t i = 0; i < rows; ++i) names += concat(path.stem().string(), "/", i, ".png,p", i / each, ",\n");
  write_file(fs::path(path).replace_extension(".csv"), names);
}

// Near 10⁷ float32 has only whole numbers.
TEST_F(E2eCommands, IdentifyComparesDoublesAsDoubles) {
  std::vector<double> gallery, probes;
  for (int person = 0; person < 10; ++person) {
    for (const double moved : {0.0, 0.001}) gallery.insert(gallery.end(), {1e7 + 0.02 * person + moved, 1e7 + moved});
    probes.insert(probes.end(), {1e7 + 0.02 * person + 0.002, 1e7 + 0.002});
  }
  write_doubles(folder_ / "g.npy", gallery, 2), write_doubles(folder_ / "p.npy", probes, 1);
  const auto outcome = run("identify g.npy p.npy");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Table table = parse_csv(outcome.out, "stdout");
  ASSERT_EQ(table.rows.size(), 10u);
  for (const auto& row : table.rows) EXPECT_EQ(named(table, row, "correct"), "1") << named(table, row, "id");
}

TEST_F(E2eCommands, IdentifyNamesThePhotoThatHasNoDirection) {
  write_doubles(folder_ / "g.npy", {1, 0, 0, 1}, 1), write_doubles(folder_ / "p.npy", {1, 1, 0, 0}, 1);
  const auto outcome = run("identify g.npy p.npy --classifier nearest-cosine");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_TRUE(contains(outcome.err, "p/1.png") && contains(outcome.err, "zeros")) << outcome.err;
  EXPECT_EQ(run("identify g.npy p.npy").code, 0) << "a place is all that nearest wants";
}

TEST_F(E2eCommands, IdentifyRefusesAPhotoOnBothSides) {
  ASSERT_EQ(run("embed photos -e ./tiny.json -o a.npy").code, 0);
  const auto outcome = run("identify a.npy a.npy");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_TRUE(contains(outcome.err, "p00/v0.png is on both sides")) << outcome.err;
}

// Two trees with the same names, and other pictures.
TEST_F(E2eCommands, IdentifyTellsPicturesApartNotNames) {
  for (int p = 0; p < 3; ++p)
    for (int v = 0; v < 3; ++v)
      for (const std::string side : {"train", "val"})
        write_file(folder_ / concat("tree/", side, "/p0", p, "/", v, ".png"),
                   encode_png(draw_photo(p, v + (side == "val" ? 3 : 0))));
  for (const std::string side : {"train", "val"})
    ASSERT_EQ(run(concat("embed tree/", side, " -e ./tiny.json -o ", side, ".npy")).code, 0);
  const auto apart = run("identify train.npy val.npy");
  ASSERT_EQ(apart.code, 0) << apart.err;
  EXPECT_EQ(parse_csv(apart.out, "stdout").rows.size(), 9u);
  EXPECT_TRUE(contains(apart.err, "9 of 9 probes have the name of a photo of the gallery")) << apart.err;
  ASSERT_EQ(run("prepare tree/train -o tr --split 1 --no-detect --canvas 48").code, 0);
  ASSERT_EQ(run("prepare tree/val -o va --split 0 --no-detect --canvas 48").code, 0);
  const auto whole = run("identify tr va -e ./tiny.json");
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(parse_csv(whole.out, "stdout").rows.size(), 9u);
  ASSERT_EQ(run("embed tree -e ./tiny.json -o tree.npy").code, 0);
  const auto together = run("identify tree.npy tree.npy");
  ASSERT_EQ(together.code, 0) << together.err;
  EXPECT_FALSE(contains(together.err, "warning")) << together.err;
  EXPECT_EQ(parse_csv(together.out, "stdout").rows.size(), 9u);
  fs::copy_file(folder_ / "tree/train/p00/0.png", folder_ / "tree/val/p00/9.png");
  ASSERT_EQ(run("embed tree/val -e ./tiny.json -o val.npy").code, 0);
  const auto leak = run("identify train.npy val.npy");
  EXPECT_EQ(leak.code, 0);
  EXPECT_TRUE(contains(leak.err, "1 of 10 probes are in the gallery under another name: p00/9.png (p00/0.png)"))
      << leak.err;
}

TEST_F(E2eCommands, PerturbTracesEveryStepOfEveryPhoto) {
  for (const std::string again : {"", "2"}) {  // made, and found in the store
    const auto outcome = run(concat(
        "perturb dataset --attack fawkes-v0.3-min --surrogates ./tiny.json --set steps=5 --people p01 --trace trace",
        again, ".csv -o out", again));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const Table trace = read_csv(folder_ / "trace.csv"), budget = read_csv(folder_ / "out/budget.csv");
  EXPECT_EQ(trace.columns, (std::vector<std::string>{"id", "iteration", "loss", "dssim", "similarity"}));
  EXPECT_EQ(trace.rows.size(), 6 * budget.rows.size()) << "the start and five steps";
  EXPECT_EQ(text(trace.rows[5][1]), "5");
  EXPECT_EQ(text(budget.rows[0][3]), "5");
  EXPECT_LT(as_number(budget.rows[0][8], "similarity"), as_number(trace.rows[0][4], "similarity"))
      << "nearer to the target than at the start";
  EXPECT_EQ(read_file(folder_ / "trace.csv"), read_file(folder_ / "trace2.csv"));
}

TEST_F(E2eCommands, PerturbGivesAWholeDataSetAgain) {
  const auto outcome = run("perturb dataset --attack noise --people p01,p02 -o noisy");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Dataset clean = read_dataset(folder_ / "dataset"), noisy = read_dataset(folder_ / "noisy");
  ASSERT_EQ(clean.photos.size(), noisy.photos.size());
  std::size_t changed = 0;
  for (std::size_t i = 0; i < clean.photos.size(); ++i) {
    const auto &before = clean.photos[i], &after = noisy.photos[i];
    EXPECT_EQ(before.id, after.id);
    EXPECT_EQ(before.split, after.split);
    EXPECT_EQ(after.sha256, sha256_of_file(after.path));
    const bool chosen = (before.person == "p01" || before.person == "p02") && before.train();
    EXPECT_EQ(before.sha256 != after.sha256, chosen) << before.id;
    changed += chosen;
  }
  const Table budget = read_csv(folder_ / "noisy/budget.csv");
  EXPECT_EQ(budget.columns,
            (std::vector<std::string>{"id", "attack", "status", "iterations", "linf", "l2", "psnr", "dssim",
                                      "dssim_seen", "similarity", "transform", "energy_left", "seed"}));
  EXPECT_GT(changed, 0u);
  EXPECT_EQ(budget.rows.size(), changed);
  for (const auto& row : budget.rows) {
    EXPECT_EQ(text(row[4]), "8");
    EXPECT_EQ(text(row[8]), "") << "noise has no measure of its own";
    EXPECT_NEAR(as_number(row[6], "psnr"), 20 * std::log10(255.0 / 8), 0.7)
        << "every pixel moved by 8, but for those at the range's ends";
  }
  EXPECT_EQ(run("perturb dataset --attack noise --people nobody -o x").code, 2);
  EXPECT_EQ(run("perturb dataset --attack noise --set epsillon=1 -o x").code, 2);
  EXPECT_EQ(run("perturb dataset --attack noise -o dataset").code, 2);
  EXPECT_EQ(run("perturb dataset --attack noise --set 'before={\"transform\":\"side\",\"side\":32}' -o x").code, 2);
}

TEST_F(E2eCommands, PerturbedPhotosDoNotPassAsClean) {
  ASSERT_EQ(run("perturb dataset --attack noise --people p01,p02 -o noisy").code, 0);
  const auto perturbed = [&](const std::string& name) {
    std::map<std::string, std::size_t> counts;
    for (const auto& photo : read_dataset(folder_ / name).photos) ++counts[photo.perturbed_by];
    return counts;
  };
  EXPECT_EQ(perturbed("noisy"), (std::map<std::string, std::size_t>{{"", 16}, {"noise", 8}}));

  const Json config = {{"dataset", "noisy"}, {"extractors", {"./tiny.json"}}, {"attacks", {"none", "noise"}}};
  write_file(folder_ / "x.json", config.dump());
  for (const std::string command :
       {"eval -c x.json --run-dir run", "perturb noisy --attack noise -o x", "prepare noisy/canvas --no-detect -o x"}) {
    const auto outcome = run(command);
    EXPECT_EQ(outcome.code, 3) << command;
    EXPECT_TRUE(contains(outcome.err, " photos are perturbed, by noise; expected clean ones")) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(folder_ / "run") || fs::exists(folder_ / "x"));
  for (const std::string command : {"embed noisy -e ./tiny.json -o x.npy", "identify noisy noisy -e ./tiny.json",
                                    "show noisy -o sheet.png", "perturb noisy --attack none --people p03 -o other"})
    EXPECT_EQ(run(command).code, 0) << command;

  ASSERT_EQ(run("eval -c x.json --run-dir run --allow-perturbed").code, 0);
  EXPECT_TRUE(contains(read_file(folder_ / "run/run.json"), "8 of 24 photos are perturbed, by noise"));
  ASSERT_EQ(run("prepare noisy/canvas --no-detect --canvas 48 --allow-perturbed -o again").code, 0);
  EXPECT_EQ(perturbed("again").at("noise"), 8u);

  // Perturbing twice moves farther than once.
  ASSERT_EQ(run("perturb noisy --attack noise --people p00,p01 --allow-perturbed -o twice").code, 0);
  EXPECT_EQ(perturbed("twice"), (std::map<std::string, std::size_t>{{"", 12}, {"noise", 8}, {"noise + noise", 4}}));
  for (const Table& budget : {read_csv(folder_ / "twice/budget.csv"), read_csv(folder_ / "run/budget.csv")})
    for (const auto& row : budget.rows) {
      const bool again = text(row[0]).starts_with("p01") || (text(row[0]).starts_with("p02"));
      EXPECT_EQ(text(row[4]), again ? "16" : "8") << text(row[0]);
    }
  EXPECT_EQ(run("perturb noisy --attack noise -o dataset --allow-perturbed").code, 2) << "they are from there";
  fs::rename(folder_ / "dataset", folder_ / "elsewhere");
  const auto lost = run("perturb noisy --attack noise --people p01 --allow-perturbed -o x");
  EXPECT_EQ(lost.code, 3);
  EXPECT_TRUE(contains(lost.err, "its original is not in")) << lost.err;
}

TEST_F(E2eCommands, ShowDrawsPeopleAndStrips) {
  const auto decoded = [&](const std::string& name) { return decode_image(read_file(folder_ / name), Exif::ignore); };
  const auto people = run("show dataset --side 48 -o people.png");
  ASSERT_EQ(people.code, 0) << people.err;
  EXPECT_TRUE(people.out.empty());
  EXPECT_EQ(decoded("people.png").width, 4 + 6 * 52);
  EXPECT_EQ(decoded("people.png").height, 4 + 4 * (16 + 52)) << "four people, a label above each row";
  ASSERT_EQ(run("show dataset --people 'p0[12]' --photos 2 --side 48 -o two.jpg").code, 0);
  EXPECT_EQ(decoded("two.jpg").width, 4 + 2 * 52);
  EXPECT_EQ(decoded("two.jpg").height, 4 + 2 * (16 + 52));

  ASSERT_EQ(run("show dataset --attack none,noise --people p01 --side 48 -o strip.png").code, 0);
  const Image strip = decoded("strip.png");
  EXPECT_EQ(strip.width, 4 + 5 * 52) << "original, and two pictures for each attack";
  const auto distance_from_grey = [&](int column) {
    double sum = 0;
    for (const auto value : crop_image(strip, 4 + column * 52, 20, 48, 48).rgb) sum += std::abs(value - 128);
    return sum / (48 * 48 * 3);
  };
  EXPECT_EQ(distance_from_grey(2), 0) << "none changes nothing";
  EXPECT_GT(distance_from_grey(4), 50) << "noise of 8 levels, times 8";
  EXPECT_LE(distance_from_grey(4), 64);

  EXPECT_EQ(run("show dataset -o sheet.gif").code, 2);
  EXPECT_EQ(run("show dataset --people zoe -o sheet.png").code, 2);
  EXPECT_EQ(run("show nowhere -o sheet.png").code, 3);
  EXPECT_FALSE(fs::exists(folder_ / "sheet.png"));
}

TEST_F(E2eCommands, NoOutputReplacesAnInput) {
  prepare_drawn(folder_.path, 3, 3);
  const auto card = write_tiny_extractor(folder_.path).filename().string();
  const auto code = [&](const std::string& command) { return run_binary(command, folder_.path).code; };
  ASSERT_EQ(code("embed dataset -e ./" + card + " --trust-model -o x.npy"), 0);
  const auto before = read_file(folder_ / "x.csv");
  EXPECT_EQ(code("identify x.npy x.npy -o x.csv"), 2);
  EXPECT_EQ(code("identify x.npy x.npy -o x.npy"), 2);
  EXPECT_EQ(read_file(folder_ / "x.csv"), before);
  write_file(folder_ / "dataset/sheet.png", encode_png(draw_photo(1, 1)));
  const auto run = run_binary("show dataset -o dataset/sheet.png", folder_.path);
  EXPECT_EQ(run.code, 2);
  EXPECT_TRUE(contains(run.err, "is an input of this command")) << run.err;
  EXPECT_EQ(code("show dataset/manifest.jsonl -o dataset/canvas/p00/v0.png.png"), 2);
  EXPECT_EQ(code("show dataset -o sheet.png"), 0);
  EXPECT_EQ(code("show dataset -o sheet.png"), 0) << "an earlier output is replaced";
}

// A sheet next to the people's folders is not a photo; inside one of them it would be, at the next run.
TEST_F(E2eCommands, ShowDoesTheSecondTimeWhatItDidTheFirst) {
  std::string landmarks = "id,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n";
  for (const auto& photo : read_dataset(folder_ / "dataset").photos) {
    landmarks += photo.id;
    for (const auto& p : canvas_landmarks()) landmarks += concat(",", p.x / 4, ",", p.y / 4);
    landmarks += "\n";
  }
  write_file(folder_ / "photos/landmarks.csv", landmarks);
  for (int time = 0; time < 2; ++time) {
    const auto beside = run("show photos -o photos/sheet.png");
    EXPECT_EQ(beside.code, 0) << beside.err;
    for (const std::string output : {"photos/p00/sheet.png", "photos/new/sheet.png", "dataset/sheet.png"}) {
      const auto among = run(concat("show ", output.substr(0, output.find('/')), " -o ", output));
      EXPECT_EQ(among.code, 2) << output;
      EXPECT_TRUE(contains(among.err, "would be an input of this command")) << among.err;
      EXPECT_FALSE(fs::exists(folder_ / output));
    }
  }
  fs::rename(folder_ / "photos/p00/v0.png", folder_ / "photos/pool.png");
  fs::create_symlink("../pool.png", folder_ / "photos/p00/v0.png");
  for (const auto* photo : {"photos/p00/v0.png", "photos/p00/v1.png", "photos/pool.png"})
    EXPECT_TRUE(contains(run(concat("show photos -o ", photo)).err, "is an input of this command")) << photo;
  EXPECT_TRUE(contains(run("detect photos/p00 -d x -o photos/p00/v1.png").err, "is an input of this command"))
      << "flat";
}

// Each command also has a missing input: the message shows which check came first.
TEST_F(E2eCommands, AnOutputThatCannotBeWrittenIsFoundBeforeTheWork) {
  write_file(folder_ / "file", "no folder");
  for (const std::string command :
       {"prepare nowhere -o file/x", "perturb nowhere --attack noise -o file/x",
        "perturb nowhere --attack noise -o x --trace file/x", "embed nowhere -e ./tiny.json -o file/x.npy",
        "identify nowhere nowhere -o file/x", "eval -c nowhere.json -o file/x", "eval -c nowhere.json --run-dir file/x",
        "table nowhere -o file/x", "compare nowhere nowhere -o file/x", "show nowhere -o file/x.png",
        "train -c nowhere.json -o file/x", "check ./nowhere.json -o file/x"}) {
    const auto outcome = run_binary(command, folder_.path);
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_TRUE(contains(outcome.err, "cannot write file/x")) << command << ": " << outcome.err;
  }
  write_file(folder_ / "runs", "no folder");
  EXPECT_TRUE(contains(run("eval -c nowhere.json").err, "cannot write runs/nowhere/run.json"));
  EXPECT_FALSE(contains(run("eval -c nowhere.json --dry-run").err, "cannot write")) << "nothing would be";
}

TEST_F(E2eCommands, EmbedReplacesNoListOfSomebodyElses) {
  write_file(folder_ / "lfw.csv", "name,photos\nann,3\n");
  const auto outcome = run("embed dataset -e ./tiny.json -o lfw.npy");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(contains(outcome.err, "lfw.csv, which is not a list made by embed")) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "lfw.csv"), "name,photos\nann,3\n");
  fs::remove(folder_ / "lfw.csv");
  for (int time = 0; time < 2; ++time) EXPECT_EQ(run("embed dataset -e ./tiny.json -o lfw.npy").code, 0) << "its own";
}

TEST_F(E2eCommands, SaysThatTheLinkToTheLatestRunCouldNotBeMoved) {
  const Json config = {{"dataset", "dataset"}, {"extractors", {"./tiny.json"}}, {"attacks", {"none"}}};
  write_file(folder_ / "x.json", config.dump());
  write_file(folder_ / "runs/x/latest/mine", "a folder");
  const auto outcome = run("eval -c x.json");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "runs/x/latest does not point to this run")) << outcome.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "runs/x"), {}), 2) << "the run and that folder";
  fs::remove_all(folder_ / "runs/x/latest");
  EXPECT_FALSE(contains(run("eval -c x.json").err, "latest"));
}

// The next opened file would get the number of a closed one, and messages would go into it.
TEST_F(E2eCommands, NoMessageGoesIntoAFileWhereStderrIsClosed) {
  const Json config = {{"dataset", "dataset"}, {"extractors", {"./tiny.json"}}, {"attacks", {"none"}}};
  write_file(folder_ / "x.json", config.dump());
  ASSERT_EQ(run("eval -c x.json -v --run-dir open").code, 0);
  const auto closed = [&](const std::string& arguments, const std::string& then) {  // `then` gets run_binary()'s files
    return run_binary(concat(arguments, " --store another 0<&- 2>&- ", then), folder_.path).code;
  };
  ASSERT_EQ(closed("eval -c x.json -v --run-dir closed", "&& true"), 0);
  for (const auto* file : {"rows.csv", "trials.csv", "others.csv", "table.csv"})
    EXPECT_EQ(read_file(folder_ / "open" / file), read_file(folder_ / "closed" / file)) << file;
  EXPECT_EQ(closed("embed dataset -e ./tiny.json -o x.npy", "1>&- && true"), 0);
  EXPECT_EQ(closed("identify dataset dataset -e ./tiny.json", "1>&-; test $? -eq 7"), 0) << "lost in silence";
}

// libgomp prints how often a thread looks before it sleeps. Its default looks like the passive policy in that list.
TEST_F(E2eCommands, ThreadsWaitQuietlyUnlessAskedToSpin) {
  const auto sleeps_at_once = [&](const std::string& environment) {
    const auto run = run_binary("--version", folder_.path, environment + " OMP_DISPLAY_ENV=verbose ");
    EXPECT_EQ(run.code, 0);
    EXPECT_TRUE(contains(run.err, "GOMP_SPINCOUNT = '")) << run.err;
    return contains(run.err, "GOMP_SPINCOUNT = '0'");
  };
  EXPECT_TRUE(sleeps_at_once("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT"));
  EXPECT_FALSE(sleeps_at_once("env -u GOMP_SPINCOUNT OMP_WAIT_POLICY=active"));
}

// MKL prints with every product the rule for its kernel. The second run finds nothing in the store, because the rule is
// a part of the keys.
TEST_F(E2eCommands, ProductsDoNotDependOnAlignmentUnlessTheUserSaysSo) {
  const auto products = [&](const std::string& environment) {
    const auto outcome =
        run_binary("embed dataset -e ./tiny.json -o x.npy --store store", folder_.path, environment + " MKL_VERBOSE=1");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  const auto by_default = products("env -u MKL_CBWR");
  if (!contains(by_default, "MKL_VERBOSE")) GTEST_SKIP() << "this LibTorch does not multiply by MKL";
  EXPECT_TRUE(contains(by_default, "CNR:AUTO,STRICT ")) << by_default;
  EXPECT_TRUE(contains(products("env MKL_CBWR=COMPATIBLE"), "CNR:COMPATIBLE "));
}

TEST_F(E2eCommands, ListsComeInEveryFormat) {
  const auto list = run_binary("list extractors --format csv", folder_.path);
  ASSERT_EQ(list.code, 0) << list.err;
  const Table table = parse_csv(list.out, "stdout");
  std::string last;
  for (const auto& row : table.rows) {
    const std::string year = text(row[1]).substr(0, 4);  // "2015 style" is a stand-in's
    EXPECT_LE(last, year) << "by release";
    last = year;
  }
  EXPECT_GE(table.rows.size(), 4u);
  EXPECT_EQ(run_binary("list attacks --format json", folder_.path).code, 0);
  EXPECT_EQ(run_binary("list classifiers --format latex", folder_.path).code, 0);
  EXPECT_EQ(run_binary("list transforms --format csv", folder_.path).code, 0);
  EXPECT_EQ(run_binary("list nothing", folder_.path).code, 2);
  EXPECT_EQ(run_binary("list classifiers --format xml", folder_.path).code, 2);
}

TEST_F(E2eCommands, ADeviceThatIsNotThereIsExit8) {
  const auto outcome = run("embed dataset -e ./tiny.json -o a.npy --device cuda:99");
  EXPECT_EQ(outcome.code, 8);
  EXPECT_TRUE(contains(outcome.err, "LibTorch sees")) << outcome.err;
}

TEST_F(E2eCommands, AFullDiskIsExit7AndLosesNothing) {
  ASSERT_EQ(run("embed dataset -e ./tiny.json -o a.npy").code, 0);
  const std::string before = read_file(folder_ / "a.npy");
  const auto outcome = run_binary("embed photos -e ./tiny.json -o a.npy", folder_.path, "prlimit --fsize=512");
  EXPECT_EQ(outcome.code, 7) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "a.npy"), before);
}

TEST_F(E2eCommands, CheckNamesTheMistakeThatExplainsAnotherPipelinesEmbedding) {
  fs::create_directories(folder_ / "one/p00");
  fs::copy_file(folder_ / "photos/p00/v0.png", folder_ / "one/p00/v0.png");
  Json card = read_json(folder_ / "tiny.json");
  card["input"]["channels"] = card["input"]["channels"] == "rgb" ? "bgr" : "rgb";
  write_file(folder_ / "other.json", card.dump());
  for (const std::string name : {"tiny", "other"})
    ASSERT_EQ(run(concat("embed one -e ./", name, ".json -o ", name, ".npy")).code, 0);
  const std::string check = "check ./tiny.json --image one/p00/v0.png --crop --format json --reference ";
  const auto same = run_binary(check + "tiny.npy", folder_.path), other = run_binary(check + "other.npy", folder_.path);
  EXPECT_EQ(same.code, 0) << same.err << same.out;
  EXPECT_TRUE(contains(same.out, "agrees")) << same.out;
  EXPECT_EQ(other.code, 4);
  EXPECT_TRUE(contains(other.out, "explained by: channels ")) << other.out;
  EXPECT_EQ(run_binary("check ./tiny.json --image one/p00/v0.png", folder_.path).code, 2)
      << "an image alone has nothing to be compared with";
}

// Pictures that show the person only in the red plane, and a network that sees only the first plane.
class E2eCheckPhotos : public ::testing::Test {
 protected:
  static constexpr int people = 8, photos = 6, side = 48;

  void SetUp() override {
    for (int p = 0; p < people; ++p)
      for (int n = 0; n < photos; ++n)
        write_file(folder_ / concat("photos/p", p, "/", n, ".png"), encode_png(picture(p, n)));
    ASSERT_EQ(run("prepare photos -o dataset --no-detect --canvas 48 --store store").code, 0);
    write_tiny_extractor(folder_.path);  // for its card
    torch::jit::Module module("red");
    module.register_parameter("middle", torch::full({1}, 0.5), false);
    module.define(
        "def forward(self, x):\n  return torch.flatten(torch.adaptive_avg_pool2d(x[:, :1], [6, 6]), 1) - "
        "self.middle\n");
    module.save((folder_ / "red.pt").string());
    write_card("right", "rgb"), write_card("wrong", "bgr");
  }

  static Image picture(int person, int photo) {
    Stream who(1, "who", concat(person)), which(1, "which", concat(person), concat(photo));
    double red[36], others[2][36];
    for (auto& block : red) block = who.uniform() + 0.2 * (which.uniform() - 0.5);
    for (auto& plane : others)
      for (auto& block : plane) block = which.uniform();
    Image image{side, side, {}};
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        for (const auto* plane : {red, others[0], others[1]})
          image.rgb.push_back(static_cast<std::uint8_t>(std::clamp(255 * plane[y / 8 * 6 + x / 8], 0.0, 255.0)));
    return image;
  }

  void write_card(const std::string& name, const std::string& channels) {
    Json card = read_json(folder_ / "tiny.json");
    card["file"] = "./red.pt", card["sha256"] = sha256_of_file(folder_ / "red.pt"), card["dimension"] = 36;
    card["input"] = {{"side", 48},   {"template", "none"}, {"channels", channels},
                     {"scale", 1.0}, {"mean", {0, 0, 0}},  {"std", {1, 1, 1}}};
    write_file(folder_ / (name + ".json"), card.dump());
  }

  Outcome run(const std::string& arguments, const std::string& environment = "") {
    return run_binary(arguments, folder_.path, environment);
  }

  static const std::vector<Cell>& row_of(const Table& table, const std::string& what) {
    return *std::find_if(table.rows.begin(), table.rows.end(), [&](const auto& row) { return text(row[0]) == what; });
  }

  TempFolder folder_;
};

TEST_F(E2eCheckPhotos, TheRightCardIsLeftAsItIs) {
  const std::string check = "check ./right.json --photos dataset --format csv";
  const auto outcome = run(check);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Table table = parse_csv(outcome.out, "stdout");
  EXPECT_EQ(text(table.rows[0][0]), "the card");
  EXPECT_EQ(named(table, table.rows[0], "tar"), "1");
  const auto& swapped = row_of(table, "channels bgr");
  EXPECT_LT(as_number(swapped[1], "tar"), 0.3);
  EXPECT_EQ(named(table, swapped, "reading"), "worse");
  EXPECT_LT(as_number(swapped[9], "gain_high"), 0);
  for (const auto& row : table.rows)
    for (const auto* idle : {"interpolation", "template", "crop", "mirror"})
      EXPECT_FALSE(contains(text(row[0]), idle)) << "changes nothing here, or is not tried: " << text(row[0]);
  EXPECT_EQ(run(check, "OMP_NUM_THREADS=1").out, outcome.out);
}

TEST_F(E2eCheckPhotos, TheWrongOneIsExit4WithWhatToWrite) {
  const auto outcome = run("check ./wrong.json --photos dataset");
  EXPECT_EQ(outcome.code, 4);
  EXPECT_TRUE(contains(outcome.err, R"(set on the card {"input":{"channels":"rgb"}})")) << outcome.err;
  for (const auto* part : {"channels rgb", "better", "48 photos of 8 people", "120 pairs of one person", "1008 of"})
    EXPECT_TRUE(contains(outcome.out, part)) << outcome.out;
}

TEST_F(E2eCheckPhotos, TooFewPhotosAreExit3) {
  const auto outcome = run("check ./right.json --photos dataset --most-photos 47");
  EXPECT_EQ(outcome.code, 3);
  for (const auto* part : {"too few", "found 8 people", "966 pairs", "expected at least 6 people and 1000 pairs"})
    EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
}

TEST_F(E2eCheckPhotos, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(run("check ./right.json --photos photos").code, 3) << "not a data set";
  EXPECT_EQ(run("check small-cloak-detector --photos dataset").code, 4) << "no recogniser";
  EXPECT_EQ(run("check ./right.json --most-photos 40").code, 2);
  EXPECT_EQ(run("check ./right.json --photos dataset --image photos/p0/0.png --reference x.npy").code, 2);
}

TEST_F(E2eCommands, CheckPrintsWhatItChecked) {
  const auto pinned = run_binary("check ./tiny.json --format csv", folder_.path);
  ASSERT_EQ(pinned.code, 0) << pinned.err;
  Table table = parse_csv(pinned.out, "stdout");
  EXPECT_EQ(text(table.rows[0][column(table, "sha256", "stdout")]), sha256_of_file(folder_ / "tiny.pt"));
  EXPECT_EQ(text(table.rows[0][column(table, "pinned_by", "stdout")]), "card");
  Json card = read_json(folder_ / "tiny.json");
  card.erase("sha256");
  write_file(folder_ / "tiny.json", card.dump());
  const auto trusted = run_binary("check ./tiny.json --trust-model --format csv", folder_.path);
  table = parse_csv(trusted.out, "stdout");
  EXPECT_TRUE(contains(text(table.rows[0][column(table, "pinned_by", "stdout")]), "nobody")) << trusted.out;
}

TEST_F(E2eCommands, PerturbCountsWhatBecameOfThePhotos) {
  const std::string attack =
      "perturb dataset --attack fawkes-v1.0-low --surrogates ./tiny.json --people p00 --set steps=1 ";
  // One step is scored before it is taken: the start, which exceeds the budget if it is large.
  const auto clean = run(attack + "--set rescue=false --set start_size=0.5 --set clip=255 -o one");
  EXPECT_TRUE(contains(clean.err, "infeasible, kept clean)")) << clean.err;
  const auto rescued = run(attack + "--set slack=1 --set threshold=0 -o two");
  EXPECT_TRUE(contains(rescued.err, " last-iterate")) << rescued.err;
  EXPECT_FALSE(contains(rescued.err, "kept clean")) << rescued.err;
}

TEST_F(E2eCommands, CropsTurnByExifUnlessAskedNotTo) {
  const Image upright = draw_photo(1, 1, 48);
  write_file(folder_ / "up/ann/0.jpg", encode_jpeg(upright, 95));
  write_file(folder_ / "lying/ann/0.jpg", with_exif_turn(encode_jpeg(lying(upright), 95)));
  for (const std::string name : {"up", "lying"})
    ASSERT_EQ(run(concat("embed ", name, " -e ./tiny.json -o ", name, ".npy")).code, 0);
  ASSERT_EQ(run("embed lying --ignore-exif -e ./tiny.json -o old.npy").code, 0);
  const std::string check = "check ./tiny.json --image lying/ann/0.jpg --crop --format json --reference ";
  EXPECT_EQ(run_binary(check + "lying.npy", folder_.path).code, 0);
  EXPECT_EQ(run_binary(check + "old.npy --ignore-exif", folder_.path).code, 0);
  EXPECT_EQ(run_binary(check + "old.npy", folder_.path).code, 4);
  const auto up = read_npy(folder_ / "up.npy"), turned = read_npy(folder_ / "lying.npy");
  const auto old = read_npy(folder_ / "old.npy");
  EXPECT_GT(at::cosine_similarity(up, turned, 1).item<float>(), 0.999);
  EXPECT_FALSE(at::allclose(up, old, 1e-2, 1e-2));
  EXPECT_EQ(run("embed dataset --ignore-exif -e ./tiny.json -o x.npy").code, 2) << "its photos were turned long ago";
}

}  // namespace
}  // namespace facepoison::testing
