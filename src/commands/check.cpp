// Does a recogniser, card and weights together, still give the embedding that its original runtime gave?
#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"

namespace facepoison {
namespace {

// Below this the card or the conversion is wrong: float rounding alone leaves seven nines.
constexpr double least_cosine = 0.99999;

}  // namespace

Action check_command(CLI::App& app) {
  const auto card_name = std::make_shared<std::string>();
  app.add_option("CARD", *card_name, "an extractor's name or the path of its card")->required();
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [card_name, device, output] {
    const auto options = device->resolve();
    const Card card = read_card(*card_name);
    const auto extractor = make_extractor(card, options);  // checks the hash
    Table table{{"extractor", "sha256", "golden", "cosine", "max_difference"}, {}, {}};
    if (card.golden.empty()) {
      log_warning(concat(card.name, ": its card names no golden embedding; only the hash was checked"));
      table.add({card.name, "ok", "none", std::nan(""), std::nan("")});
      output->write(table);
      return Exit::ok;
    }
    const c10::InferenceMode inference;
    Faces faces;
    faces.pixels = golden_picture(card.side).to(options.device);
    const auto found = extractor->embed(faces).to(torch::kCPU).flatten(), expected = read_npy(card.golden).flatten();
    if (found.numel() != expected.numel()) throw Error(Exit::model, concat(card.golden.string(), " has ", expected.numel(), " numbers; ", card.name, " gives ", found.numel()));
    const double cosine = at::cosine_similarity(found.to(torch::kFloat64), expected.to(torch::kFloat64), 0).item<double>();
    const bool ok = cosine >= least_cosine;
    table.add({card.name, "ok", ok ? "ok" : "differs", cosine, (found - expected).abs().max().item<double>()});
    table.notes.push_back(concat("cosine to the original runtime's embedding of the golden picture; at least ", least_cosine, " is asked for; precision ", device->precision));
    output->write(table);
    if (!ok) log_error(concat(card.name, ": the golden embedding differs (cosine ", cosine, "): the card or the weights are not what they were"));
    return ok ? Exit::ok : Exit::model;
  };
}

}  // namespace facepoison
