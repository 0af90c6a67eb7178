// The transforms' constructors, one per file, for registry.cpp.
#pragma once
#include "facepoison/error.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// A transform that uses only the picture.
template <class Change>
class Plain final : public Transform {
 public:
  explicit Plain(Change change) : change_(std::move(change)) {}
  Canvas operator()(Canvas canvas, Seed, const std::string&) const override {
    canvas.image = change_(canvas.image);
    return canvas;
  }

 private:
  Change change_;
};
template <class Change>
std::unique_ptr<Transform> plain(Change change) {
  return std::make_unique<Plain<Change>>(std::move(change));
}

std::unique_ptr<Transform> make_bits(Spec& spec);
std::unique_ptr<Transform> make_blur(Spec& spec);
std::unique_ptr<Transform> make_crop(Spec& spec);
std::unique_ptr<Transform> make_grey(Spec& spec);
std::unique_ptr<Transform> make_jpeg(Spec& spec);
std::unique_ptr<Transform> make_median(Spec& spec);
std::unique_ptr<Transform> make_purifier(Spec& spec);
std::unique_ptr<Transform> make_random_noise(Spec& spec);
std::unique_ptr<Transform> make_resize(Spec& spec);
std::unique_ptr<Transform> make_retouch(Spec& spec);
std::unique_ptr<Transform> make_side(Spec& spec);

}  // namespace facepoison
