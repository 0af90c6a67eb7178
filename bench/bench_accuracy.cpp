// Measures how well each present recogniser knows the people of clean data sets, with raw pixels as the baseline:
//   bench_accuracy DATASET...     (data sets of prepare, or folders of photos; FACEPOISON_STORE names the store)
#include <iostream>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/home.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/embeddings.hpp"
#include "facepoison/stats.hpp"

using namespace facepoison;

namespace {

struct Rows {
  std::vector<std::int64_t> rows, labels;
};

// The canvas as 24×24 grey levels without brightness and contrast: shape and shade remain, without any knowledge of
// faces.
torch::Tensor raw_pixels(const Dataset& dataset) {
  std::vector<torch::Tensor> rows;
  for (const auto& photo : dataset.photos) {
    const auto grey = load_faces(std::span(&photo, 1)).pixels.mean(1, true);
    const auto small = torch::adaptive_avg_pool2d(grey, {24, 24}).flatten();
    rows.push_back((small - small.mean()) / (small.std() + 1e-6));
  }
  return torch::stack(rows);
}

Rows rows_of(const Dataset& dataset, bool train) {
  const auto people = dataset.people();
  Rows out;
  for (std::size_t i = 0; i < dataset.photos.size(); ++i) {
    const auto& photo = dataset.photos[i];
    if (train ? !photo.train() : !photo.test()) continue;
    out.rows.push_back(static_cast<std::int64_t>(i));
    out.labels.push_back(std::lower_bound(people.begin(), people.end(), photo.person) - people.begin());
  }
  return out;
}

double accuracy(const Dataset& dataset, const torch::Tensor& features, const char* classifier, std::size_t& probes) {
  const Rows train = rows_of(dataset, true), test = rows_of(dataset, false);
  const auto found = make_classifier(classifier)
                         ->predict(features.index_select(0, torch::tensor(train.rows)), train.labels,
                                   features.index_select(0, torch::tensor(test.rows)));
  double right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) right += found.labels[i] == test.labels[i];
  probes = test.labels.size();
  return right / static_cast<double>(probes);
}

void add_row(Table& table, const std::string& path, const Dataset& dataset, const std::string& name,
             const std::string& released, const torch::Tensor& features) {
  std::size_t probes = 0;
  const double cosine = accuracy(dataset, features, "nearest-cosine", probes),
               euclidean = accuracy(dataset, features, "nearest", probes);
  const auto interval = clopper_pearson(euclidean, static_cast<double>(probes));
  table.add({fs::path(path).filename().string(), static_cast<std::int64_t>(dataset.people().size()),
             static_cast<std::int64_t>(dataset.photos.size()), static_cast<std::int64_t>(probes), name, released,
             euclidean, interval.low, interval.high, cosine});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Table table{
        {"data", "people", "photos", "probes", "extractor", "released", "nearest", "low", "high", "nearest_cosine"},
        {},
        {}};
    const char* folder = std::getenv("FACEPOISON_STORE");
    ArtifactStore store(folder ? fs::path(folder) : project_home() / "store");
    for (int i = 1; i < argc; ++i) {
      const Dataset dataset = dataset_of(argv[i], {}, store);
      add_row(table, argv[i], dataset, "raw pixels", "", raw_pixels(dataset));
      for (const auto& card : all_cards()) {
        try {
          verify_model(card.file, card.path.parent_path(), card.sha256, false);
        } catch (const Error& error) {
          log_warning(concat(card.name, " is left out: ", error.what()));
          continue;
        }
        add_row(table, argv[i], dataset, card.name, card.released,
                embed(dataset.photos, *make_extractor(card, {}), {}, store));
      }
    }
    std::cout << print(table, Format::markdown);
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.code());
  }
}
