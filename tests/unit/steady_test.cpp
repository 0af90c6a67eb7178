// Networks that answer differently each time, or depending on the other photos of the batch, are refused when they are
// first loaded; and a model's file is loaded from the bytes that were verified.
#include "facepoison/model.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Steady : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  // tiny's card with a network that ends in `last`, Python on the embeddings y.
  std::shared_ptr<const FeatureExtractor> ending_in(const std::string& last) {
    const auto card_path = write_tiny_extractor(folder_.path);
    torch::jit::Module module("tiny");
    module.define(
        "def forward(self, x):\n  y = torch.flatten(torch.adaptive_avg_pool2d(x, [4, 4]), 1)[:, 0:16]\n  return " +
        last + "\n");
    module.save((folder_ / "tiny.pt").string());
    Json card = read_json(card_path);
    card["sha256"] = sha256_of_file(folder_ / "tiny.pt");
    write_file(card_path, card.dump());
    return make_extractor(card_path.string(), {});
  }
  Caught embedding(const std::string& last) {
    return caught([&] { ending_in(last)->embed(drawn_faces(3, 48, false)); });
  }

  TempFolder folder_;
};

TEST_F(Steady, RefusesWhatWasTracedInTrainingMode) {
  for (const auto* last : {"torch.dropout(y, 0.5, True)", "y - torch.mean(y, 0, True)",
                           "torch.batch_norm(y, None, None, None, None, True, 0.1, 1e-5, False)"}) {
    const auto error = embedding(last);
    EXPECT_EQ(error.code, Exit::model) << last;
    EXPECT_TRUE(contains(error.message, ".eval()")) << error.message;
  }
}

TEST_F(Steady, TakesWhatAnswersAlike) {
  EXPECT_NO_THROW(ending_in("y + 1")->embed(drawn_faces(3, 48, false)));
  EXPECT_NO_THROW(ending_in("torch.dropout(y, 0.5, False)")->embed(drawn_faces(1, 48, false)));
}

TEST_F(Steady, LoadsTheBytesThatWereVerified) {
  write_tiny_extractor(folder_.path);
  const auto file = verify_model("./tiny.pt", folder_.path, sha256_of_file(folder_ / "tiny.pt"), false);
  EXPECT_EQ(file.pinned_by, PinnedBy::card);
  EXPECT_NO_THROW(load_model(file, torch::kCPU));
  write_tiny_extractor(folder_.path, 2);  // replaced meanwhile
  const auto error = caught([&] { load_model(file, torch::kCPU); });
  EXPECT_EQ(error.code, Exit::model);
  EXPECT_TRUE(contains(error.message, "replaced")) << error.message;
}

TEST_F(Steady, TrustIsForWhatNobodyPinned) {
  write_tiny_extractor(folder_.path);
  fs::remove(folder_ / "tiny.json");  // next to the weights it would pin them, like a conversion's record
  EXPECT_EQ(verify_model("./tiny.pt", folder_.path, "", true).pinned_by, PinnedBy::nobody);
  EXPECT_EQ(caught([&] { verify_model("./tiny.pt", folder_.path, "", false); }).code, Exit::model);
  EXPECT_EQ(caught([&] { verify_model("./tiny.pt", folder_.path, "00", true); }).code, Exit::model)
      << "a pinned hash that differs is never overridden";
}

TEST_F(Steady, SameWeightsAreKnownByFileOrOrigin) {
  const auto a = make_extractor(write_tiny_extractor(folder_.path, 1, "a").string(), {}),
             b = make_extractor(write_tiny_extractor(folder_.path, 2, "b").string(), {});
  EXPECT_FALSE(same_weights(*a, *b));
  fs::copy(folder_ / "a.pt", folder_ / "copy.pt");
  Json copy = read_json(folder_ / "a.json");
  copy["file"] = "./copy.pt", copy["input"]["channels"] = "rgb";
  write_file(folder_ / "copy.json", copy.dump());
  EXPECT_TRUE(same_weights(*a, *make_extractor((folder_ / "copy.json").string(), {}))) << "whatever the card says";
  for (const auto* name :
       {"a.json", "b.json"}) {  // exported twice of one published file: no two exports have the same bytes
    Json card = read_json(folder_ / name);
    card["source"] = {{"exported_sha256", "1234"}};
    write_file(folder_ / name, card.dump());
  }
  const auto again = [&](const char* card) {
    return make_extractor((folder_ / card).string(), run_options("cpu", "bf16", false));
  };
  EXPECT_TRUE(same_weights(*again("a.json"), *again("b.json")));
}

}  // namespace
}  // namespace facepoison::testing
