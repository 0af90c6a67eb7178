#include "facepoison/mistakes.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

struct Scaling {
  std::string formula;  // of a grey level x, 0 … 255
  double scale;
  std::array<double, 3> mean, std;
};

const std::vector<Scaling>& scalings() {
  static const std::vector<Scaling> known = {
      {"(x − 127.5)/127.5", 255, {127.5, 127.5, 127.5}, {127.5, 127.5, 127.5}},
      {"(x − 127.5)/128", 255, {127.5, 127.5, 127.5}, {128, 128, 128}},
      {"x/255", 1, {0, 0, 0}, {1, 1, 1}},
      {"x as it is", 255, {0, 0, 0}, {1, 1, 1}},
      {"ImageNet's mean and deviation", 1, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
      {"CLIP's mean and deviation", 1, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
      {"ImageNet's mean in BGR, x − [103.939, 116.779, 123.68]", 255, {103.939, 116.779, 123.68}, {1, 1, 1}},
  };
  return known;
}

// Whether the card's and the other scaling are equal up to rounding: (pixel·scale − mean)/std as slope and intercept.
bool same(const Card& card, const Scaling& other) {
  for (std::size_t c = 0; c < 3; ++c)
    if (std::abs(card.scale / card.std[c] - other.scale / other.std[c]) > 1e-6 ||
        std::abs(card.mean[c] / card.std[c] - other.mean[c] / other.std[c]) > 1e-6)
      return false;
  return true;
}

}  // namespace

std::vector<Change> usual_changes(const Card& card) {
  std::vector<Change> changes;
  changes.push_back({"channels", card.bgr ? "channels rgb" : "channels bgr", [](Card& c) { c.bgr = !c.bgr; }});
  for (const auto& scaling : scalings())
    if (!same(card, scaling))
      changes.push_back({"scale", "scale " + scaling.formula,
                         [scaling](Card& c) { c.scale = scaling.scale, c.mean = scaling.mean, c.std = scaling.std; }});
  if (card.template_name != "none")
    changes.push_back({"alignment", "no alignment", [](Card& c) { c.template_name = "none"; }});
  for (const std::string other : {"arcface-112", "dlib-150"})
    if (card.template_name != other)
      changes.push_back({"alignment", "template " + other, [other](Card& c) { c.template_name = other; }});
  for (const auto other : {Interpolation::bilinear, Interpolation::bicubic, Interpolation::nearest})
    for (const bool antialias : {false, true})
      if ((other != card.interpolation || antialias != card.antialias) &&
          !(antialias && other == Interpolation::nearest))
        changes.push_back({"interpolation", concat("interpolation ", name_of(other), antialias ? ", antialiased" : ""),
                           [other, antialias](Card& c) { c.interpolation = other, c.antialias = antialias; }});
  changes.push_back({"resize", card.resize == Resize::squash ? "centre crop" : "squash",
                     [](Card& c) { c.resize = c.resize == Resize::squash ? Resize::centre_crop : Resize::squash; }});
  changes.push_back({"mirror", card.flip_averaging ? "no mirror averaging" : "mirror averaging",
                     [](Card& c) { c.flip_averaging = !c.flip_averaging; }});
  return changes;
}

Mistake changed(const Card& card, const std::vector<Change>& changes) {
  std::vector<std::string> what;
  Mistake made{"", card};
  for (const auto& change : changes) {
    what.push_back(change.what);
    change.apply(made.contract);
  }
  made.what = listed(what);
  return made;
}

std::vector<Mistake> usual_mistakes(const Card& card) {
  const auto changes = usual_changes(card);
  std::vector<Mistake> mistakes;
  for (const auto& change : changes) mistakes.push_back(changed(card, {change}));
  for (std::size_t i = 0; i < changes.size(); ++i)
    for (std::size_t j = i + 1; j < changes.size(); ++j)
      if (changes[i].kind != changes[j].kind) mistakes.push_back(changed(card, {changes[i], changes[j]}));
  return mistakes;
}

Json differing(const Card& card, const Card& wanted) {
  static const std::set<std::string> outside_input = {"method", "flip_averaging", "dimension"};
  const Json has = card.contract(), wants = wanted.contract();
  Json out = Json::object();
  for (const auto& [key, value] : wants.items()) {
    if (has.at(key) == value) continue;
    if (key == "bgr")
      out["input"]["channels"] = value.get<bool>() ? "bgr" : "rgb";
    else if (outside_input.count(key))
      out[key] = value;
    else
      out["input"][key] = value;
  }
  return out;
}

Table explain(const FeatureExtractor& extractor, const std::optional<Faces>& aligned, const Image& whole,
              const torch::Tensor& reference, torch::Device device) {
  const c10::InferenceMode inference;
  const auto wanted = reference.flatten().to(torch::kFloat64);
  const std::string as_is = "none: the card as it is";
  Table table{{"mistake", "cosine", "max_difference"}, {}, {}};
  const auto add = [&](const std::string& what, const Card& contract) {
    const auto view =
        aligned && contract.template_name != "none" ? view_under(contract, *aligned) : view_under(contract, whole);
    const auto found = extractor.embed_view_as(contract, view.to(device)).to(torch::kCPU, torch::kFloat64).flatten();
    if (found.numel() != wanted.numel())
      throw Error(Exit::input, concat("the reference has ", wanted.numel(), " numbers; ", extractor.card().name,
                                      " gives ", found.numel()));
    table.add(
        {what, at::cosine_similarity(found, wanted, 0).item<double>(), (found - wanted).abs().max().item<double>()});
  };
  add(as_is, extractor.card());
  for (const auto& mistake : usual_mistakes(extractor.card()))
    if (aligned || mistake.contract.template_name == extractor.card().template_name)  // else there is nothing to align
      add(mistake.what, mistake.contract);
  // By direction, then by nearness of numbers, then the simplest, which was added first.
  const auto rank = [](const std::vector<Cell>& row) {
    return std::pair(-std::round(std::get<double>(row[1]) * 1e7), std::get<double>(row[2]));
  };
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return table;
}

}  // namespace facepoison
