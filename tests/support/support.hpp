// Shared helpers: temporary folders, drawn photos, a tiny recogniser, and the binary as a user runs it.
#pragma once
#include <gtest/gtest.h>

#include <functional>

#include "facepoison/error.hpp"
#include "facepoison/extractor.hpp"

namespace facepoison::testing {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  fs::path operator/(const std::string& name) const { return path / name; }
  fs::path path;
};

// An 8-bit picture of one "person": smooth colour blobs that depend on `person`, shifted and lit by `variant`.
Image draw_photo(int person, int variant, int side = 48);

// <folder>/<p>/<v>.png for people p00, p01, … with photos v0, v1, …
void draw_people(const fs::path& folder, int people, int photos, int side = 48);

// A quarter turn anticlockwise: how a camera held upright stores the picture.
Image lying(const Image& image);

// The same JPEG with the EXIF tag that says: turn me a quarter clockwise (orientation 6).
std::string with_exif_turn(std::string jpeg);

// Writes tiny.pt (average pool to 6×6, a linear layer, float32) and tiny.json with the right sha256; returns the card's
// path. Different seeds make different networks.
fs::path write_tiny_extractor(const fs::path& folder, int seed = 1, const std::string& name = "tiny",
                              const std::string& template_name = "none");

// Writes NAME.pt and NAME.json, a purifier of pictures of `side` pixels: it takes away this share of the difference
// between a pixel and the mean of the 3 × 3 pixels around it. Returns the card's path.
fs::path write_tiny_purifier(const fs::path& folder, double share, int side = 48, const std::string& name = "purifier");

// Makes a project folder (FACEPOISON_HOME) with the committed cards, and only models that are put there.
void link_project(const fs::path& home);

// Writes models/lpips.pt there, an "LPIPS" that is the mean square.
void write_mean_square_lpips(const fs::path& home);

// The card of a drawn 48-pixel data set's faces, photos p00/v0 …, with a 70/30 split; made by `prepare --no-detect`.
Dataset prepare_drawn(const fs::path& folder, int people, int photos);

// N faces on canvases of `side` pixels, with plausible landmarks when asked for.
Faces drawn_faces(int count, int side, bool with_landmarks);

// Runs `work` in a new process. The process ends with the returned number, or with 99 after an exception, because a
// child that continues would run the following tests again.
pid_t start_process(const std::function<int()>& work);

struct Outcome {
  int code = 0;
  std::string out, err;
};
// Runs the facepoison binary through the shell, in `folder`.
Outcome run_binary(const std::string& arguments, const fs::path& folder, const std::string& environment = "");

// The exit code and message of the Error that `action` throws; fails the test when it throws none.
struct Caught {
  Exit code = Exit::ok;
  std::string message;
};
template <class Action>
Caught caught(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// A row's cell, by its column's name.
inline std::string named(const Table& table, const std::vector<Cell>& row, const std::string& name) {
  return text(row[column(table, name, "the table")]);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The photos that FACEPOISON_REAL_PHOTOS names, or "" with a reason to skip.
std::string real_photos();

}  // namespace facepoison::testing
