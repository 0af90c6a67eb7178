#include "facepoison/card.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) {
    const auto card = read_card(fuzz::written("card.json", bytes).string(), every_task);
    card.contract();
    card.how_to_get();
  });
}
