#include "facepoison/stage.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "facepoison/digests.hpp"

namespace facepoison {

ArtefactId id_of(const std::string& kind, const Json& key) {
  // nlohmann::json sorts the keys. The number is the version of artefacts' files.
  return {kind, sha256(kind + "\n2\n" + nlohmann::json(key).dump())};
}

std::shared_ptr<const Group> make_group(std::vector<ArtefactId> members) {
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  std::string names;
  for (const auto& member : members) names += member.name;
  return std::make_shared<Group>(Group{{"all", sha256(names)}, std::move(members)});
}

Stage::Stage(std::string kind, std::string label, std::size_t batch)
    : kind_(std::move(kind)), label_(std::move(label)), batch_(batch) {
  static std::atomic<std::uint64_t> next = 0;
  number_ = next++;
}

Output Stage::output(std::size_t row) const {
  const auto after = std::upper_bound(units_.begin(), units_.end(), row,
                                      [](std::size_t wanted, const Unit& unit) { return wanted < unit.first; });
  if (after == units_.begin() || row >= std::prev(after)->first + std::prev(after)->count)
    throw std::out_of_range("Stage::output");
  return {std::prev(after)->id, row - std::prev(after)->first};
}

const std::shared_ptr<const Group>& Stage::group() const {
  if (!group_) {
    std::vector<ArtefactId> members;
    for (const auto& unit : units_) members.push_back(unit.id);
    group_ = make_group(std::move(members));
  }
  return group_;
}

void Stage::add_unit(std::size_t first, std::size_t count) {
  Unit unit{first, count, {}};
  unit.id = id_of(kind_, key(unit));
  units_.push_back(std::move(unit));
}

}  // namespace facepoison
