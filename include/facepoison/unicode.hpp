// Names with accents in any Unicode form.
#pragma once
#include <string>

namespace facepoison {

// UTF-8 in Unicode's canonical decomposition (NFD), as macOS writes names of files: a letter with an accent becomes the
// letter and the accent. Text that is not UTF-8 stays as it is.
std::string decomposed(const std::string& text);

// The text in printable ASCII: letters without their accents, and '?' for each other character.
std::string ascii_letters(const std::string& text);

}  // namespace facepoison
