// Finds the mistake that makes two embeddings differ: each planted one is found, and none is claimed for a stranger.
#include "facepoison/mistakes.hpp"

#include <set>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Mistakes : public ::testing::Test {
 protected:
  TempFolder folder_;
  // A network that only the right contract fits.
  std::shared_ptr<const FeatureExtractor> extractor_ =
      make_extractor(write_tiny_extractor(folder_.path, 1, "tiny", "arcface-112").string(), {});
  Faces aligned_ = drawn_faces(1, 64, true);
  Image whole_ = draw_photo(0, 0, 48);

  torch::Tensor embedded(const Card& contract) {
    return extractor_->embed_view_as(
        contract, contract.template_name == "none" ? view_under(contract, whole_) : view_under(contract, aligned_));
  }

  std::string found(const torch::Tensor& reference) {
    const Table table = explain(*extractor_, aligned_, whole_, reference, torch::kCPU);
    return as_number(table.rows.front()[1], "cosine") >= 0.999999 ? text(table.rows.front()[0]) : "";
  }
};

TEST_F(Mistakes, NoneIsFoundWhereThereIsNone) {
  EXPECT_EQ(found(extractor_->embed(aligned_)), "none: the card as it is");
}

TEST_F(Mistakes, EachOneIsFoundByItsName) {
  std::size_t single = 0;
  for (const auto& mistake : usual_mistakes(extractor_->card())) {
    if (contains(mistake.what, ", ")) continue;
    const auto reference = embedded(mistake.contract);
    if ((reference - extractor_->embed(aligned_)).norm().item<double>() < 1e-4)
      continue;  // plain resizing does not matter to an aligned face
    EXPECT_EQ(found(reference), mistake.what);
    ++single;
  }
  EXPECT_GE(single, 8u);
}

TEST_F(Mistakes, TwoAtOnceAreFound) {
  Card contract = extractor_->card();
  const std::string channels = contract.bgr ? "channels rgb" : "channels bgr";
  contract.bgr = !contract.bgr;
  contract.template_name = "none";
  EXPECT_EQ(found(embedded(contract)), channels + ", no alignment");
}

TEST_F(Mistakes, AreWrittenAsACardHasThem) {
  const Card& card = extractor_->card();  // bgr, arcface-112
  EXPECT_EQ(differing(card, card), Json::object());
  Card wanted = card;
  wanted.bgr = false, wanted.template_name = "none", wanted.flip_averaging = true, wanted.std = {1, 2, 3};
  EXPECT_EQ(differing(card, wanted), Json({{"input", {{"template", "none"}, {"channels", "rgb"}, {"std", {1, 2, 3}}}},
                                           {"flip_averaging", true}}));
}

TEST_F(Mistakes, EachTemplateIsTriedInThePlaceOfNone) {
  Card card = extractor_->card();
  card.template_name = "none";
  std::set<std::string> templates;
  for (const auto& change : usual_changes(card))
    if (change.kind == "alignment") templates.insert(changed(card, {change}).contract.template_name);
  EXPECT_EQ(templates, (std::set<std::string>{"arcface-112", "dlib-150"}));
}

TEST_F(Mistakes, AStrangerIsExplainedByNone) {
  torch::manual_seed(1);
  EXPECT_EQ(found(torch::randn({16})), "");
  EXPECT_EQ(caught([&] { found(torch::randn({15})); }).code, Exit::input);
}

}  // namespace
}  // namespace facepoison::testing
