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
  purifier,        // pictures to pictures without perturbations; as an embedding: all pixels of that picture
  image_network    // what a picture shows (ImageNet's classes): a start for training
};

inline const std::vector<Task> every_task = {Task::recogniser, Task::cloak_detector, Task::purifier,
                                             Task::image_network};

std::string name_of(Interpolation interpolation);  // as in cards

// How a whole picture becomes the network's input, if there are no landmarks.
enum class Resize {
  squash,      // to the input's size, ignoring the aspect ratio
  centre_crop  // crop the picture, resized to just cover the input
};

struct Card {
  std::string name;  // the file's stem
  Task task = Task::recogniser;
  fs::path path;  // of the card itself
  std::string title, released, licence, notes;
  std::vector<std::string> trained_against;        // attacks on the pictures it was trained on
  std::string trained_from;                        // the recogniser that its training started from; or ""
  std::string trained_on_file, trained_on_sha256;  // the people it was trained on (see seen.hpp); or ""
  std::string style_name, style_year;  // "in_style_of": a small stand-in for a published method; empty otherwise
  std::string file, sha256;            // sha256 is empty if the conversion on this machine writes it
  Json source;                         // the package with the published file, or its authors' page
  Json published;                      // address and hashes of the published file; for scripts/fetch_models.py
  std::string origin;    // sha256 of the published file that the weights were made from, or "" if not recorded
  std::string verified;  // how fetch_models.py verified that file ("sha256", "md5, first use", …), or ""

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
  double threshold = 0.5;  // of a cloak detector, 0 … 1: a picture with at least this score counts as perturbed
  fs::path golden;         // .npy with the embedding of golden_picture(), from the original runtime; may be empty

  // The order in tables: the year of the method that it imitates, else its release.
  const std::string& order() const { return style_year.empty() ? released : style_year; }
  // For tables: the release, or "2018 style" for a stand-in.
  std::string release() const { return style_year.empty() ? released : style_year + " style"; }
  std::string how_to_get() const;  // the command that gets its weights, or ""
  Json contract() const;           // what decides the embedding besides the weights: part of every cache key
};

// Reads a card, by its name or its path. Names are those in configs/extractors and data/recognisers (small, bundled),
// configs/cloak-detectors and data/cloak-detectors, configs/purifiers and data/purifiers, or configs/networks,
// depending on the task. Throws Error(usage) for an unknown name (with a suggestion), a missing or unknown key, or a
// value out of range, Error(model) for a card of another task.
Card read_card(const std::string& name_or_path, const std::vector<Task>& tasks = {Task::recogniser});
std::vector<std::string> card_names(Task task = Task::recogniser);  // sorted
std::vector<Card> all_cards(Task task = Task::recogniser);          // by order(), then name

}  // namespace facepoison
