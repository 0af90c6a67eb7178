#include "facepoison/config_file.hpp"
#include "facepoison/spec.hpp"
#include "fuzz.hpp"

// Reads the whole input as JSON, then as a config file, and then its first line as an override of the rest.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  fuzz::reads(data, size, [](std::string_view bytes) { parse_json(std::string(bytes), "input"); });
  return fuzz::reads(data, size, [](std::string_view bytes) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    const auto file = fuzz::written("config.json", bytes.starts_with('{') ? bytes : bytes.substr(end));
    const auto anchored = [](Json& config, const fs::path& base) {
      if (config.is_object() && config.contains("dataset")) anchor_path(config["dataset"], base);
    };
    Spec spec(read_config(file, {std::string(bytes.substr(0, end))}, anchored), "config.json");
    spec.text("dataset", "");
    spec.texts("attacks", std::vector<std::string>{});
    spec.integer("protected", 1, 100, 3);
    spec.number("strength", 0, 1, 0.5);
    spec.choice("precision", {"fp32", "bf16"}, "fp32");
    if (spec.has("scenario")) spec.object("scenario").flag("on", false);
    spec.finish();
    spec.record().dump();  // what was read can be written
  });
}
