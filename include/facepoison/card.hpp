// A network's card: everything about it that is not in its TorchScript file.
#pragma once
#include <array>

#include "facepoison/image.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// What a network is for.
enum class Task {
  recogniser,      // pictures to embeddings
  cloak_detector,  // pictures to one number: the logit of "was perturbed"
  image_network    // what is on a picture (ImageNet's classes): a start for training
};

inline const std::vector<Task> every_task = {Task::recogniser, Task::cloak_detector, Task::image_network};

std::string name_of(Interpolation interpolation);  // as cards have it

// How a whole picture becomes the network's input, where there are no landmarks.
enum class Resize {
  squash,      // to the input's size, the aspect ratio given up
  centre_crop  // of what is resized until it just covers the input
};

struct Card {
  std::string name;  // the file's stem
  Task task = Task::recogniser;
  fs::path path;  // of the card itself
  std::string title, released, licence, notes;
  std::vector<std::string> trained_against;        // attacks whose pictures it was trained on
  std::string trained_from;                        // the recogniser whose weights it started from; or ""
  std::string trained_on_file, trained_on_sha256;  // beside the card: whom it was trained on (see seen.hpp); or ""
  std::string style_name, style_year;  // "in_style_of": a small stand-in for a published method; empty otherwise
  std::string file, sha256;            // sha256 is empty where the conversion on this machine writes it
  Json source;                         // the package that has the published file, or its authors' page
  Json published;                      // where the published file is and its hashes; for scripts/fetch_models.py
  std::string
      origin;  // the sha256 of the published file that its weights were made of, or "" where nobody wrote it down
  std::string verified;  // by what fetch_models.py knew that file ("sha256", "md5, first use", …), or ""

  int width = 0, height = 0;  // network input, pixels
  std::string template_name;  // "arcface-112", "dlib-150" or "none"
  bool bgr = false;
  double scale = 1;  // network input = (pixel·scale − mean) / std, pixel in [0,1], in the network's channel order
  std::array<double, 3> mean{}, std{};
  Interpolation interpolation = Interpolation::bilinear;
  bool antialias = false;  // plain resizing only, as PIL does it
  Resize resize = Resize::squash;

  std::string method;           // "forward", "encode_image", …
  bool flip_averaging = false;  // mean of the embeddings of the picture and its mirror image
  int dimension = 0;
  double threshold = 0.5;  // of a cloak detector: 0 … 1: a picture with this score or a higher one is called perturbed
  fs::path golden;         // .npy with the embedding of golden_picture(), from the original runtime; may be empty

  // What tables are ordered by: the year of what it stands for, else its release.
  const std::string& order() const { return style_year.empty() ? released : style_year; }
  // For tables: the release, or "2018 style" of a stand-in.
  std::string release() const { return style_year.empty() ? released : style_year + " style"; }
  std::string how_to_get() const;  // the command that puts its weights there, or ""
  Json contract() const;           // what decides the embedding besides the weights: part of every cache key
};

// Reads a card, by its name or its path. Names are those of configs/extractors and data/recognisers (the small ones
// that ship), of configs/cloak-detectors and data/cloak-detectors, and of configs/networks, as the task is. Throws
// Error(usage) for an unknown name (with the nearest), a missing or unknown key, or a value out of range, Error(model)
// for a card of another task.
Card read_card(const std::string& name_or_path, const std::vector<Task>& tasks = {Task::recogniser});
std::vector<std::string> card_names(Task task = Task::recogniser);  // sorted
std::vector<Card> all_cards(Task task = Task::recogniser);          // by order(), then name

}  // namespace facepoison
