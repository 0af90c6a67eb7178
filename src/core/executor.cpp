#include "facepoison/executor.hpp"

#include <chrono>
#include <deque>
#include <future>
#include <optional>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/memory.hpp"
#include "facepoison/text.hpp"
#include "facepoison/threads.hpp"

namespace facepoison {
namespace {

// Computes a stage's missing units, several at once: a batch is filled with rows of one unit after the other, and
// decoded on another thread while the previous one is computed.
class Batches {
 public:
  // Called for each unit in turn: returns the claim to make it under, or none if it is not made here.
  using Claim = std::function<std::shared_ptr<facepoison::Claim>(std::size_t unit)>;
  // Called with a unit's results, once it has all of them.
  using Finish = std::function<void(std::size_t unit, std::vector<std::any> results)>;

  Batches(Stage& stage, std::deque<std::size_t> units, Claim claim, Finish finish)
      : stage_(stage), units_(std::move(units)), claim_(std::move(claim)), finish_(std::move(finish)) {}

  void run(Progress& progress) {
    for (look_ahead(); !next_.empty();) {
      stop_if_interrupted();
      std::any decoded = decoded_.get();
      const auto batch = next_;
      look_ahead();
      collect(batch, stage_.compute(rows_of(batch), std::move(decoded)));
      computed_ += batch.size();
      progress.advance(batch.size());
    }
  }

  std::size_t computed() const { return computed_; }  // rows

 private:
  struct Row {
    std::size_t unit, row;
  };
  struct Open {  // a unit with unfinished rows
    std::shared_ptr<facepoison::Claim> claim;
    std::vector<std::any> results;
  };

  static Stage::Rows rows_of(const std::vector<Row>& batch) {
    Stage::Rows rows;
    for (const auto& one : batch) rows.push_back(one.row);
    return rows;
  }

  // Claims units until a batch is full, and starts to decode it.
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
  std::size_t computed_ = 0;
  std::deque<Row> waiting_;
  std::vector<Row> next_;  // is being decoded
  std::future<std::any> decoded_;
  Worker worker_;  // last: it ends before what it uses
};

bool is_whole(const std::vector<bool>& stored) {
  return std::find(stored.begin(), stored.end(), false) == stored.end();
}

}  // namespace

// Looks at the artefacts in several threads, since a store on a network is slow.
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

// Notes the contents of artefacts that are used as inputs.
void Executor::note_contents(const Stage& stage, const std::vector<bool>& stored) {
  for (std::size_t u = 0; u < stored.size(); ++u) {
    const auto& id = stage.units()[u].id;
    auto& known = contents_[id.name];
    if (stored[u] && known.empty()) known = store_.content_of(id);
  }
}

// "" if one is missing.
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

// Compares inputs by content, not by name: on some devices the same computation gives other bytes.
bool Executor::is_current(Stage& stage, const Stage::Unit& unit) {
  const auto then = store_.inputs_of(unit.id);
  if (then.empty()) return true;
  const auto now = content_of(stage.needs(unit));
  return now.empty() || now == then;
}

bool Executor::run(const std::shared_ptr<Stage>& stage) {
  if (states_[stage->number()].ran) return true;
  if (!left_.insert(stage->number()).second) return false;
  auto stored = look(stage);
  if (!is_whole(stored)) {
    bool is_ready = true;
    for (const auto& input : stage->inputs()) is_ready = run(input) && is_ready;
    if (!is_ready) return false;
    for (const auto& input : stage->inputs()) note_contents(*input, look(input));
    groups_.clear();  // some members exist only now
    for (std::size_t u = 0; u < stored.size(); ++u)
      if (stored[u]) stored[u] = is_current(*stage, stage->units()[u]);
  }
  make(*stage, stored);
  const bool ran = is_whole(stored);
  states_[stage->number()] = {std::move(stored), ran};
  if (ran) left_.erase(stage->number());
  return ran;
}

bool Executor::is_of_others(const Stage& stage) const {
  if (!part_.kinds.empty() && !part_.kinds.count(stage.kind())) return true;
  const auto& units = stage.units();
  return !part_.elsewhere.empty() && !units.empty() &&
         stage.key(units.front()).dump().find(part_.elsewhere) != std::string::npos;
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
  const auto note_found = [&](std::size_t u, bool found) {
    stored[u] = found && is_current(stage, units[u]);
    if (stored[u]) progress.advance(units[u].count, true);
    return stored[u];
  };
  const auto is_there = [&](std::size_t u) { return note_found(u, store_.find_claimed(units[u].id).has_value()); };
  if (is_of_others(stage)) {
    std::erase_if(missing, is_there);
    if (part_.waits && !missing.empty())
      throw Error(Exit::device, concat(stage.label(), ": ", missing.size(), " units are not in the store; only other ",
                                       "workers can make them, with the arithmetic ", part_.elsewhere));
    return;
  }
  std::rotate(missing.begin(),
              missing.begin() + static_cast<std::ptrdiff_t>(part_.start * static_cast<double>(missing.size())),
              missing.end());
  bool is_loaded = false;
  const auto load = [&] {
    if (!std::exchange(is_loaded, true)) stage.load(store_);
  };
  std::vector<std::size_t> of_others;
  const auto put = [&](std::size_t u, std::vector<std::any> results) {
    refuse_after_shortage_of_memory();
    store_.put(units[u].id, stage.key(units[u]), content_of(stage.needs(units[u])),
               [&](const fs::path& at) { stage.write(units[u], std::move(results), at); });
    stored[u] = true;
  };
  const auto claim = [&](std::size_t u) -> std::shared_ptr<Claim> {
    // Looks first without a claim, which costs a dozen more file operations: another process may have made it.
    if (note_found(u, store_.find(units[u].id).has_value())) return nullptr;
    auto mine = store_.claim(units[u].id);
    if (!mine) of_others.push_back(u);
    if (!mine || is_there(u)) return nullptr;  // another process may have made it just before
    load();
    return mine;
  };
  const auto start = std::chrono::steady_clock::now();
  Batches batches(stage, std::move(missing), claim, put);
  const auto note_seconds = [&] {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (batches.computed() > 0) store_.note_seconds(stage.kind(), stage.work(), batches.computed(), took.count());
  };
  try {
    batches.run(progress);
  } catch (...) {
    note_seconds();  // for the plan of the next run
    throw;
  }
  note_seconds();
  for (const auto u : of_others) {
    if (!part_.waits) break;
    const auto mine = store_.wait_for(units[u].id, [&] { return is_there(u); });
    if (!mine) continue;
    load();  // the other process is gone
    Stage::Rows own;
    for (std::size_t n = 0; n < units[u].count; ++n) own.push_back(units[u].first + n);
    put(u, stage.compute(own, stage.decode(own)));
    progress.advance(units[u].count, true);
  }
  if (!is_loaded) return;
  stage.unload();
  give_memory_back();
}

namespace {

using Stages = std::vector<std::shared_ptr<Stage>>;

// Adds the stage and all its inputs, each once. Leaves out inputs of stages for which `is_enough`.
void add_with_inputs(const std::shared_ptr<Stage>& stage,
                     const std::function<bool(const Stages::value_type&)>& is_enough, std::set<std::uint64_t>& known,
                     Stages& all) {
  if (!known.insert(stage->number()).second) return;
  all.push_back(stage);
  if (is_enough(stage)) return;
  for (const auto& input : stage->inputs()) add_with_inputs(input, is_enough, known, all);
}

Stages with_inputs(const Stages& stages, const std::function<bool(const Stages::value_type&)>& is_enough) {
  std::set<std::uint64_t> known;
  Stages all;
  for (const auto& stage : stages) add_with_inputs(stage, is_enough, known, all);
  return all;
}

// The stages of these kinds, among those to be run and the inputs of their missing artefacts.
Stages of_kinds(const Stages& stages, const std::set<std::string>& kinds, Executor& executor) {
  std::set<std::string> there;
  for (const auto& stage : with_inputs(stages, [](const auto&) { return false; })) there.insert(stage->kind());
  for (const auto& kind : kinds)
    if (!there.count(kind))
      throw Error(Exit::usage, concat("found the kind \"", kind, "\", which this run does not make; expected one of ",
                                      listed({there.begin(), there.end()})));
  auto wanted = with_inputs(stages, [&](const auto& stage) { return is_whole(executor.look(stage)); });
  std::erase_if(wanted, [&](const auto& stage) { return !kinds.count(stage->kind()); });
  return wanted;
}

void note_worker(const std::string& arithmetic, ArtifactStore& store) {
  store.note_worker(arithmetic);
  for (const auto& other : store.workers())
    if (other != arithmetic)
      log_warning(
          concat("workers with another arithmetic use this store too: embeddings and perturbed photos are made ",
                 "once for each arithmetic. This worker: ", arithmetic, "; another: ", other));
}

}  // namespace

void share(std::vector<std::shared_ptr<Stage>> stages, Part part, ArtifactStore& store) {
  part.waits = false;
  if (!part.arithmetic.empty()) note_worker(part.arithmetic, store);
  Executor executor(store, part);
  if (!part.kinds.empty()) stages = of_kinds(stages, part.kinds, executor);
  for (Pauses pauses;;) {
    const auto made = store.misses();
    executor.look_again();
    std::erase_if(stages, [&](const auto& stage) { return executor.run(stage); });
    if (stages.empty()) return;
    if (store.misses() > made) {
      pauses.start_again();
      continue;
    }
    if (pauses.is_first()) log_info("other processes are making the rest; waiting for them");
    pauses.wait();
  }
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
