#include "facepoison/dataset.hpp"
#include "fuzz.hpp"

// manifest.jsonl, and after a line of dashes rejected.csv.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) {
    static const fs::path canvas = fuzz::written("set/canvases/a/00.png", "\x89PNG");
    const auto cut = std::min(bytes.find("\n---\n"), bytes.size());
    fuzz::written("set/rejected.csv", cut < bytes.size() ? bytes.substr(cut + 5) : "id,person,reason\n");
    const auto dataset = read_dataset(fuzz::written("set/manifest.jsonl", bytes.substr(0, cut)));
    duplicate_notes(dataset);
    load_faces(dataset.photos);
  });
}
