// One name, however its accents are written.
#pragma once
#include <string>

namespace facepoison {

// UTF-8 in Unicode's canonical decomposition (NFD), as macOS writes names of files: a letter with an accent becomes the
// letter and the accent. Latin, Greek, Cyrillic, kana and Hangul; anything else, text that is not UTF-8 too, stays as
// it is.
std::string decomposed(const std::string& text);

// For where only ASCII can be shown: letters without their accents, and '?' for each character that is no letter of
// ASCII without one, a control character too.
std::string ascii_letters(const std::string& text);

}  // namespace facepoison
