// An extractor's card: everything about a recogniser that is not in its TorchScript file.
#pragma once
#include <array>

#include "facepoison/spec.hpp"

namespace facepoison {

struct Card {
  std::string name;  // the file's stem
  fs::path path;     // of the card itself
  std::string title, released, licence, notes;
  std::vector<std::string> trained_against;        // attacks whose pictures it was trained on
  std::string trained_on_file, trained_on_sha256;  // beside the card: whom it saw (see seen.hpp); or ""
  std::string style_name, style_year;  // "in_style_of": a small stand-in for a published method; empty otherwise
  std::string file, sha256;            // sha256 is empty where the conversion on this machine writes it
  Json source;                         // where the published file is and its hash; for scripts/fetch_models.py
  std::string
      origin;  // the sha256 of the published file that its weights were made of, or "" where nobody wrote it down

  int side = 0;               // network input, pixels
  std::string template_name;  // "arcface-112", "dlib-150" or "none"
  bool bgr = false;
  double scale = 1;  // network input = (pixel·scale − mean) / std, pixel in [0,1], in the network's channel order
  std::array<double, 3> mean{}, std{};
  std::string interpolation;  // "bilinear", "bicubic" or "nearest"
  bool antialias = false;     // plain resizing only, as PIL does it
  std::string resize;  // without landmarks: "squash" to the square, or "centre-crop" after resizing the shorter side

  std::string method;           // "forward", "encode_image", …
  bool flip_averaging = false;  // mean of the embeddings of the picture and its mirror image
  int dimension = 0;
  fs::path golden;  // .npy with the embedding of golden_picture(side), from the original runtime; may be empty

  // What tables are ordered by: the year of what it stands for, else its release.
  const std::string& order() const { return style_year.empty() ? released : style_year; }
  // For tables: the release, or "2018 style" of a stand-in.
  std::string release() const { return style_year.empty() ? released : style_year + " style"; }
  std::string how_to_get() const;  // the command that puts its weights there, or ""
  Json contract() const;           // what decides the embedding besides the weights: part of every cache key
};

// By name from configs/extractors or data/recognisers (the small ones that ship), or by path.
// Throws Error(usage) for an unknown name (with the nearest), a missing or unknown key, or a value out of range.
Card read_card(const std::string& name_or_path);
std::vector<std::string> card_names();  // sorted
std::vector<Card> all_cards();          // by order(), then name

}  // namespace facepoison
