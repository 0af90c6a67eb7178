// Embeddings by an extractor, and a classifier on them.
#include "facepoison/recogniser.hpp"
#include "recognisers/end_to_end.hpp"

namespace facepoison {
namespace {

class Featured final : public Recogniser {
 public:
  Featured(std::shared_ptr<const FeatureExtractor> extractor, std::shared_ptr<const Classifier> classifier)
      : extractor_(std::move(extractor)), classifier_(std::move(classifier)) {}

  std::shared_ptr<AnswerStage> stage(Study& study, const Scenario& scenario, const std::string& label) const override {
    ClassifyOptions options{.label = label, .inputs = study.stages_of(extractor_, scenario)};
    if (scenario.filter) {
      Json scores = Json::array();
      for (const auto& stage : study.filter_stages(scenario)) {
        options.inputs.push_back(stage);
        options.scores.push_back(stage->group());
        scores.push_back(stage->group()->id.name);
      }
      options.filter = {{"threshold", scenario.filter->card().threshold}, {"scores", scores}};
      options.filtered = [&study, &scenario, by = extractor_] { return study.filtered_question(by, scenario); };
    }
    options.refuse_zeros = [&study, &scenario, by = extractor_] { study.refuse_zeros(by, scenario); };
    return classify_stage(study.question(extractor_, scenario), *classifier_, std::move(options));
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
