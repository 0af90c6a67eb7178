// Embeddings by an extractor, and a classifier on them.
#include "facepoison/recogniser.hpp"
#include "recognisers/end_to_end.hpp"

namespace facepoison {
namespace {

class Featured final : public Recogniser {
 public:
  Featured(std::shared_ptr<const FeatureExtractor> extractor, std::shared_ptr<const Classifier> classifier)
      : extractor_(std::move(extractor)), classifier_(std::move(classifier)) {}

  Answers answer(World& world, const Scenario& scenario, const std::string& label) const override {
    const auto swaps = world.swaps(extractor_, scenario);
    try {
      return facepoison::answer(world.sides(extractor_, scenario), swaps, *classifier_, label, world.store());
    } catch (const NoDirection&) {
      world.refuse_zeros();
    }
  }
  Json settings() const override { return classifier_->identity(); }

 private:
  std::shared_ptr<const FeatureExtractor> extractor_;
  std::shared_ptr<const Classifier> classifier_;
};

}  // namespace

std::unique_ptr<Recogniser> make_recogniser(std::shared_ptr<const FeatureExtractor> extractor,
                                            const ClassifierChoice& choice, const RunOptions& options) {
  if (!choice.classifier) return make_end_to_end(std::move(extractor), choice.wanted, options);
  return std::make_unique<Featured>(std::move(extractor), choice.classifier);
}

}  // namespace facepoison
