// Runs stages over a store, or lists what running them would take.
#pragma once
#include <map>
#include <set>

#include "facepoison/log.hpp"
#include "facepoison/stage.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// For one thread.
class Executor {
 public:
  // The store must outlive it.
  explicit Executor(ArtifactStore& store) : store_(store) {}

  // Finds or makes every artefact of the stage. Where one is missing, the stages that it is made from are run first;
  // where none is, nothing else is made. What other processes make meanwhile is waited for. Asks
  // stop_if_interrupted() between two batches: what is finished then is in the store.
  void run(const std::shared_ptr<Stage>& stage);

  // Is each unit's artefact in the store, whole, and made from what its inputs are now? Makes nothing.
  const std::vector<bool>& look(const std::shared_ptr<Stage>& stage);

  ArtifactStore& store() const { return store_; }

 private:
  struct State {
    std::vector<bool> stored;  // empty: not looked for yet
    bool ran = false;
  };
  void note_contents(const Stage& stage, const std::vector<bool>& stored);
  std::string content_of(const Needs& needs);
  bool is_current(Stage& stage, const Stage::Unit& unit);
  std::vector<bool> find(Stage& stage);
  void make(Stage& stage, std::vector<bool>& stored);

  ArtifactStore& store_;
  std::map<std::uint64_t, State> states_;        // by Stage::number()
  std::map<std::string, std::string> contents_;  // digests of artefacts that are there, by name; "": of one that is not
  std::map<std::string, std::string> groups_;    // likewise
};

// A unit of work, and how it stands with it.
struct PlannedUnit {
  ArtefactId id;
  bool stored = false;
  double seconds = 0;              // that making it takes, by what its kind took before; NaN: not known
  std::vector<std::string> needs;  // names of what it is made from
};

// What running stages would take: their units and those of their inputs, each once, each after what it needs. Groups
// are units of the kind "all", stored where all members are. Writes nothing.
class Plan {
 public:
  // The store must outlive it.
  explicit Plan(ArtifactStore& store) : executor_(store) {}
  void add(const std::shared_ptr<Stage>& stage);
  const std::vector<PlannedUnit>& units() const { return units_; }
  const ArtifactStore& store() const { return executor_.store(); }

 private:
  void add_unit(PlannedUnit unit);
  void add_group(const Group& group);
  Executor executor_;
  std::set<std::uint64_t> known_;       // Stage::number()
  std::map<std::string, bool> stored_;  // by name
  std::vector<PlannedUnit> units_;
};

}  // namespace facepoison
