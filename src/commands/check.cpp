// `check` compares a recogniser, card and weights together, with the embedding of its original runtime, or with that of
// a user's own pipeline for a picture, or looks for a preprocessing that separates people better.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"
#include "facepoison/mistakes.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/preprocessing.hpp"

namespace facepoison {
namespace {

// Below this the card or the conversion is wrong: float rounding alone leaves seven nines.
constexpr double least_cosine = 0.99999;
constexpr double largest_share = 5e-3;  // of one number's size: about the deviation that this cosine allows
constexpr std::size_t most_mistakes = 5;

std::string asked_of(const Card& card) {
  return card.dimension == 1 ? concat("a max_difference of at most ", largest_share, " of the number is expected")
                             : concat("a cosine of at least ", least_cosine, " is expected");
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
    log_warning(concat(card.name, ": its card names no golden embedding; the only check was its hash, which ",
                       file.pinned_by == PinnedBy::nobody ? "nobody pinned" : "is correct"));
  else
    table.notes.push_back(
        concat("the golden picture, compared with the original runtime: ", asked_of(card), "; precision ", precision));
  output.write(table);
  if (golden != "differs") return Exit::ok;
  log_error(concat(card.name, ": the golden embedding differs (", off_by(cosine, difference),
                   "): the card or the weights have changed"));
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
    table.notes.push_back(concat("agrees: at least ", least_cosine, " is expected"));
  else if (explained)
    table.notes.push_back(concat("explained by: ", text(table.rows.front()[0])));
  else
    table.notes.push_back(concat("no usual mistake, and no pair of them, explains the difference; the nearest is: ",
                                 text(table.rows.front()[0])));
  std::vector<std::vector<Cell>> shown = {*as_is};
  for (auto& row : table.rows)
    if (shown.size() <= most_mistakes && row != shown.front()) shown.push_back(row);
  table.rows = agrees ? std::vector<std::vector<Cell>>{shown.front()} : shown;
  output.write(table);
  return agrees ? Exit::ok : Exit::model;
}

std::string reading(const Tried& one, const Gain& gain) {
  if (one.changes.empty()) return "";
  if (std::isnan(one.measured.tar)) return "no usable embeddings";
  return gain.is_seen() ? "better" : gain.interval.high < 0 ? "worse" : "cannot be told apart";
}

// With four decimals, because preprocessings differ in the third.
std::string with_interval(double value, const Interval& interval) {
  if (std::isnan(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.4f [%.4f, %.4f]", value, interval.low, interval.high);
  return text;
}

Table table_of(const std::vector<Tried>& tried, bool for_reading) {
  Table table{{"preprocessing", "tar", "tar_low", "tar_high", "d_prime", "d_prime_low", "d_prime_high", "gain",
               "gain_low", "gain_high", "reading"},
              {},
              {}};
  if (for_reading) table.columns = {"preprocessing", "tar", "d_prime", "gain", "reading"};
  for (const auto& one : tried) {
    const auto gain = gain_over(tried.front(), one);
    const auto& [tar, d_prime] = one.measured;
    if (for_reading)
      table.add({one.what, with_interval(tar, one.tar), with_interval(d_prime, one.d_prime),
                 one.changes.empty() ? "" : with_interval(gain.value, gain.interval), reading(one, gain)});
    else
      table.add({one.what, tar, one.tar.low, one.tar.high, d_prime, one.d_prime.low, one.d_prime.high, gain.value,
                 gain.interval.low, gain.interval.high, reading(one, gain)});
  }
  return table;
}

std::vector<std::string> notes_on(std::span<const Photo> photos, const std::vector<Tried>& tried) {
  std::map<std::string, std::int64_t> people;
  for (const auto& photo : photos) ++people[photo.person];
  std::int64_t genuine = 0;
  for (const auto& [person, count] : people) genuine += count * (count - 1) / 2;
  const auto all = static_cast<std::int64_t>(photos.size() * (photos.size() - 1) / 2);
  std::vector<std::string> notes = {
      concat(photos.size(), " photos of ", people.size(), " people: ", genuine, " pairs of one person, ", all - genuine,
             " of different people"),
      concat("tar: share of the former that is accepted at a false accept rate of ", false_accepts,
             ", by cosine; d_prime: the distance between the two means in standard deviations; intervals of 95 %, "
             "people resampled"),
      "gain: tar minus the card's tar, with an interval of 99 % over the same resamples",
      "mirror averaging is not tried: it helps a network whether its authors use it or not"};
  if (tried.front().tar.low == 1)
    notes.push_back("every resample accepts all pairs of one person: these photos are too easy to show which is best");
  return notes;
}

// The other single changes that are better than the card and cannot be told from this one.
std::vector<std::string> as_good_as(std::size_t chosen, const std::vector<Tried>& tried) {
  std::vector<std::string> names;
  for (std::size_t k = 1; k < tried.size(); ++k)
    if (k != chosen && tried[k].changes.size() == 1 && gain_over(tried.front(), tried[k]).is_seen() &&
        !gain_over(tried[k], tried[chosen]).is_seen())
      names.push_back(concat("\"", tried[k].what, "\""));
  return names;
}

// Says which is best, and what to write on the card if that is not the card's own.
Exit judge(const Card& card, const std::vector<Tried>& tried, std::vector<std::string>& notes) {
  if (const auto better = better_than_card(tried)) {
    log_error(concat(card.name, ": with \"", tried[*better].what, "\" it separates these people better than with its ",
                     "card; set on the card ", differing(card, tried[*better].contract).dump()));
    if (const auto others = as_good_as(*better, tried); !others.empty())
      notes.push_back(concat("cannot be distinguished from \"", tried[*better].what, "\": ", listed(others)));
    return Exit::model;
  }
  const bool has_rival = tried.size() > 1 && gain_over(tried.front(), tried[1]).value > 0;
  notes.push_back(has_rival
                      ? concat("the best is \"", tried[1].what, "\", which cannot be distinguished from the card's")
                      : "the card's own preprocessing is the best");
  return Exit::ok;
}

Exit check_photos(const FeatureExtractor& extractor, const std::string& path, std::size_t most,
                  const RunOptions& options, const OutputOptions& output) {
  const Card& card = extractor.card();
  const auto photos = photos_to_compare(read_dataset(path), most);
  const auto tried = try_preprocessings(extractor, photos, options);
  const auto format = parse_format(output.format);
  Table table = table_of(tried, format == Format::markdown || format == Format::latex);
  table.notes = notes_on(photos, tried);
  const auto code = judge(card, tried, table.notes);
  output.write(table);
  return code;
}

}  // namespace

std::string off_by(double cosine, double difference) {
  return std::isnan(cosine) ? concat("off by ", difference) : concat("cosine ", cosine);
}

GoldenCheck check_golden(const FeatureExtractor& extractor, const RunOptions& options) {
  const Card& card = extractor.card();
  // Runs the network even without a golden embedding: one that cannot be run, or answers differently each time, is
  // broken.
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
    std::string card, image, reference, photos;
    std::size_t most_photos = 2000;
    bool crop = false, ignore_exif = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("CARD", o->card, "an extractor's or a cloak detector's name, or the path of its card")->required();
  auto* image = app.add_option("--image", o->image, "a photo, the embedding of which is compared with --reference");
  app.add_option("--reference", o->reference, "your own pipeline's embedding of the photo, .npy")->needs(image);
  image->needs(app.get_option("--reference"));
  app.add_flag("--crop", o->crop, "the picture is a crop: only resize it, without face detection")->needs(image);
  app.add_flag("--ignore-exif", o->ignore_exif, "do not rotate the picture as its EXIF data says")->needs(image);
  auto* photos = app.add_option("--photos", o->photos,
                                "a data set: look for a usual preprocessing that separates its people better")
                     ->excludes(image);
  app.add_option("--most-photos", o->most_photos,
                 "use at most this many of its photos, a random choice that is the same each time")
      ->check(whole_number(1, 100000))
      ->capture_default_str()
      ->needs(photos);
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [o, device, output] {
    output->check({o->card, o->image, o->reference, o->photos});
    const auto options = device->resolve();
    const bool by_photos = !o->photos.empty();
    const auto tasks = by_photos ? std::vector{Task::recogniser} : every_task;
    const auto extractor = make_extractor(read_card(o->card, tasks), options);  // checks the hash
    if (by_photos) return check_photos(*extractor, o->photos, o->most_photos, options, *output);
    if (o->image.empty()) return print_check(*extractor, device->precision, options, *output);
    const auto reference = read_npy(o->reference);
    const bool crop = o->crop || extractor->card().template_name == "none";
    const Image image = decode_image(read_file(o->image), o->ignore_exif ? Exif::ignore : Exif::rotate);
    return check_reference(*extractor, image, crop, reference, options, *output);
  };
}

}  // namespace facepoison
