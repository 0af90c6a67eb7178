#include "facepoison/executor.hpp"

#include <chrono>
#include <deque>
#include <future>
#include <optional>

#include "facepoison/digests.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/memory.hpp"
#include "facepoison/threads.hpp"

namespace facepoison {
namespace {

// Computes a stage's missing units, several at once: a batch is filled with rows of one unit after the other, and is
// decoded on another thread while the one before is computed.
class Batches {
 public:
  // Called for each unit in its turn: the claim under which it is made, or none where it is not to be made here.
  using Claim = std::function<std::shared_ptr<facepoison::Claim>(std::size_t unit)>;
  // Called with a unit's results, once it has all of them.
  using Finish = std::function<void(std::size_t unit, std::vector<std::any> results)>;

  Batches(Stage& stage, std::deque<std::size_t> units, Claim claim, Finish finish)
      : stage_(stage), units_(std::move(units)), claim_(std::move(claim)), finish_(std::move(finish)) {}

  // Returns how many rows were computed.
  std::size_t run(Progress& progress) {
    std::size_t count = 0;
    for (look_ahead(); !next_.empty();) {
      stop_if_interrupted();
      std::any decoded = decoded_.get();
      const auto batch = next_;
      look_ahead();
      collect(batch, stage_.compute(rows_of(batch), std::move(decoded)));
      count += batch.size();
      progress.advance(batch.size());
    }
    return count;
  }

 private:
  struct Row {
    std::size_t unit, row;
  };
  struct Open {  // a unit of which rows are under way
    std::shared_ptr<facepoison::Claim> claim;
    std::vector<std::any> results;
  };

  static Stage::Rows rows_of(const std::vector<Row>& batch) {
    Stage::Rows rows;
    for (const auto& one : batch) rows.push_back(one.row);
    return rows;
  }

  // Claims units until a batch is full, and has it decoded.
  void look_ahead() {
    for (; waiting_.size() < stage_.batch() && !units_.empty(); units_.pop_front()) {
      const auto number = units_.front();
      auto claim = claim_(number);
      if (!claim) continue;
      open_[number].claim = std::move(claim);
      const auto& unit = stage_.units()[number];
      for (std::size_t n = 0; n < unit.count; ++n) waiting_.push_back({number, unit.first + n});
    }
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(stage_.batch(), waiting_.size()));
    next_.assign(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    if (!next_.empty()) decoded_ = worker_.start([this, rows = rows_of(next_)] { return stage_.decode(rows); });
  }

  void collect(const std::vector<Row>& batch, std::vector<std::any> results) {
    for (std::size_t n = 0; n < batch.size(); ++n) {
      const auto number = batch[n].unit;
      auto& mine = open_.at(number);
      mine.results.push_back(std::move(results[n]));
      if (mine.results.size() < stage_.units()[number].count) continue;
      finish_(number, std::move(mine.results));
      open_.erase(number);
    }
  }

  Stage& stage_;
  std::deque<std::size_t> units_;
  Claim claim_;
  Finish finish_;
  std::map<std::size_t, Open> open_;  // by the unit's number
  std::deque<Row> waiting_;
  std::vector<Row> next_;  // is being decoded
  std::future<std::any> decoded_;
  Worker worker_;  // last: it ends before what it uses
};

}  // namespace

// Looks at the artefacts in several threads, which is what a store on a network takes.
std::vector<bool> Executor::find(Stage& stage) {
  const auto& units = stage.units();
  std::vector<char> found(units.size());
  in_threads(units.size(), [&](std::size_t first, std::size_t end) {
    for (auto u = first; u < end; ++u) found[u] = store_.find(units[u].id).has_value();
  });
  return {found.begin(), found.end()};
}

const std::vector<bool>& Executor::look(const std::shared_ptr<Stage>& stage) {
  auto& state = states_[stage->number()];
  if (!state.stored.empty()) return state.stored;
  for (const auto& input : stage->inputs()) note_contents(*input, look(input));
  state.stored = find(*stage);
  for (std::size_t u = 0; u < state.stored.size(); ++u)
    if (state.stored[u]) state.stored[u] = is_current(*stage, stage->units()[u]);
  return state.stored;
}

// An artefact's content is known once it is asked for as an input.
void Executor::note_contents(const Stage& stage, const std::vector<bool>& stored) {
  for (std::size_t u = 0; u < stored.size(); ++u) {
    const auto& id = stage.units()[u].id;
    auto& known = contents_[id.name];
    if (stored[u] && known.empty()) known = store_.content_of(id);
  }
}

// "" where one of them is not there.
std::string Executor::content_of(const Needs& needs) {
  if (needs.artefacts.empty() && needs.groups.empty()) return "";
  std::string all;
  const auto add = [&](const ArtefactId& id) {
    const auto known = contents_.find(id.name);
    if (known == contents_.end() || known->second.empty()) return false;
    all += known->second;
    return true;
  };
  for (const auto& id : needs.artefacts)
    if (!add(id)) return "";
  for (const auto& group : needs.groups) {
    auto& digest = groups_[group->id.name];
    if (digest.empty()) digest = content_of({group->members, {}});
    if (digest.empty()) return "";
    all += digest;
  }
  return sha256(all);
}

// Names do not say which bytes an input has: on some devices the same computation gives others.
bool Executor::is_current(Stage& stage, const Stage::Unit& unit) {
  const auto then = store_.inputs_of(unit.id);
  if (then.empty()) return true;
  const auto now = content_of(stage.needs(unit));
  return now.empty() || now == then;
}

void Executor::run(const std::shared_ptr<Stage>& stage) {
  if (states_[stage->number()].ran) return;
  auto stored = look(stage);
  const auto is_missing = [&] { return std::find(stored.begin(), stored.end(), false) != stored.end(); };
  if (is_missing()) {
    for (const auto& input : stage->inputs()) {
      run(input);
      note_contents(*input, look(input));
    }
    groups_.clear();  // some of whose members are there only now
    for (std::size_t u = 0; u < stored.size(); ++u)
      if (stored[u]) stored[u] = is_current(*stage, stage->units()[u]);
  }
  make(*stage, stored);
  states_[stage->number()] = {std::vector(stored.size(), true), true};
}

void Executor::make(Stage& stage, std::vector<bool>& stored) {
  const auto& units = stage.units();
  std::size_t rows = 0;
  std::deque<std::size_t> missing;
  for (std::size_t u = 0; u < units.size(); ++u) {
    rows += units[u].count;
    if (!stored[u]) missing.push_back(u);
  }
  Progress progress(stage.label(), rows, stage.rows_are());
  for (std::size_t u = 0; u < units.size(); ++u)
    if (stored[u]) progress.advance(units[u].count, true);
  if (missing.empty()) return;
  stage.load(store_);
  std::vector<std::size_t> of_others;
  const auto is_there = [&](const Stage::Unit& unit) {
    return store_.find_claimed(unit.id) && is_current(stage, unit);
  };
  const auto put = [&](std::size_t u, std::vector<std::any> results) {
    store_.put(units[u].id, stage.key(units[u]), content_of(stage.needs(units[u])),
               [&](const fs::path& at) { stage.write(units[u], std::move(results), at); });
  };
  const auto claim = [&](std::size_t u) -> std::shared_ptr<Claim> {
    auto mine = store_.claim(units[u].id);
    if (!mine) {
      of_others.push_back(u);
    } else if (is_there(units[u])) {  // since we looked
      progress.advance(units[u].count, true);
      return nullptr;
    }
    return mine;
  };
  const auto start = std::chrono::steady_clock::now();
  const auto computed = Batches(stage, std::move(missing), claim, put).run(progress);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (computed > 0) store_.note_seconds(stage.kind(), stage.work(), computed, took.count());
  for (const auto u : of_others) {
    const auto mine = store_.wait_for(units[u].id, [&] { return is_there(units[u]); });
    if (mine) {  // its maker is gone
      Stage::Rows own;
      for (std::size_t n = 0; n < units[u].count; ++n) own.push_back(units[u].first + n);
      put(u, stage.compute(own, stage.decode(own)));
    }
    progress.advance(units[u].count, true);
  }
  stage.unload();
  give_memory_back();
}

void Plan::add_unit(PlannedUnit unit) {
  if (stored_.try_emplace(unit.id.name, unit.stored).second) units_.push_back(std::move(unit));
}

void Plan::add_group(const Group& group) {
  PlannedUnit unit{group.id, true, 0, {}};
  for (const auto& member : group.members) {
    unit.needs.push_back(member.name);
    unit.stored = unit.stored && stored_.at(member.name);
  }
  add_unit(std::move(unit));
}

void Plan::add(const std::shared_ptr<Stage>& stage) {
  if (!known_.insert(stage->number()).second) return;
  for (const auto& input : stage->inputs()) add(input);
  const auto& stored = executor_.look(stage);
  const double seconds = executor_.store().seconds_a_row(stage->kind(), stage->work());
  for (std::size_t u = 0; u < stored.size(); ++u) {
    const auto& unit = stage->units()[u];
    const auto needs = stage->needs(unit);
    PlannedUnit planned{unit.id, stored[u], seconds * static_cast<double>(unit.count), {}};
    for (const auto& id : needs.artefacts) planned.needs.push_back(id.name);
    for (const auto& group : needs.groups) {
      if (!stored_.count(group->id.name)) add_group(*group);
      planned.needs.push_back(group->id.name);
    }
    add_unit(std::move(planned));
  }
}

}  // namespace facepoison
