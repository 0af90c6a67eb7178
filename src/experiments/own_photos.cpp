#include "facepoison/own_photos.hpp"

#include <algorithm>

#include "facepoison/attack.hpp"
#include "facepoison/embeddings.hpp"
#include "facepoison/error.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/home.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"
#include "facepoison/prepare.hpp"

namespace facepoison {
namespace {

const std::string person = "(you)";  // a name that no folder of a crowd has
constexpr const char* halves[] = {"half-a", "half-b"};

// A recogniser on this machine.
struct Known {
  std::string wanted, name;  // its name in a config; in tables
  std::string trained;       // the attacks that perturbed its training photos; "": none
};

// The given recognisers, by name or by a card's path from the working folder; without any, all on this machine by
// release.
std::vector<Known> recognisers_of(const std::vector<std::string>& given) {
  std::vector<Known> all;
  const auto add = [&](const Card& card, const std::string& wanted) {
    all.push_back({wanted, card.name, ""});
    for (const auto& attack : card.trained_against)
      all.back().trained += (all.back().trained.empty() ? "" : "; ") + attack;
  };
  for (const auto& name : given) {
    const Card card = read_card(name);
    add(card, fs::exists(name) ? fs::absolute(name).string() : name);
  }
  if (given.empty())
    for (const auto& card : all_cards())
      if (fs::exists(model_path(card.file, card.path.parent_path()))) add(card, card.name);
  return all;
}

Json wanted_of(const std::vector<Known>& recognisers) {
  Json names = Json::array();
  for (const auto& one : recognisers) names.push_back(one.wanted);
  return names;
}

// The reasons why photos of the person are not used, and how many photos each has.
class LeftOut {
 public:
  void add(const std::string& reason) {
    const auto same = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.first == reason; });
    if (same == list.end())
      list.emplace_back(reason, 1);
    else
      ++same->second;
  }
  std::vector<std::pair<std::string, std::size_t>> list;
};

LeftOut left_out_of(const fs::path& dataset) {
  LeftOut left_out;
  read_rows(dataset / "rejected.csv", [&](const auto&, const std::vector<Cell>& row) {
    const auto reason = text(row.at(2));
    const bool repeats = reason.starts_with(exact_duplicate_of) || reason.starts_with(near_duplicate_of);
    left_out.add(repeats ? "repeat another photo" : reason);
  });
  return left_out;
}

// The photos of the crowd without people who have some of the person's pictures; at most most_crowd_photos of each.
std::vector<Photo> others_of(const std::vector<Photo>& crowd, const std::vector<Photo>& own) {
  std::set<std::string> mine, same_person;
  for (const auto& photo : own) mine.insert(photo.source_sha256);
  for (const auto& photo : crowd)
    if (mine.count(photo.source_sha256)) same_person.insert(photo.person);
  for (const auto& name : same_person)
    log_warning(concat(name, " in the crowd has some of your photos and is left out"));
  std::map<std::string, std::size_t> kept;
  std::vector<Photo> others;
  for (const auto& photo : crowd)
    if (!same_person.count(photo.person) && ++kept[photo.person] <= most_crowd_photos) others.push_back(photo);
  if (kept.empty()) throw Error(Exit::input, "nobody is left in the crowd");
  return others;
}

// Marks photos that are not more similar to the person's other photos (mean cosine) than 99 % of the crowd's photos
// are: most photos of somebody else are like this.
std::vector<bool> unlike_the_others(const std::vector<Photo>& own, const std::vector<Photo>& crowd,
                                    const FeatureExtractor& extractor, const RunOptions& options,
                                    ArtifactStore& store) {
  const auto unit = [&](const std::vector<Photo>& photos) {
    const auto rows = embed(photos, extractor, options, store).to(torch::kFloat64);
    return rows / rows.norm(2, 1, true);
  };
  const auto mine = unit(own);
  const auto others = static_cast<double>(own.size() - 1);
  const auto likeness = (mine.mm(mine.t()).sum(1) - 1) / others;  // without itself
  const auto of_crowd = std::get<0>(unit(crowd).mm(mine.t()).mean(1).sort());
  const auto threshold = of_crowd[of_crowd.size(0) * 99 / 100].item<double>();
  std::vector<bool> unlike;
  for (std::int64_t i = 0; i < likeness.size(0); ++i) unlike.push_back(likeness[i].item<double>() <= threshold);
  return unlike;
}

// Marks photos that every recogniser finds unlike the others. A photo of the person that is only hard to recognise must
// stay: it counts as one on which the person is not found.
std::vector<bool> are_of_somebody_else(const std::vector<Photo>& own, const std::vector<Photo>& crowd,
                                       const std::vector<Known>& recognisers, const RunOptions& options,
                                       ArtifactStore& store) {
  std::vector<bool> all(own.size(), true);
  for (const auto& one : recognisers) {
    const auto unlike = unlike_the_others(own, crowd, *make_extractor(one.wanted, options), options, store);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = all[i] && unlike[i];
  }
  return all;
}

// Writes a data set with one half of the person's photos posted and the other half as probes.
void write_half(const fs::path& folder, const std::vector<Photo>& own, const std::vector<Photo>& crowd,
                const std::vector<Split>& split, Split posted) {
  std::vector<Photo> photos = crowd;
  for (auto& photo : photos) photo.split = Split::train;
  for (std::size_t i = 0; i < own.size(); ++i) {
    photos.push_back(own[i]);
    photos.back().split = split[i] == posted ? Split::train : Split::test;
  }
  std::sort(photos.begin(), photos.end(), [](const Photo& a, const Photo& b) { return a.id < b.id; });
  for (auto& photo : photos) {
    const auto canvas = std::exchange(photo.path, canvas_path(folder, photo.id));
    copy_to(canvas, photo.path);
  }
  write_dataset(folder, photos, read_canvas(photos.front()).width, Table{{"id", "person", "reason"}, {}, {}});
}

// An experiment that answers a question: the question, for the progress, and its keys besides the common ones.
struct Asked {
  std::string name, asks;
  Json keys;
};

Asked about_clean_photos(const Json& names) {
  return {"clean",
          "are you found if no photo is cloaked?",
          {{"attacks", {"none"}}, {"extractors", names}, {"tables", {"protection", "verification"}}}};
}

// `posted`: the number of posted photos, of which some may stay clean.
std::vector<Asked> about_cloak(const Json& cloak, const Json& names, std::size_t posted) {
  const Json attacks = Json::array({cloak});
  std::vector<Asked> all = {
      {"cloaked",
       "are you found if all posted photos are cloaked?",
       {{"attacks", attacks}, {"extractors", names}, {"tables", {"protection", "verification"}}}}};
  const Json jpeg = {{"name", "JPEG"}, {"transform", "jpeg"}, {"quality", 75}};
  const Json half = {{"name", "half size"}, {"transform", "resize"}, {"scale", 0.5}};
  const Json both = {{"name", "half size and JPEG"}, {"chain", {half, jpeg}}};
  all.push_back({"sites",
                 "does it matter that sites save pictures again, and smaller?",
                 {{"attacks", attacks}, {"extractors", names}, {"transforms", {"none", jpeg, half, both}}}});
  Json leaks = Json::array();
  for (const std::size_t count : {1, 5})
    if (count < posted) leaks.push_back(count);
  all.push_back({"leaks",
                 "what if some of your photos are on the web without a cloak?",
                 {{"attacks", attacks}, {"extractors", names}, {"clean_photos", leaks}}});
  Json detectors = Json::array();
  for (const auto& card : all_cards(Task::cloak_detector))
    if (fs::exists(model_path(card.file, card.path.parent_path()))) detectors.push_back(card.name);
  if (!detectors.empty())
    all.push_back({"detection",
                   "does a detector notice the cloak?",
                   {{"attacks", attacks},
                    {"extractors", Json::array({names.front()})},
                    {"detectors", detectors},
                    {"tables", {"protection", "detection"}}}});
  return all;
}

// Two to ask together: the best on clean photos of those trained on perturbed photos and the best of the others; if
// none was trained so, the best two. None if there is only one.
std::vector<Known> pair_of(const std::vector<Known>& recognisers, const Table& found) {
  std::vector<std::pair<double, Known>> plain, trained;
  for (const auto& row : found.rows)
    for (const auto& one : recognisers)
      if (text(row.at(0)) == one.name)
        (one.trained.empty() ? plain : trained)
            .emplace_back(std::get<double>(row.at(column(found, "found", "found"))), one);
  for (auto* some : {&plain, &trained})
    std::stable_sort(some->begin(), some->end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  plain.insert(plain.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(1, plain.size())), trained.begin(),
               trained.end());
  std::vector<Known> pair;
  for (const auto& [share, one] : plain)
    if (pair.size() < 2) pair.push_back(one);
  return pair.size() == 2 ? pair : std::vector<Known>{};
}

Asked about_two(const std::vector<Known>& pair, const std::string& name, const Json& cloak) {
  Json attacks = {"none"};
  if (!cloak.is_null()) attacks.push_back(cloak);
  const Json combined = {{"name", name}, {"rule", "top-2"}, {"accurate", pair[0].name}, {"robust", pair[1].name}};
  return {"together",
          "what if two recognisers are asked together?",
          {{"attacks", attacks}, {"extractors", wanted_of(pair)}, {"combine", Json::array({combined})}}};
}

std::vector<ShownPhoto> shown(const std::vector<Photo>& photos) {
  constexpr int side = 96, quality = 80;
  std::vector<ShownPhoto> all;
  for (const auto& photo : photos)
    all.push_back({fs::path(photo.source).filename().string(),
                   encode_jpeg(resize_image(read_canvas(photo), side, side), quality)});
  return all;
}

[[noreturn]] void refuse_few(std::size_t usable, const LeftOut& left_out) {
  std::vector<std::string> reasons;
  for (const auto& [reason, count] : left_out.list) reasons.push_back(concat(count, " (", reason, ")"));
  throw Error(Exit::input,
              concat(usable, " usable photos of you, but ", least_photos, " are needed: add photos that show ",
                     "your face", reasons.empty() ? "" : ". Not used: ", listed(reasons)));
}

// The used photos of the person and of the crowd, and why others are not used.
struct Chosen {
  std::vector<Photo> own, crowd;
  LeftOut left_out;
};

Chosen choose(const OwnPhotos& own, const std::vector<Known>& recognisers, const RunOptions& options,
              const fs::path& work, ArtifactStore& store) {
  const auto album = prepare(scan_album(own.photos, person), work / "album", {}, store);
  const auto crowd = own.crowd.empty() ? project_home() / "data" / "rendered" : own.crowd;
  const PrepareOptions of_crowd{.photos_per_person = static_cast<std::int64_t>(most_crowd_photos)};
  Chosen chosen{{}, others_of(dataset_of(crowd, of_crowd, store).photos, album.photos), left_out_of(album.folder)};
  log_info("question: do all photos show the same person?");
  const auto strangers = are_of_somebody_else(album.photos, chosen.crowd, recognisers, options, store);
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    if (strangers[i])
      chosen.left_out.add("seem to show somebody else");
    else
      chosen.own.push_back(album.photos[i]);
  }
  if (chosen.own.size() < least_photos) refuse_few(chosen.own.size(), chosen.left_out);
  return chosen;
}

// Runs a question's experiment on both halves; returns the run folders.
std::vector<fs::path> ask(const Asked& asked, const OwnPhotos& own, const fs::path& work, ArtifactStore& store) {
  log_info(concat("question: ", asked.asks));
  std::vector<fs::path> runs;
  for (const auto* half : halves) {
    Json config = {{"dataset", (work / half).string()},
                   {"protected", {person}},
                   {"device", own.device},
                   {"precision", own.precision}};
    config.update(asked.keys);
    const fs::path file = work / concat(asked.name, "-", half, ".json");
    write_file(file, config.dump());
    runs.push_back(work / "runs" / file.stem());
    run_experiment(read_experiment(file, {}, own.trust_model, store), runs.back(), store);
  }
  return runs;
}

}  // namespace

Searched search_for(const OwnPhotos& own, const fs::path& work, ArtifactStore& store) {
  const auto recognisers = recognisers_of(own.extractors);
  const auto options = run_options(own.device, own.precision, own.trust_model);
  Inquiry inquiry;
  for (const auto& one : recognisers)
    if (!one.trained.empty()) inquiry.trained[one.name] = one.trained;
  if (!own.cloak.is_null()) {
    const auto attack = make_attack(own.cloak, options);
    inquiry.cloak = attack->settings().name;
    for (const auto& surrogate : attack->all_surrogates()) inquiry.surrogates.push_back(surrogate->card().name);
  }
  const auto chosen = choose(own, recognisers, options, work, store);
  inquiry.left_out = chosen.left_out.list;
  std::set<std::string> people = {person};
  for (const auto& photo : chosen.crowd) people.insert(photo.person);
  inquiry.people = people.size();
  inquiry.is_crowd_rendered = own.crowd.empty();
  const auto split = seeded_split(std::vector<std::string>(chosen.own.size(), person), 0.5, 0);
  write_half(work / halves[0], chosen.own, chosen.crowd, split, Split::train);
  write_half(work / halves[1], chosen.own, chosen.crowd, split, Split::test);

  const Json names = wanted_of(recognisers);
  std::vector<fs::path> runs = ask(about_clean_photos(names), own, work, store);
  const auto pair = pair_of(recognisers, findings_of(inquiry, runs).found);
  std::vector<Asked> more;
  if (!own.cloak.is_null()) more = about_cloak(own.cloak, names, chosen.own.size() / 2);
  if (!pair.empty()) {
    inquiry.together = concat(pair[0].name, " with ", pair[1].name);
    more.push_back(about_two(pair, inquiry.together, own.cloak));
  }
  for (const auto& asked : more)
    for (auto& run : ask(asked, own, work, store)) runs.push_back(std::move(run));
  return {findings_of(inquiry, runs), own.with_photos ? shown(chosen.own) : std::vector<ShownPhoto>{}};
}

}  // namespace facepoison
