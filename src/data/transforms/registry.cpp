#include "data/transforms/registry.hpp"

#include <algorithm>

#include "facepoison/config_file.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

// Transforms applied one after the other.
class Chain final : public Transform {
 public:
  explicit Chain(std::vector<std::shared_ptr<const Transform>> links) : links_(std::move(links)) {}
  Canvas operator()(Canvas canvas, Seed seed, const std::string& photo) const override {
    for (const auto& link : links_) canvas = (*link)(std::move(canvas), seed, photo);
    return canvas;
  }
  bool is_random() const override {
    return std::any_of(links_.begin(), links_.end(), [](const auto& link) { return link->is_random(); });
  }
  std::vector<Card> cards() const override {
    std::vector<Card> all;
    for (const auto& link : links_)
      for (auto& card : link->cards()) all.push_back(std::move(card));
    return all;
  }

 private:
  std::vector<std::shared_ptr<const Transform>> links_;
};

std::shared_ptr<const Transform> make_chain(Spec& spec) {
  const Json wanted = spec.raw("chain");
  if (!wanted.is_array() || wanted.empty()) spec.fail("chain", concat("found ", wanted.dump(), ", expected a list"));
  std::vector<std::shared_ptr<const Transform>> links;
  std::string name;
  Json identity = Json::array();
  for (const auto& one : wanted) {
    links.push_back(make_transform(one));
    if (!links.back()) spec.fail("chain", "found \"none\" in the list, expected transforms");
    name += (name.empty() ? "" : "+") + links.back()->name();
    identity.push_back(links.back()->identity());
  }
  const auto chain = std::make_shared<Chain>(std::move(links));
  chain->set(spec.text("name", name), std::move(identity));
  spec.finish();
  return chain;
}

// A value as a part of a name; of a path to a card, the card's name.
std::string word_of(const Json& value) {
  if (!value.is_string()) return value.dump();
  const fs::path path = value.get<std::string>();
  return path.extension() == ".json" ? path.stem().string() : path.string();
}

// A transform's name, followed by the values that were written.
std::string name_by_rule(const Json& wanted) {
  std::string name = wanted.at("transform").get<std::string>();
  for (const auto& [key, value] : wanted.items())
    if (key != "transform" && key != "name") name += "-" + word_of(value);
  return name;
}

}  // namespace

const std::vector<TransformRow>& transform_registry() {
  static const std::vector<TransformRow> rows = {
      {"jpeg", 1, "JPEG compression: quality (1 … 100), subsampling (\"420\", \"422\", \"444\")", make_jpeg},
      {"resize", 1, "made smaller, then enlarged again: scale (≤ 1)", make_resize},
      {"blur", 1, "Gaussian blur: sigma (pixels of the canvas)", make_blur},
      {"median", 1, "median of each pixel's neighbourhood: size (odd; default 3)", make_median},
      {"bits", 1, "fewer grey levels per channel: bits (1 … 8)", make_bits},
      {"grey", 1, "without colour", make_grey},
      {"noise", 1, "Gaussian noise: deviation (grey levels)", make_random_noise},
      {"crop", 1, "the middle part, enlarged to the canvas: share of each side (≤ 1)", make_crop},
      {"retouch", 1, "smooths skin, adds contrast and warmth: smoothing, contrast (0 … 1), warmth (-1 … 1)",
       make_retouch},
      {"side", 1, "resized by PIL's bicubic, and kept at that size: side (pixels)", make_side},
      {"purifier", 1, "a network that removes perturbations: card (its name or path)", make_purifier},
  };
  return rows;
}

std::shared_ptr<const Transform> make_transform(const Json& wanted) {
  if (wanted == "none") return nullptr;
  const Json object = wanted.is_string() ? Json{{"transform", wanted}} : wanted;
  if (!object.is_object())
    throw Error(Exit::usage, concat("transforms: found ", wanted.dump(),
                                    ", expected \"none\" or an object {\"transform\": …} or {\"chain\": […]}"));
  Spec spec(object, "transform");
  if (spec.has("chain")) return make_chain(spec);
  std::vector<std::string> known;
  for (const auto& row : transform_registry()) known.push_back(row.name);
  const auto kind = spec.choice("transform", known);
  const auto& row = *std::find_if(transform_registry().begin(), transform_registry().end(),
                                  [&](const auto& one) { return one.name == kind; });
  std::shared_ptr<Transform> made = row.make(spec);
  Json identity = spec.record();
  identity.update(made->read_files());
  identity["version"] = row.version;
  identity["opencv"] = opencv_version();  // which decodes, filters and resizes
  const auto name = spec.text("name", name_by_rule(object));
  spec.finish();
  made->set(name, std::move(identity));
  return made;
}

void anchor_transform(Json& wanted, const fs::path& base) {
  if (!wanted.is_object()) return;
  if (wanted.contains("card")) anchor_path(wanted["card"], base);
  if (wanted.contains("chain") && wanted["chain"].is_array())
    for (auto& link : wanted["chain"]) anchor_transform(link, base);
}

}  // namespace facepoison
