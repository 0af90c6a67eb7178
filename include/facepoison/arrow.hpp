// How cached work is done, once for every arrow: what is missing of it is claimed, decoded in the background, made in
// batches of one size, and put into the store; with progress, and an end between two batches when a signal has come.
#pragma once
#include <chrono>
#include <map>
#include <span>

#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/store.hpp"
#include "facepoison/worker.hpp"

namespace facepoison {

// Consecutive rows of one person, and the key of the artefact that holds what is made of them.
struct Unit {
  std::size_t first = 0, count = 0;
  Json key;
  std::vector<std::string> needs = {};  // names of the artefacts that it is made from, for a plan
};

// Units of at most `most` rows, none of two people. Rows have a `person`.
template <class Rows>
std::vector<Unit> cut_by_person(const Rows& rows, std::size_t most) {
  std::vector<Unit> units;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (units.empty() || units.back().count == most || rows[i].person != rows[i - 1].person)
      units.push_back({i, 0, {}});
    ++units.back().count;
  }
  return units;
}

// From rows to what is made of each. A batch packs rows of several units, whoever's: what is made of a photo must not
// depend on its place or its company, only on the batch's size.
template <class Decoded, class Made>
struct Arrow {
  std::string kind, label;                                         // the store's folder; what the progress says
  std::size_t batch = 1;                                           // rows at once, and in a unit, at most
  std::string called = "photos";                                   // what a row is
  Json work;                                                       // what decides how long a row takes
  std::function<Decoded(const std::vector<std::size_t>&)> decode;  // in the background
  std::function<std::vector<Made>(const std::vector<std::size_t>&, Decoded)> make;  // one for each row
  std::function<void(const Unit&, std::span<const Made>, const fs::path&)> write;   // a unit's, into its folder

  // The artefacts of the units, in their order: found, made, or made meanwhile by other processes. Where the store only
  // plans, nothing is made: there are paths to nothing among them.
  std::vector<fs::path> follow(const std::vector<Unit>& units, ArtifactStore& store) const {
    if (store.planning()) return plan(units, store);
    std::size_t total = 0;
    for (const auto& unit : units) total += unit.count;
    Progress progress(label, total, called);
    std::vector<fs::path> folders(units.size());
    in_threads(units.size(), [&](std::size_t first, std::size_t end) {
      for (auto u = first; u < end; ++u)
        if (const auto found = store.find(kind, units[u].key)) folders[u] = *found;
    });
    std::deque<std::size_t> missing;
    for (std::size_t u = 0; u < units.size(); ++u) {
      if (folders[u].empty())
        missing.push_back(u);
      else
        progress.advance(units[u].count, true);
    }
    for (const auto u : make_missing(units, std::move(missing), store, progress, folders)) {
      folders[u] = store.get_or_make(kind, units[u].key, [&](const fs::path& at) {
        std::vector<std::size_t> rows;
        for (std::size_t n = 0; n < units[u].count; ++n) rows.push_back(units[u].first + n);
        write(units[u], make(rows, decode(rows)), at);
      });
      progress.advance(units[u].count, true);
    }
    give_memory_back();
    return folders;
  }

 private:
  std::vector<fs::path> plan(const std::vector<Unit>& units, ArtifactStore& store) const {
    const double seconds = store.seconds_a_row(kind, work);
    std::vector<fs::path> folders;
    for (const auto& unit : units) {
      const bool stored = store.find(kind, unit.key).has_value();
      folders.push_back(store.path(kind, unit.key));
      store.plan({kind, folders.back().filename(), stored, seconds * static_cast<double>(unit.count), unit.needs});
    }
    return folders;
  }

  struct Open {  // a unit under way
    std::shared_ptr<Claim> claim;
    std::vector<Made> made;
  };

  // Makes all that nobody else makes, and returns the others.
  std::vector<std::size_t> make_missing(const std::vector<Unit>& units, std::deque<std::size_t> missing,
                                        ArtifactStore& store, Progress& progress,
                                        std::vector<fs::path>& folders) const {
    struct Place {
      std::size_t unit, row;
    };
    std::vector<std::size_t> of_others;
    std::map<std::size_t, Open> open;
    std::deque<Place> waiting;
    const auto claim = [&](std::size_t u) {
      Open mine{store.claim(kind, units[u].key), {}};
      if (!mine.claim) return of_others.push_back(u);
      if (const auto found = store.find_claimed(kind, units[u].key)) {  // since we looked
        folders[u] = *found;
        return progress.advance(units[u].count, true);
      }
      open[u] = std::move(mine);
      for (std::size_t n = 0; n < units[u].count; ++n) waiting.push_back({u, units[u].first + n});
    };
    std::vector<Place> places;
    std::vector<std::size_t> rows;
    std::future<Decoded> ahead;
    Worker worker;
    const auto look_ahead = [&] {
      for (; waiting.size() < batch && !missing.empty(); missing.pop_front()) claim(missing.front());
      places.assign(waiting.begin(), waiting.begin() + std::min(batch, waiting.size()));
      waiting.erase(waiting.begin(), waiting.begin() + places.size());
      rows.clear();
      for (const auto& place : places) rows.push_back(place.row);
      if (!rows.empty()) ahead = worker.start([this, rows] { return decode(rows); });
    };
    const auto start = std::chrono::steady_clock::now();
    std::size_t rows_made = 0;
    for (look_ahead(); !places.empty();) {
      stop_if_interrupted();
      Decoded decoded = ahead.get();
      const auto here = places;
      const auto now = rows;
      look_ahead();
      auto made = make(now, std::move(decoded));
      for (std::size_t n = 0; n < here.size(); ++n) {
        const auto& unit = units[here[n].unit];
        auto& mine = open.at(here[n].unit);
        mine.made.push_back(std::move(made[n]));
        if (mine.made.size() < unit.count) continue;
        folders[here[n].unit] =
            store.put(kind, unit.key, [&](const fs::path& at) { write(unit, std::span<const Made>(mine.made), at); });
        open.erase(here[n].unit);
      }
      rows_made += now.size();
      progress.advance(now.size());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (rows_made > 0) store.note_seconds(kind, work, rows_made, took.count());
    return of_others;
  }
};

}  // namespace facepoison
