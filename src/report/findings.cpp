#include "facepoison/findings.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/stats.hpp"
#include "report/columns.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

constexpr auto as_they_are = "as they are";

// The result for a photo that was looked for.
struct Looked {
  bool is_found = false;
  double place = unknown;
};

using Key = std::vector<std::string>;  // recogniser, attack, transform, clean_photos

struct Pairs {
  double accepted = 0, n = 0;
};

struct Gathered {
  std::vector<Key> order;
  std::map<Key, std::map<std::string, Looked>> photos;  // by id
  std::map<Key, Pairs> pairs;
  std::map<std::string, std::string> released;
  std::set<std::string> surrogates, single;                                     // recognisers
  std::map<std::pair<std::string, bool>, std::map<std::string, bool>> flagged;  // by detector and cloaked?, by id
  std::vector<std::string> notes;
};

Key key_of(const NamedRow& row) {
  const auto coordinates = coordinates_of(row);
  return {coordinates.value("extractor"), coordinates.value("attack"), coordinates.value("transform"),
          coordinates.value("clean_photos")};
}

void gather_photos(const fs::path& folder, Gathered& all) {
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    const auto key = key_of(row);
    const auto [found, is_new] = all.photos.try_emplace(key);
    if (is_new) all.order.push_back(key);
    const auto rank = row.number_or_unknown("rank");
    found->second[row.word("id")] = {row.word("correct") == "1", rank};
  });
}

void gather_pairs(const fs::path& folder, Gathered& all) {
  if (!fs::exists(folder / "pairs.csv")) return;
  read_named(folder / "pairs.csv", [&](const NamedRow& row) {
    const auto accepted = row.number_or_unknown("accepted_at_0.001"), n = row.number("genuine");
    if (std::isnan(accepted)) return;
    auto& pairs = all.pairs[key_of(row)];
    pairs.accepted += accepted * n;
    pairs.n += n;
  });
}

void gather_flags(const fs::path& folder, Gathered& all) {
  if (!fs::exists(folder / "detections.csv")) return;
  read_named(folder / "detections.csv", [&](const NamedRow& row) {
    if (row.word("transform") != "none") return;
    const auto threshold = row.number("threshold");
    for (const auto* side : {"clean", "perturbed"})
      all.flagged[{row.word("detector"), side == std::string("perturbed")}][row.word("id")] =
          row.number(side) >= threshold;
  });
}

Gathered gather(const Inquiry& inquiry, const std::vector<fs::path>& runs) {
  Gathered all;
  for (const auto& folder : runs) {
    const RunFolder run = read_run(folder);
    all.released.insert(run.released.begin(), run.released.end());
    if (const auto attacked = run.attacked.find(inquiry.cloak); attacked != run.attacked.end())
      all.surrogates.insert(attacked->second.begin(), attacked->second.end());
    for (const auto& note : run.notes)
      if (!has(all.notes, note)) all.notes.push_back(note);
    gather_photos(folder, all);
    gather_pairs(folder, all);
    gather_flags(folder, all);
  }
  return all;
}

std::vector<double> places_of(const std::map<std::string, Looked>& photos) {
  std::vector<double> places;
  for (const auto& [id, looked] : photos)
    if (!std::isnan(looked.place)) places.push_back(looked.place);
  std::sort(places.begin(), places.end());
  return places;
}

// The median; of two in the middle the lower one, so that it is a place.
Cell median(const std::vector<double>& sorted) {
  if (sorted.empty()) return unknown;
  return static_cast<std::int64_t>(sorted[(sorted.size() - 1) / 2]);
}

std::vector<Cell> share_and_interval(double hits, double n) {
  const auto interval = wilson(hits / n, n);
  return {static_cast<std::int64_t>(n), hits / n, interval.low, interval.high};
}

Table found_table(const Gathered& all) {
  Table table{
      {"recogniser", "released", "posted", "transform", "clean_photos", "n", "found", "low", "high", "place", "check",
       "surrogate"},
      {},
      {"n: photos of you that were looked for, each while the other half of them was posted; found: share of them "
       "that is named rightly; low, high: Wilson's interval over your photos, 95 %, which says nothing of other "
       "people; place: yours among all people, the median; check: share of pairs that a 1:1 check accepts which "
       "accepts a thousandth of the pairs with other people; surrogate: the cloak is optimised against this "
       "recogniser"}};
  for (const auto& key : all.order) {
    const auto& photos = all.photos.at(key);
    const auto found = std::count_if(photos.begin(), photos.end(), [](const auto& one) { return one.second.is_found; });
    const auto pairs = all.pairs.find(key);
    const bool is_cloaked = key[1] != "none";
    std::vector<Cell> cells = {key[0], all.released.at(key[0]), is_cloaked ? key[1] : as_they_are, key[2], key[3]};
    append(cells, share_and_interval(static_cast<double>(found), static_cast<double>(photos.size())));
    append(cells,
           {median(places_of(photos)), pairs == all.pairs.end() ? unknown : pairs->second.accepted / pairs->second.n,
            is_cloaked && all.surrogates.count(key[0]) ? "yes" : "no"});
    table.add(std::move(cells));
  }
  return table;
}

// The chance that none of those ranked before `place` is drawn, if `drawn` of `people` are, including the person.
double chance_of_first(double place, double people, double drawn) {
  double chance = 1;
  for (double before = 0; before < place - 1; ++before) chance *= (people - drawn - before) / (people - 1 - before);
  return std::max(chance, 0.0);
}

std::vector<std::size_t> crowd_sizes(std::size_t people) {
  std::vector<std::size_t> sizes;
  for (std::size_t ten = 1; ten < people; ten *= 10)
    for (const std::size_t times : {2, 5, 10})
      if (ten * times < people) sizes.push_back(ten * times);
  sizes.push_back(people);
  return sizes;
}

Table crowd_table(const Gathered& all, const Inquiry& inquiry) {
  Table table{{"recogniser", "posted", "people", "found"}, {}, {}};
  for (const auto& key : all.order) {
    const auto places = places_of(all.photos.at(key));
    if (places.empty() || key[0] == inquiry.together || key[2] != "none" || key[3] != "0") continue;
    for (const auto size : crowd_sizes(inquiry.people)) {
      std::vector<double> chances;
      for (const auto place : places)
        chances.push_back(chance_of_first(place, static_cast<double>(inquiry.people), static_cast<double>(size)));
      table.add({key[0], key[1] == "none" ? as_they_are : key[1], static_cast<std::int64_t>(size), mean(chances)});
    }
  }
  return table;
}

Table flagged_table(const Gathered& all, const std::string& cloak) {
  Table table{{"detector", "posted", "n", "flagged", "low", "high"}, {}, {}};
  for (const auto& [key, photos] : all.flagged) {
    const auto flagged = std::count_if(photos.begin(), photos.end(), [](const auto& one) { return one.second; });
    std::vector<Cell> cells = {key.first, key.second ? cloak : as_they_are};
    append(cells, share_and_interval(static_cast<double>(flagged), static_cast<double>(photos.size())));
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

Findings findings_of(const Inquiry& inquiry, const std::vector<fs::path>& runs) {
  const auto all = gather(inquiry, runs);
  return {inquiry, found_table(all), crowd_table(all, inquiry), flagged_table(all, inquiry.cloak), all.notes};
}

}  // namespace facepoison
