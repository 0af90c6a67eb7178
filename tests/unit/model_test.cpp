// Files that are not TorchScript, or do not run as they are, are named in one line.
#include "facepoison/model.hpp"

#include "facepoison/home.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Model : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  // The error of loading a file of these bytes.
  std::string said(const std::string& bytes) {
    write_file(folder_ / "x.pt", bytes);
    const auto error = caught([&] { load_model(verify_model("./x.pt", folder_.path, "", true), torch::kCPU); });
    EXPECT_EQ(error.code, Exit::model);
    EXPECT_FALSE(contains(error.message, "\n")) << error.message;
    return error.message;
  }

  // tiny's card with the module as its network.
  std::shared_ptr<const FeatureExtractor> extractor(const torch::jit::Module& module) {
    const auto card_path = write_tiny_extractor(folder_.path);
    module.save((folder_ / "tiny.pt").string());
    Json card = read_json(card_path);
    card["sha256"] = sha256_of_file(folder_ / "tiny.pt");
    write_file(card_path, card.dump());
    return make_extractor(card_path.string(), {});
  }
  // The error of embedding three faces by a network with this forward() in Python.
  std::string failing(const std::string& forward) {
    torch::jit::Module module("tiny");
    module.register_parameter("weight", torch::ones({16, 108}, torch::kHalf), false);
    module.define("def forward(self, x):\n" + forward);
    const auto error = caught([&] { extractor(module)->embed(drawn_faces(3, 48, false)); });
    EXPECT_EQ(error.code, Exit::model);
    EXPECT_FALSE(contains(error.message, "\n")) << error.message;
    return error.message;
  }

  TempFolder folder_;
};

TEST_F(Model, NamesWhatIsNoTorchScript) {
  const std::string zip = "PK\x03\x04", wanted = "scripts/export/ makes one from a published checkpoint";
  const std::string tensors = std::string("\x10\0\0\0\0\0\0\0", 8) + R"({"a":{}}        )";
  EXPECT_TRUE(contains(said(""), "is empty"));
  EXPECT_TRUE(contains(said("version https://git-lfs.github.com/spec/v1\noid"), "is a git-lfs pointer"));
  EXPECT_TRUE(contains(said("\n<!DOCTYPE html>"), "is an HTML page"));
  EXPECT_TRUE(contains(said(R"({"error": 403})"), "is JSON text"));
  EXPECT_TRUE(contains(said("half a network"), "is not a TorchScript file, or is a truncated one"));
  for (const auto& [bytes, what] :
       {std::pair{std::string("\x80\x02\x8a\x0al\xfc"), "is a pickle, a state dict"},
        {tensors, "has only tensors (safetensors)"},
        {zip + "archive/data.pkl and archive/data/0", "was made by torch.save(): a state dict or a whole module"},
        {zip + "program/archive_format", "is a program of torch.export (.pt2)"}}) {
    const auto message = said(bytes);
    EXPECT_TRUE(contains(message, what)) << message;
    EXPECT_TRUE(contains(message, wanted)) << message;
  }
}

TEST_F(Model, HalfPrecisionRunsInFloat32) {
  write_tiny_extractor(folder_.path);
  auto module = torch::jit::load((folder_ / "tiny.pt").string());
  const auto faces = drawn_faces(3, 48, false);
  for (const auto precision : {torch::kHalf, torch::kBFloat16, torch::kFloat64}) {
    auto rounded = module.deepcopy();
    const auto weight = rounded.attr("weight").toTensor().to(precision);
    rounded.setattr("weight", weight.to(torch::kFloat32));
    const auto expected = extractor(rounded)->embed(faces);
    rounded.setattr("weight", weight);
    EXPECT_TRUE(torch::equal(extractor(rounded)->embed(faces), expected)) << precision;
  }
}

TEST_F(Model, SaysInOneLineWhyANetworkFails) {
  const auto pooled = std::string("  y = torch.adaptive_avg_pool2d(x, [6, 6])\n");
  const auto multiplied = std::string("  return torch.matmul(y, self.weight.t())\n");
  const auto fixed = failing(pooled + "  y = y.reshape(1, -1)\n" + multiplied);
  EXPECT_TRUE(contains(fixed, "the network failed on [3, 3, 24, 24]: mat1 and mat2 shapes cannot be multiplied"))
      << fixed;
  EXPECT_TRUE(contains(fixed, "it takes one face at a time, as it was traced")) << fixed;
  const auto half = failing(pooled + "  y = torch.flatten(y, 1).to(5)\n" + multiplied);
  EXPECT_TRUE(contains(half, "its code computes in half precision: export it in float32")) << half;
  const auto other = failing(pooled + "  y = torch.flatten(y, 1)[:, 0:7]\n" + multiplied);
  EXPECT_TRUE(contains(other, "cannot be multiplied (3x7 and 108x16)")) << other;
  EXPECT_FALSE(contains(other, "; ")) << other;
}

}  // namespace
}  // namespace facepoison::testing
