#include "classifiers/registry.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

const std::vector<ClassifierRow>& classifier_registry() {
  static const std::vector<ClassifierRow> rows = {
      {"nearest", 1, "1-NN, Euclidean on raw embeddings (the paper's)", make_nearest},
      {"nearest-cosine", 1, "1-NN, cosine; distance = 1 − cos", make_nearest_cosine},
      {"centroid", 1, "nearest class mean, Euclidean", make_centroid},
      {"k-nearest", 1, "majority of the k nearest, Euclidean; key k (default 5)", make_k_nearest},
      {"linear", 3,
       "multinomial logistic regression on standardised embeddings, run to convergence; key c (default 1); distance = "
       "1 − probability",
       make_linear},
  };
  return rows;
}

namespace {

// The wanted classifier as an object {"classifier": …, …}.
Json as_object(const Json& wanted) {
  if (wanted.is_object()) return wanted;
  if (!wanted.is_string())
    throw Error(Exit::usage,
                concat("classifiers: found ", wanted.dump(), ", expected a name or an object {\"classifier\": …}"));
  const auto word = wanted.get<std::string>();
  return word.starts_with("{") ? parse_json(word, "classifier") : Json{{"classifier", word}};
}

std::string name_of(const Json& wanted) {
  const Json object = as_object(wanted);
  if (object.contains("name") && object["name"].is_string()) return object["name"].get<std::string>();
  std::string name = object.value("classifier", "");
  for (const auto& [key, value] : object.items())
    if (key != "classifier") name += concat(", ", key, " ", value.dump());
  return name;
}

}  // namespace

std::unique_ptr<Classifier> make_classifier(const Json& wanted) {
  Spec spec(as_object(wanted), "classifier");
  const auto name = spec.text("classifier");
  spec.text("name", "");
  std::vector<std::string> known;
  for (const auto& row : classifier_registry()) {
    known.push_back(row.name);
    if (row.name != name) continue;
    auto made = row.make(spec);
    spec.finish();
    Json identity = spec.record();
    identity.erase("name");
    identity["version"] = row.version;
    made->set_identity(std::move(identity));
    return made;
  }
  const auto near = nearest_name(name, known);
  throw Error(Exit::usage,
              concat("no classifier \"", name, "\"; ",
                     near.empty() ? "facepoison list classifiers shows them" : "did you mean " + near + "?"));
}

ClassifierChoice choose_classifier(const Json& wanted) {
  if ((wanted.is_object() ? wanted.value("classifier", Json()) : wanted) == "end-to-end")
    return {name_of(wanted), wanted, nullptr, nullptr};
  std::shared_ptr<const Classifier> made = make_classifier(wanted);
  return {name_of(wanted), wanted, made->identity(), made};
}

std::pair<torch::Tensor, std::vector<std::int64_t>> swapped(const torch::Tensor& gallery,
                                                            const std::vector<std::int64_t>& labels, const Swap& swap) {
  const auto replaced = static_cast<std::int64_t>(swap.rows.size());
  auto rows = gallery.index_copy(0, torch::tensor(swap.rows, torch::kInt64),
                                 swap.features.narrow(0, 0, replaced).to(gallery.scalar_type()));
  auto names = labels;
  if (!swap.removed.empty()) {
    std::vector<std::int64_t> left;
    for (std::int64_t row = 0; row < rows.size(0); ++row)
      if (!std::binary_search(swap.removed.begin(), swap.removed.end(), row)) left.push_back(row);
    for (std::size_t n = 0; n < left.size(); ++n) names[n] = labels[static_cast<std::size_t>(left[n])];
    names.resize(left.size());
    rows = rows.index_select(0, torch::tensor(left, torch::kInt64));
  }
  if (swap.added.empty()) return {rows, names};
  names.insert(names.end(), swap.added.begin(), swap.added.end());
  const auto added = swap.features.narrow(0, replaced, static_cast<std::int64_t>(swap.added.size()));
  return {torch::cat({rows, added.to(rows.scalar_type())}), names};
}

std::optional<std::int64_t> person_of(const Swap& swap, const std::vector<std::int64_t>& labels) {
  auto touched = swap.added;
  for (const auto* rows : {&swap.rows, &swap.removed})
    for (const auto row : *rows) touched.push_back(labels.at(static_cast<std::size_t>(row)));
  const bool one = !touched.empty() &&
                   std::all_of(touched.begin(), touched.end(), [&](auto label) { return label == touched.front(); });
  return one ? std::optional(touched.front()) : std::nullopt;
}

RowsOf rows_by_label(const std::vector<std::int64_t>& labels) {
  RowsOf rows;
  for (std::size_t i = 0; i < labels.size(); ++i) rows[labels[i]].push_back(static_cast<std::int64_t>(i));
  return rows;
}

void check_swap(const Swap& swap, const torch::Tensor& probes) {
  const auto& rows = swap.features;
  const auto expected = static_cast<std::int64_t>(swap.rows.size() + swap.added.size());
  if (rows.dim() != 2 || rows.size(0) != expected || rows.size(1) != probes.size(1))
    throw Error(Exit::input, concat("a swap of shape ", rows.sizes(), ", expected ", expected, "×", probes.size(1)));
  if (!all_finite(rows)) throw Error(Exit::input, "a non-finite embedding");
}

bool all_finite(const torch::Tensor& numbers) {
  if (numbers.numel() == 0) return true;
  const auto [least, most] = at::aminmax(numbers);  // NaN if any is; one pass, without a copy
  return std::isfinite(least.item<double>()) && std::isfinite(most.item<double>());
}

void check(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes) {
  if (gallery.dim() != 2 || gallery.size(0) == 0) throw Error(Exit::input, "the gallery has no photos");
  if (static_cast<std::size_t>(gallery.size(0)) != labels.size())
    throw Error(Exit::input, concat("the gallery has ", gallery.size(0), " rows and ", labels.size(), " labels"));
  if (probes.dim() != 2 || probes.size(1) != gallery.size(1))
    throw Error(Exit::input, concat("the gallery's embeddings have ", gallery.size(1),
                                    " dimensions; the probes have the shape ", probes.sizes()));
  if (!all_finite(gallery) || !all_finite(probes)) throw Error(Exit::input, "a non-finite embedding");
}

}  // namespace facepoison
