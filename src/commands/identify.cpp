#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "commands/commands.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/embeddings.hpp"

namespace facepoison {
namespace {

struct Side {
  std::vector<std::string> ids, people;
  torch::Tensor matrix;
};

// The first row that has a number which is not finite.
std::optional<std::size_t> first_not_finite(const torch::Tensor& matrix) {
  if (all_finite(matrix)) return std::nullopt;
  const auto rows = matrix.isfinite().all(1).logical_not().nonzero();
  return static_cast<std::size_t>(rows[0].item<std::int64_t>());
}

// The rows of a data set or a .npy + .csv pair with this split, or all of them if there are no splits.
Side read_side(const std::string& path, Split split, const FeatureExtractor* extractor, const RunOptions& options,
               const StoreOption& store) {
  Table names{{"id", "person", "split"}, {}, {}};
  std::string where = path;  // of the columns
  torch::Tensor matrix;
  if (fs::path(path).extension() == ".npy") {
    const auto csv = fs::path(path).replace_extension(".csv");
    where = csv.string();
    names = read_csv(csv);
    matrix = read_npy(path, Precision::as_stored);
    if (matrix.dim() != 2 || static_cast<std::size_t>(matrix.size(0)) != names.rows.size())
      throw Error(Exit::input, concat(path, " has the shape ", matrix.sizes(), "; ", csv.string(), " has ",
                                      names.rows.size(), " rows"));
  } else {
    if (!extractor)
      throw Error(Exit::usage, concat(path, " is not a .npy file; add --extractor to embed it as a data set"));
    const Dataset dataset = read_dataset(path);
    auto artifacts = store.open();
    matrix = embed(dataset.photos, *extractor, options, artifacts);
    for (const auto& photo : dataset.photos) names.add({photo.id, photo.person, split_name(photo.split)});
  }
  const auto id = column(names, "id", where), person = column(names, "person", where),
             side = column(names, "split", where);
  const bool has_splits =
      std::any_of(names.rows.begin(), names.rows.end(), [&](const auto& row) { return !text(row[side]).empty(); });
  Side out;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < names.rows.size(); ++i) {
    if (has_splits && text(names.rows[i][side]) != split_name(split)) continue;
    rows.push_back(static_cast<std::int64_t>(i));
    out.ids.push_back(text(names.rows[i][id]));
    out.people.push_back(text(names.rows[i][person]));
  }
  if (rows.empty()) throw Error(Exit::input, concat(path, " has no ", split_name(split), " rows"));
  const bool all = rows.size() == names.rows.size();  // a copy would cost as much as reading them
  out.matrix = (all ? matrix : matrix.index_select(0, torch::tensor(rows))).contiguous();
  if (const auto row = first_not_finite(out.matrix))
    throw Error(Exit::input, concat(path, ": the embedding of ", out.ids[*row], " is not finite"));
  return out;
}

// The bytes of each row's embedding, which identify a picture on both sides under any name. `matrix` is contiguous.
std::vector<std::string_view> bytes_of_rows(const torch::Tensor& matrix) {
  const auto rows = static_cast<std::size_t>(matrix.size(0)), size = rows > 0 ? matrix.nbytes() / rows : 0;
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < rows; ++i)
    bytes.emplace_back(static_cast<const char*>(matrix.data_ptr()) + i * size, size);
  return bytes;
}

// Refuses a probe that is in the gallery under its own name. Warns of one that is there under another name (a
// duplicate), and of another picture of the same name: train/ann/0.jpg and val/ann/0.jpg, or a photo and its perturbed
// version.
void look_for_leaks(const Side& gallery, const Side& probes) {
  const bool wide = gallery.matrix.scalar_type() == torch::kFloat64 && probes.matrix.scalar_type() == torch::kFloat64;
  const auto type = wide ? torch::kFloat64 : torch::kFloat32;  // the coarser type of both sides
  const auto known = gallery.matrix.to(type), sought = probes.matrix.to(type);
  const auto known_bytes = bytes_of_rows(known), sought_bytes = bytes_of_rows(sought);
  std::unordered_map<std::string_view, std::string_view> pictures;  // → id
  for (std::size_t i = 0; i < gallery.ids.size(); ++i) pictures.emplace(known_bytes[i], gallery.ids[i]);
  const std::unordered_set<std::string_view> names(gallery.ids.begin(), gallery.ids.end());
  std::vector<std::string> leaks, namesakes;
  for (std::size_t i = 0; i < probes.ids.size(); ++i) {
    const auto& id = probes.ids[i];
    const auto same = pictures.find(sought_bytes[i]);
    if (same == pictures.end()) {
      if (names.count(id)) namesakes.push_back(id);
      continue;
    }
    if (names.count(id))
      throw Error(Exit::input, concat("photo ", id, " is on both sides: a probe must not be in the gallery"));
    leaks.push_back(concat(id, " (", same->second, ")"));
  }
  constexpr std::size_t most = 5;
  if (!leaks.empty())
    log_warning(concat(leaks.size(), " of ", probes.ids.size(),
                       " probes are in the gallery under another name: ", listed(leaks, most)));
  if (!namesakes.empty())
    log_warning(concat(namesakes.size(), " of ", probes.ids.size(),
                       " probes have the name of a photo of the gallery, but ",
                       "are other pictures: ", listed(namesakes, most)));
}

// The id of the first photo whose embedding is all zeros.
std::string photo_of_zeros(const Side& gallery, const Side& probes) {
  for (const auto* side : {&gallery, &probes})
    if (const auto zeros = (side->matrix == 0).all(1).nonzero(); zeros.size(0) > 0)
      return side->ids[static_cast<std::size_t>(zeros[0].item<std::int64_t>())];
  return "a photo";
}

// The classifier's answer, computed in float64 if one of the files has it.
Prediction predict(const Side& gallery, const std::vector<std::int64_t>& labels, const Side& probes,
                   const Classifier& classifier) try {
  const auto type = torch::promote_types(gallery.matrix.scalar_type(), probes.matrix.scalar_type());
  return classifier.predict(gallery.matrix.to(type), labels, probes.matrix.to(type));
} catch (const NoDirection&) {
  throw Error(Exit::input, concat("the embedding of ", photo_of_zeros(gallery, probes),
                                  " is all zeros, which has no direction to compare"));
}

Table identify(const Side& gallery, const Side& probes, const Classifier& classifier) {
  look_for_leaks(gallery, probes);
  std::map<std::string, std::int64_t> labels;
  for (const auto& person : gallery.people) labels.emplace(person, 0);
  std::vector<std::string> names;
  for (auto& [person, label] : labels) {
    label = static_cast<std::int64_t>(names.size());
    names.push_back(person);
  }
  std::vector<std::int64_t> gallery_labels;
  for (const auto& person : gallery.people) gallery_labels.push_back(labels[person]);
  const auto prediction = predict(gallery, gallery_labels, probes, classifier);
  Table table{{"id", "person", "predicted", "distance", "correct"}, {}, {}};
  for (std::size_t i = 0; i < probes.ids.size(); ++i) {
    const auto& predicted = names[static_cast<std::size_t>(prediction.labels[i])];
    table.add({probes.ids[i], probes.people[i], predicted, prediction.distances[i],
               static_cast<std::int64_t>(predicted == probes.people[i])});
  }
  return table;
}

}  // namespace

Action identify_command(CLI::App& app) {
  struct Options {
    std::string gallery, probes, classifier = "nearest", extractor;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("GALLERY", o->gallery,
                 "a data set, or X.npy with X.csv; if it has splits, only its train rows are used")
      ->required();
  app.add_option("PROBES", o->probes, "a data set, or X.npy with X.csv; if it has splits, only its test rows are used")
      ->required();
  app.add_option("--classifier", o->classifier,
                 "a name from `list classifiers`, or '{\"classifier\": \"k-nearest\", \"k\": 3}'")
      ->capture_default_str();
  app.add_option("-e,--extractor", o->extractor, "for data sets: an extractor's name or the path of its card");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  const auto output = std::make_shared<OutputOptions>(app, "csv");
  return [o, device, store, output] {
    const auto beside = [](const std::string& matrix) { return fs::path(matrix).replace_extension(".csv"); };
    output->check({o->gallery, o->probes, beside(o->gallery), beside(o->probes)});
    const auto classifier = make_classifier(o->classifier);
    const auto options = device->resolve();
    const auto extractor = o->extractor.empty() ? nullptr : make_extractor(o->extractor, options);
    const Side gallery = read_side(o->gallery, Split::train, extractor.get(), options, *store),
               probes = read_side(o->probes, Split::test, extractor.get(), options, *store);
    output->write(identify(gallery, probes, *classifier));
    return Exit::ok;
  };
}

}  // namespace facepoison
