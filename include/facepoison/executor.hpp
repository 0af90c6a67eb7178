// Runs stages over a store, or lists the work that they need.
#pragma once
#include <map>
#include <set>

#include "facepoison/log.hpp"
#include "facepoison/stage.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// Which part a process takes in work that it shares with others.
struct Part {
  bool waits = true;            // for artefacts that another process makes; else they are left to it
  double start = 0;             // where it begins among the missing units of a stage, from 0 to below 1
  std::set<std::string> kinds;  // the kinds of artefacts that it makes; empty: all
  std::string arithmetic;       // how it computes, to compare with others; empty: not given
  std::string elsewhere;        // arithmetic of other workers: work with it is left to them; empty: none
};

// For one thread.
class Executor {
 public:
  // The store must outlive it.
  explicit Executor(ArtifactStore& store, Part part = {}) : store_(store), part_(std::move(part)) {}

  // Finds or makes every artefact of the stage. If one is missing, the stages that it is made from run first; if none
  // is, nothing else is made. Calls stop_if_interrupted() between batches: finished units are then in the store.
  // Returns whether all artefacts are there; some may be missing if it does not wait, or makes only some kinds. A stage
  // that was left to others is tried again after look_again(). Throws Error(device) if it waits and units must be
  // computed elsewhere.
  bool run(const std::shared_ptr<Stage>& stage);
  void look_again() { left_.clear(); }

  // Whether each unit's artefact is in the store, whole, and made from its current inputs. Makes nothing.
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
  bool is_of_others(const Stage& stage) const;

  ArtifactStore& store_;
  Part part_;
  std::map<std::uint64_t, State> states_;        // by Stage::number()
  std::set<std::uint64_t> left_;                 // stages that are left to others
  std::map<std::string, std::string> contents_;  // digests of artefacts, by name; "": it is not there
  std::map<std::string, std::string> groups_;    // likewise
};

// Makes the missing artefacts of the stages, together with other processes that do the same, until all are in the
// store. If others have claimed everything that is left, it looks again after a pause. With kinds it ends when all
// artefacts of these are there, and waits for inputs that others make. Warns of workers with another arithmetic: their
// artefacts have other names. Throws Error(usage) for a kind that no stage has.
void share(std::vector<std::shared_ptr<Stage>> stages, Part part, ArtifactStore& store);

// A unit of work and its state.
struct PlannedUnit {
  ArtefactId id;
  bool stored = false;
  double seconds = 0;              // estimated from earlier units of its kind; NaN: not known
  std::vector<std::string> needs;  // names of what it is made from
};

// The work that stages need: their units and those of their inputs, each once, each after its inputs. Groups are units
// of the kind "all", stored if all members are. Writes nothing.
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
