#include "facepoison/unicode.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace facepoison {
namespace {

const utf8proc_uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// The first character's bytes.
std::string_view first_character(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (text[length] & 0xC0) == 0x80) ++length;
  return text.substr(0, length);
}

// An accent that follows its letter.
bool is_accent(std::string_view character) {
  utf8proc_int32_t code = 0;
  const auto length = utf8proc_iterate(bytes_of(character), static_cast<utf8proc_ssize_t>(character.size()), &code);
  return length > 0 && utf8proc_category(code) == UTF8PROC_CATEGORY_MN;
}

}  // namespace

std::string decomposed(const std::string& text) {
  utf8proc_uint8_t* found = nullptr;
  const auto length = utf8proc_map(bytes_of(text), static_cast<utf8proc_ssize_t>(text.size()), &found,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(found, std::free);
  if (length < 0) return text;
  return {reinterpret_cast<const char*>(found), static_cast<std::size_t>(length)};
}

std::string ascii_letters(const std::string& text) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const auto character = first_character(rest);
    rest.remove_prefix(character.size());
    if (is_accent(character)) continue;
    const char letter = decomposed(std::string(character))[0];
    out += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return out;
}

}  // namespace facepoison
