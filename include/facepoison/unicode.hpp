// One name, however its accents are written.
#pragma once
#include <string>

namespace facepoison {

// UTF-8 in Unicode's canonical decomposition (NFD), as macOS writes names of files: a letter with an accent becomes the
// letter and the accent. Latin, Greek, Cyrillic, kana and Hangul; anything else, text that is not UTF-8 too, stays as
// it is.
std::string decomposed(const std::string& text);

}  // namespace facepoison
