// The four loops and one swap.
#include <map>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/log.hpp"
#include "facepoison/report.hpp"
#include "facepoison/stages.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

torch::Tensor rows_of(const torch::Tensor& matrix, const std::vector<std::size_t>& rows) {
  return matrix.index_select(0, torch::tensor(std::vector<std::int64_t>(rows.begin(), rows.end())));
}

// Where things are: people as labels, protected people's training photos as rows.
struct Layout {
  std::vector<std::string> people;  // label → name
  std::vector<std::int64_t> train_labels, test_labels;
  std::vector<Photo> album;  // protected people's training photos, person after person
  std::vector<std::size_t> album_dataset_rows;
  // Of each protected person.
  std::vector<std::int64_t> protected_labels;
  std::vector<std::vector<std::int64_t>> album_rows, gallery_rows;
  std::vector<std::vector<std::size_t>> probes;  // rows of the data set
};

Layout lay_out(const Experiment& e) {
  Layout out;
  out.people = e.dataset.people();
  std::map<std::string, std::int64_t> labels;
  for (std::size_t i = 0; i < out.people.size(); ++i) labels[out.people[i]] = static_cast<std::int64_t>(i);
  std::map<std::int64_t, std::vector<std::int64_t>> gallery_rows;
  std::map<std::int64_t, std::vector<std::size_t>> probes;
  for (const auto row : e.train) {
    const auto label = labels[e.dataset.photos[row].person];
    gallery_rows[label].push_back(static_cast<std::int64_t>(out.train_labels.size()));
    out.train_labels.push_back(label);
  }
  for (const auto row : e.test) {
    out.test_labels.push_back(labels[e.dataset.photos[row].person]);
    probes[out.test_labels.back()].push_back(row);
  }
  std::int64_t in_album = 0;
  for (const auto& person : e.protected_people) {
    const auto label = labels[person];
    out.protected_labels.push_back(label);
    out.gallery_rows.push_back(gallery_rows[label]);
    out.probes.push_back(probes[label]);
    auto& rows = out.album_rows.emplace_back();
    for (const auto row : gallery_rows[label]) {
      out.album_dataset_rows.push_back(e.train[static_cast<std::size_t>(row)]);
      out.album.push_back(e.dataset.photos[out.album_dataset_rows.back()]);
      rows.push_back(in_album++);
    }
  }
  return out;
}

struct Results {
  TableFile trials, others;
  explicit Results(const fs::path& folder)
      : trials(folder / "trials.csv",
               {"extractor", "attack", "classifier", "protected", "id", "person", "predicted", "distance", "correct"}),
        others(folder / "others.csv", {"extractor", "attack", "classifier", "protected", "n", "errors"}) {}
};

void record(Results& results, const Experiment& e, const Layout& layout, const std::vector<std::string>& cell,
            std::size_t p, const Answer& answer) {
  const auto& person = e.protected_people[p];
  for (std::size_t i = 0; i < answer.labels.size(); ++i) {
    const auto& photo = e.dataset.photos[layout.probes[p][i]];
    const bool correct = answer.labels[i] == layout.protected_labels[p];
    results.trials.add({cell[0], cell[1], cell[2], person, photo.id, photo.person,
                        layout.people[static_cast<std::size_t>(answer.labels[i])], answer.distances[i],
                        static_cast<std::int64_t>(correct)});
  }
  results.others.add({cell[0], cell[1], cell[2], person, answer.others, answer.others_errors});
}

Json facts(const Experiment& e) {
  Json notes = Json::array();
  const auto everybody = e.dataset.people().size();
  notes.push_back(concat("data: ", everybody, " people, ", e.dataset.photos.size(), " photos (", e.train.size(),
                         " train, ", e.test.size(), " test), ", e.dataset.rejected, " rejected; manifest sha256 ",
                         e.dataset.manifest_sha256.substr(0, 16)));
  for (const auto& note : duplicate_notes(e.dataset)) notes.push_back(note);
  notes.push_back(concat("protected: ", e.protected_people.size(), " of ", e.eligible.size(),
                         " people with train and test photos (", everybody - e.eligible.size(),
                         " others stay in the gallery), one at a time, all their training photos replaced; seed ",
                         e.seed));
  notes.push_back(concat("precision ", precision_name(e.options), ", device ", device_name(e.options.device),
                         ", facepoison ", version(), " ", commit(), ", LibTorch ", libtorch_version(), ", OpenCV ",
                         opencv_version()));
  if (e.dataset.photos.front().landmarks)
    notes.push_back(
        "deviation: each recogniser aligns by the clean photo's landmarks, for perturbed photos too; the paper's code "
        "squashes crops instead");
  for (const auto& extractor : e.extractors) {
    const Card& card = extractor->card();
    if (!card.style_name.empty())
      notes.push_back(concat(card.name, ": a small stand-in in the style of ", card.style_name, " (", card.style_year,
                             "), never the published model; trained ", card.released));
  }
  for (const auto& card : e.absent)
    notes.push_back(concat(card.name, " (", card.release(), ") was skipped: its weights are not here",
                           card.how_to_get().empty() ? "" : "; to get them: " + card.how_to_get()));
  for (const auto& attack : e.attacks) {
    for (const auto& note : attack->settings().notes) notes.push_back(note);
    std::string surrogates;
    for (const auto& surrogate : attack->settings().surrogates)
      surrogates += (surrogates.empty() ? "" : ", ") + surrogate->card().name;
    if (!surrogates.empty())
      notes.push_back(concat("attack ", attack->settings().name, " optimises against ", surrogates));
  }
  const auto where = machine(e.options.device);
  return {{"notes", notes}, {"date", utc_time()}, {"commit", commit()}, {"machine", where}};
}

// The data set's place on this machine is no part of what was run: its manifest's hash is.
std::string config_hash(Json resolved) {
  resolved.erase("dataset");
  return sha256(resolved.dump());
}

void claim(const Experiment& e, const fs::path& folder) {
  const fs::path file = folder / "config.resolved.json";
  if (fs::exists(file) && config_hash(read_json(file)) != config_hash(e.resolved))
    throw Error(Exit::usage,
                concat(folder.string(),
                       " holds another config's run; name another --run-dir, or none for a folder of its own"));
  if (!fs::exists(file) && fs::exists(folder) && !fs::is_empty(folder))
    throw Error(Exit::usage, concat(folder.string(), " holds files that are no run; name an empty or a new --run-dir"));
  write_file(file, e.resolved.dump(1) + "\n");
}

}  // namespace

std::vector<std::size_t> album_rows(const Experiment& e) { return lay_out(e).album_dataset_rows; }

fs::path default_run_folder(const Experiment& e) {
  return fs::absolute(fs::path("runs") / e.name / config_hash(e.resolved).substr(0, 12));
}

void run_experiment(const Experiment& e, const fs::path& folder, ArtifactStore& store) {
  claim(e, folder);
  const Layout layout = lay_out(e);
  std::vector<Album> albums;
  std::vector<Audit> budget;
  for (const auto& attack : e.attacks) {
    albums.push_back(perturb(layout.album, e.dataset.photos, *attack, e.seed, e.options, store));
    budget.insert(budget.end(), albums.back().budget.begin(), albums.back().budget.end());
  }

  Results results(folder);
  for (const auto& extractor : e.extractors) {
    const auto features = embed(e.dataset.photos, *extractor, e.options, store);
    const Clean clean{rows_of(features, e.train), rows_of(features, e.test), layout.train_labels, layout.test_labels};
    for (std::size_t a = 0; a < e.attacks.size(); ++a) {
      const auto perturbed = e.attacks[a]->changes_photos() ? embed(albums[a].photos, *extractor, e.options, store)
                                                            : rows_of(features, layout.album_dataset_rows);
      std::vector<Game> games;
      for (std::size_t p = 0; p < e.protected_people.size(); ++p)
        games.push_back({e.protected_people[p],
                         layout.protected_labels[p],
                         {layout.gallery_rows[p], perturbed.index_select(0, torch::tensor(layout.album_rows[p]))}});
      for (const auto& wanted : e.classifiers) {
        const std::vector<std::string> cell = {extractor->card().name, e.attacks[a]->settings().name,
                                               classifier_name(wanted)};
        const auto answers =
            answer(clean, games, wanted, concat("identify, ", cell[0], ", ", cell[1], ", ", cell[2]), store);
        for (std::size_t p = 0; p < answers.size(); ++p) record(results, e, layout, cell, p, answers[p]);
      }
    }
  }

  write_file(folder / "run.json", facts(e).dump(1) + "\n");
  write_file(folder / "rejected.csv", fs::exists(e.dataset.folder / "rejected.csv")
                                          ? read_file(e.dataset.folder / "rejected.csv")
                                          : "id,person,reason\n");
  write_file(folder / "budget.csv", print(budget_table(budget), Format::csv));
  results.others.finish();
  results.trials.finish();
  write_file(folder / "table.csv", print(table_of_run(folder, false), Format::csv));
  log_debug(concat("store: ", store.hits(), " blocks found, ", store.misses(), " made"));
}

}  // namespace facepoison
