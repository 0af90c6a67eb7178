// `check`: does a recogniser, card and weights together, still give the embedding that its original runtime gave? And
// the one that a user's own pipeline gives of a picture?
#include <algorithm>
#include <cmath>

#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"
#include "facepoison/mistakes.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/prepare.hpp"

namespace facepoison {
namespace {

// Below this the card or the conversion is wrong: float rounding alone leaves seven nines.
constexpr double least_cosine = 0.99999;
constexpr double largest_share = 5e-3;  // of one number's size: about as much as that cosine leaves to many
constexpr std::size_t most_mistakes = 5;

std::string asked_of(const Card& card) {
  return card.dimension == 1
             ? concat("the one number's max_difference is asked to be at most ", largest_share, " of its size")
             : concat("a cosine of at least ", least_cosine, " is asked for");
}

std::string pinned_by(const ModelFile& file) {
  if (file.pinned_by == PinnedBy::card) return "card";
  if (file.pinned_by == PinnedBy::nobody) return "nobody; trusted this once";
  return file.path.filename().replace_extension(".json").string();
}

// The hash that was found and who pinned it, and the golden embedding, where there is one.
Exit print_check(const FeatureExtractor& extractor, const std::string& precision, const RunOptions& options,
                 const OutputOptions& output) {
  const Card& card = extractor.card();
  const auto file = verify_model(card.file, card.path.parent_path(), card.sha256, options.trust_model);
  const auto [golden, cosine, difference] = check_golden(extractor, options);
  Table table{{"extractor", "file", "sha256", "pinned_by", "golden", "cosine", "max_difference"}, {}, {}};
  table.add({card.name, file.path.filename().string(), file.sha256, pinned_by(file), golden, cosine, difference});
  if (golden == "none")
    log_warning(concat(card.name, ": its card names no golden embedding; only the hash was ",
                       file.pinned_by == PinnedBy::nobody ? "taken, which nobody pinned" : "checked"));
  else
    table.notes.push_back(
        concat("of the golden picture, beside the original runtime: ", asked_of(card), "; precision ", precision));
  output.write(table);
  if (golden != "differs") return Exit::ok;
  log_error(concat(card.name, ": the golden embedding differs (", off_by(cosine, difference),
                   "): the card or the weights are not what they were"));
  return Exit::model;
}

// The face on its canvas, as `prepare` aligns it.
Faces aligned(const Image& image) {
  const auto found = align_face(image, find_face(FaceDetector(), image), canvas_side);
  Faces face;
  face.pixels = to_tensor(found.canvas);
  std::vector<double> points;
  for (const auto& p : found.landmarks) points.insert(points.end(), {p.x, p.y});
  face.landmarks = torch::tensor(points, torch::kFloat64).view({1, 5, 2});
  return face;
}

Exit check_reference(const FeatureExtractor& extractor, const Image& image, bool crop, const torch::Tensor& reference,
                     const RunOptions& options, const OutputOptions& output) {
  Table table =
      explain(extractor, crop ? std::nullopt : std::optional(aligned(image)), image, reference, options.device);
  const auto cosine = [](const std::vector<Cell>& row) { return std::get<double>(row[1]); };
  const auto as_is = std::find_if(table.rows.begin(), table.rows.end(),
                                  [](const auto& row) { return text(row[0]).starts_with("none"); });
  const bool agrees = cosine(*as_is) >= least_cosine;
  const bool explained = cosine(table.rows.front()) >= least_cosine;
  if (agrees)
    table.notes.push_back(concat("agrees: at least ", least_cosine, " is asked for"));
  else if (explained)
    table.notes.push_back(concat("explained by: ", text(table.rows.front()[0])));
  else
    table.notes.push_back(
        concat("no usual mistake, nor two of them, explains it; the nearest is: ", text(table.rows.front()[0])));
  std::vector<std::vector<Cell>> shown = {*as_is};
  for (auto& row : table.rows)
    if (shown.size() <= most_mistakes && row != shown.front()) shown.push_back(row);
  table.rows = agrees ? std::vector<std::vector<Cell>>{shown.front()} : shown;
  output.write(table);
  return agrees ? Exit::ok : Exit::model;
}

}  // namespace

std::string off_by(double cosine, double difference) {
  return std::isnan(cosine) ? concat("off by ", difference) : concat("cosine ", cosine);
}

GoldenCheck check_golden(const FeatureExtractor& extractor, const RunOptions& options) {
  const Card& card = extractor.card();
  // Without a golden embedding too: a network that cannot be run, or that answers differently each time, is not in
  // order.
  const c10::InferenceMode inference;
  Faces faces;
  faces.pixels = golden_picture(card.height, card.width).to(options.device);
  const auto found = extractor.embed(faces).to(torch::kCPU).flatten();
  if (card.golden.empty()) return {};
  const auto expected = read_npy(card.golden).flatten();
  if (found.numel() != expected.numel())
    throw Error(Exit::model, concat(card.golden.string(), " has ", expected.numel(), " numbers; ", card.name, " gives ",
                                    found.numel()));
  const double difference = (found - expected).abs().max().item<double>();
  if (found.numel() == 1)  // a cloak detector's, which has no direction
    return {difference <= largest_share * expected.abs().item<double>() ? "ok" : "differs", std::nan(""), difference};
  const double cosine =
      at::cosine_similarity(found.to(torch::kFloat64), expected.to(torch::kFloat64), 0).item<double>();
  return {cosine >= least_cosine ? "ok" : "differs", cosine, difference};
}

Action check_command(CLI::App& app) {
  struct Options {
    std::string card, image, reference;
    bool crop = false, ignore_exif = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("CARD", o->card, "an extractor's or a cloak detector's name, or the path of its card")->required();
  auto* image =
      app.add_option("--image", o->image, "a photo, to compare with --reference: your own pipeline's embedding of it");
  app.add_option("--reference", o->reference, "that embedding, .npy")->needs(image);
  image->needs(app.get_option("--reference"));
  app.add_flag("--crop", o->crop, "the picture is a crop: resize it plainly, look for no face")->needs(image);
  app.add_flag("--ignore-exif", o->ignore_exif, "leave the picture as its pixels lie (default: turned as EXIF says)")
      ->needs(image);
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [o, device, output] {
    output->check({o->card, o->image, o->reference});
    const auto options = device->resolve();
    const auto extractor = make_extractor(read_card(o->card, every_task), options);  // checks the hash
    if (o->image.empty()) return print_check(*extractor, device->precision, options, *output);
    const auto reference = read_npy(o->reference);
    const bool crop = o->crop || extractor->card().template_name == "none";
    const Image image = decode_image(read_file(o->image), o->ignore_exif ? Exif::ignore : Exif::rotate);
    return check_reference(*extractor, image, crop, reference, options, *output);
  };
}

}  // namespace facepoison
