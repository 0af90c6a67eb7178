// What happens to a picture after it was posted, or before a trainer looks at it. A new transform is one .cpp and one
// row in src/data/transforms/registry.cpp.
#pragma once
#include <memory>
#include <optional>

#include "facepoison/card.hpp"
#include "facepoison/image.hpp"
#include "facepoison/random.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// A canvas, and where the face is in it: pixels of the canvas.
struct Canvas {
  Image image;
  std::optional<Landmarks> landmarks;
};

class Transform {
 public:
  virtual ~Transform() = default;
  // Keeps the picture's size, except `side`. Random numbers, if needed, come from the stream of this seed and photo.
  virtual Canvas operator()(Canvas canvas, Seed seed, const std::string& photo) const = 0;
  virtual bool is_random() const { return false; }
  virtual std::vector<Card> cards() const { return {}; }  // of the networks in it
  // What it read from files, by the keys that name them: stands in the identity instead of the names.
  virtual Json read_files() const { return Json::object(); }

  const std::string& name() const { return name_; }
  const Json& identity() const { return identity_; }  // what it computes, for cache keys
  void set(std::string name, Json identity) { name_ = std::move(name), identity_ = std::move(identity); }

 private:
  std::string name_;
  Json identity_;
};

// Makes a transform from "none" (null), {"transform": …, its own keys, "name": …}, {"chain": [such objects], "name":
// …}, or the name of a transform without required keys. The name is the "name", else the transform's with the given
// values ("jpeg-75") or a file's name without its folder; names in a chain are joined by "+". Throws Error(usage), and
// for a purifier what read_card() and verify_model() throw.
std::shared_ptr<const Transform> make_transform(const Json& wanted);

// Makes the paths in such a value of a config absolute, from `base`.
void anchor_transform(Json& wanted, const fs::path& base);

struct TransformRow {
  std::string name;
  int version;  // part of cache keys
  std::string help;
  std::unique_ptr<Transform> (*make)(Spec&);
};
const std::vector<TransformRow>& transform_registry();

}  // namespace facepoison
