// A stage of an experiment: rows (photos, people, trainings) in, artefacts out. Stages are planned first, which touches
// no file of the store: each unit of work has a name that depends on parameters and on the names of its inputs. An
// Executor (executor.hpp) finds or makes them.
#pragma once
#include <any>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "facepoison/artefact.hpp"

namespace facepoison {

class ArtifactStore;

// A stage is used by one thread at a time, except decode(). What a constructor gets by reference must outlive it.
class Stage {
 public:
  using Rows = std::vector<std::size_t>;
  // Consecutive rows that become one artefact.
  struct Unit {
    std::size_t first = 0, count = 0;
    ArtefactId id;
  };

  Stage(std::string kind, std::string label, std::size_t batch);
  Stage(const Stage&) = delete;
  virtual ~Stage() = default;

  std::uint64_t number() const { return number_; }     // unique in the process
  const std::string& kind() const { return kind_; }    // of its artefacts
  const std::string& label() const { return label_; }  // shown as progress
  std::size_t batch() const { return batch_; }         // rows that are computed at once, at most
  virtual std::string rows_are() const { return "photos"; }
  virtual Json work() const { return {}; }  // what decides how long a row takes

  const std::vector<Unit>& units() const { return units_; }
  Output output(std::size_t row) const;  // throws std::out_of_range
  // The artefacts that hold all rows, as one.
  const std::shared_ptr<const Group>& group() const;

  virtual Json key(const Unit& unit) const = 0;  // see id_of()
  // The stages that make what the units need.
  virtual std::vector<std::shared_ptr<Stage>> inputs() const { return {}; }
  // A unit's inputs, the same before and after load(): their digest shows later whether the artefact is current.
  virtual Needs needs(const Unit& unit) const { return {}; }

  // Called once, when all inputs are in the store and a unit is to be made.
  virtual void load(ArtifactStore& store) {}
  // Reads what rows are computed from; called on another thread, while earlier rows are computed.
  virtual std::any decode(const Rows& rows) const = 0;
  // One result for each row. A batch has rows of several units: the result of a row may depend on the size of the
  // batch, but not on the other rows in it.
  virtual std::vector<std::any> compute(const Rows& rows, std::any decoded) = 0;
  // Writes a unit's results into the folder of its artefact.
  virtual void write(const Unit& unit, std::vector<std::any> results, const std::filesystem::path& folder) const = 0;
  // Called once after the last unit is written: frees what only computing needs.
  virtual void unload() {}

 protected:
  void add_unit(std::size_t first, std::size_t count);  // after the earlier units; named by key()
  // One unit for each person's rows, at most `most` rows each. Rows have a `person`.
  template <class People>
  void add_units_by_person(const People& rows, std::size_t most) {
    for (std::size_t first = 0, end = 0; first < rows.size(); first = end) {
      for (end = first + 1; end < rows.size() && end - first < most && rows[end].person == rows[first].person;) ++end;
      add_unit(first, end - first);
    }
  }

 private:
  std::uint64_t number_;
  std::string kind_, label_;
  std::size_t batch_;
  std::vector<Unit> units_;
  mutable std::shared_ptr<const Group> group_;
};

// A stage with types: Decoded is what decode_rows() returns, Result that of a row. Base is Stage or derived from it.
template <class Decoded, class Result, class Base = Stage>
class StageOf : public Base {
 public:
  using Base::Base;
  using Rows = Stage::Rows;
  using Unit = Stage::Unit;

  std::any decode(const Rows& rows) const final { return decode_rows(rows); }

  std::vector<std::any> compute(const Rows& rows, std::any decoded) final {
    auto results = compute_rows(rows, std::any_cast<Decoded>(std::move(decoded)));
    // Not in braces, which would make a list of the two iterators.
    return std::vector<std::any>(std::make_move_iterator(results.begin()), std::make_move_iterator(results.end()));
  }

  void write(const Unit& unit, std::vector<std::any> results, const std::filesystem::path& folder) const final {
    std::vector<Result> rows;
    for (auto& result : results) rows.push_back(std::any_cast<Result>(std::move(result)));
    write_unit(unit, rows, folder);
  }

 private:
  virtual Decoded decode_rows(const Rows& rows) const = 0;
  virtual std::vector<Result> compute_rows(const Rows& rows, Decoded decoded) = 0;
  virtual void write_unit(const Unit& unit, std::span<const Result> results,
                          const std::filesystem::path& folder) const = 0;
};

}  // namespace facepoison
