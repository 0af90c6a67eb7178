// Random variants of a photo: another crop, light, colour, blur, noise, JPEG, something in front of the face.
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/random.hpp"

namespace facepoison {

struct Augmentation {
  double flip = 0.5;     // share of photos mirrored
  double scale = 0.08;   // σ of the logarithm of the crop's size
  double rotate = 0.06;  // σ, radians
  double shift = 0.03;   // σ, share of the crop's side
  double light = 0.15;   // σ of the logarithm of brightness and contrast
  double colour = 0.06;  // σ of the logarithm of each channel's gain; saturation moves by three times that
  double grey = 0.05;    // share of photos without colour
  double blur = 0.2;     // share of photos blurred, by a Gaussian of σ up to 1.5 pixels
  double noise = 0.02;   // largest σ of added noise, pixels in [0,1]
  double jpeg = 0.3;     // share of photos compressed again, quality 30 … 95
  double erase = 0.2;    // share of photos with a rectangle of noise, up to a sixth of the picture
  // UEraser's, for a trainer who expects some attack and knows none:
  double plasma = 0;           // share of photos whose brightness and contrast change from place to place
  double channel_shuffle = 0;  // share of photos with the colour channels in a random order
  std::int64_t worst_of = 1;   // so many draws of all this: a photo's one with the highest loss is learnt from

  // Reads keys of these names, each 0 … 1, and "worst_of", 1 … 100. Throws Error(usage).
  static Augmentation from(Spec& spec);
  Json record() const;  // as from() reads it; UEraser's keys only where they are set, so that older hashes stay
};

// Views of N photos, each changed at random: N×3×height×width float32 in [0,1], on the CPU. `faces` are canvases,
// N×3×S×S uint8 on the CPU, with landmarks or without; `extractor` defines the view. Random numbers come from one
// stream for each seed, step and draw, in any thread. One draw of the views; `worst_of` is the caller's.
torch::Tensor augmented_views(const FeatureExtractor& extractor, const Faces& faces, const Augmentation& how, Seed seed,
                              std::int64_t step, std::int64_t draw = 0);

}  // namespace facepoison
