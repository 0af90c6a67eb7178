// The main job on real photos with the fetched recognisers; needs both, and a minute.
#include "facepoison/home.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class RealMainJob : public ::testing::Test {
 protected:
  void SetUp() override {
    if (real_photos().empty()) GTEST_SKIP() << "FACEPOISON_REAL_PHOTOS names no folder of photos (<person>/*.jpg)";
    for (const auto* name : {"mtcnn", "dlib", "mobilefacenet", "hse-faceres", "faceplugin"})
      if (!fs::exists(fs::path(FACEPOISON_ROOT) / "models" / concat(name, ".pt")))
        GTEST_SKIP() << "models/" << name << ".pt is not here; scripts/fetch_models.py fetches it";
    // Six people with twenty photos each are enough and fast.
    int people = 0;
    for (const auto& person : sorted(real_photos())) {
      if (!fs::is_directory(person) || ++people > 6) continue;
      int photos = 0;
      for (const auto& photo : sorted(person))
        if (++photos <= 20) copy_to(photo, folder_ / "photos" / person.filename() / photo.filename());
    }
  }

  static std::vector<fs::path> sorted(const fs::path& folder) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  TempFolder folder_;
};

TEST_F(RealMainJob, RecognisersKnowCleanPeopleAndPgdFoolsItsSurrogatesOnly) {
  const auto run =
      run_binary(concat("eval --config '", FACEPOISON_ROOT,
                        "/configs/experiments/quickstart.json' --set dataset=photos --set protected=2 ",
                        "--set 'extractors=[\"dlib\",\"mobilefacenet\",\"hse-faceres\",\"faceplugin\"]' ",
                        "--set 'attacks=[\"none\",\"noise\",\"pgd\"]' --store store --run-dir run --format csv"),
                 folder_.path);
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  ASSERT_EQ(table.rows.size(), 12u);
  double surrogates = 0, others = 0;
  for (const auto& row : table.rows) {
    const auto word = [&](const char* name) { return named(table, row, name); };
    const double protection = std::stod(word("protection"));
    EXPECT_LE(std::stod(word("others_error")), 0.05) << word("extractor") << ", " << word("attack");
    if (word("attack") == "pgd") {
      (word("surrogate") == "yes" ? surrogates : others) += protection / 2;
    } else {
      EXPECT_LE(protection, 0.1) << word("extractor") << ", " << word("attack");
    }
  }
  EXPECT_GE(surrogates, 0.9);
  EXPECT_LE(others, 0.5);
}

}  // namespace
}  // namespace facepoison::testing
