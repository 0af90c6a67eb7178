// Turns the axes' combinations into scenarios: everybody's pictures and each protected person's trial.
#include <algorithm>
#include <cmath>
#include <set>

#include "facepoison/experiment.hpp"

namespace facepoison {
namespace {

using Rows = std::vector<PhotoRow>;

class Builder {
 public:
  Builder(const Experiment& e, const std::vector<std::vector<std::string>>& people) : e_(e), people_(people) {
    for (const auto row : e.train) albums_[e.dataset.photos[row].person].push_back(row);
    for (const auto row : e.test) probes_[e.dataset.photos[row].person].push_back(row);
  }

  Scenarios all() {
    for (const auto& combination : combinations(e_.axes)) out_.list.push_back(scenario(combination));
    return std::move(out_);
  }

 private:
  Scenario scenario(const Combination& c) {
    Scenario out{c.coordinates(), {}, {}, {}, {}, {}, 0, c.filter, c.seed, static_cast<std::size_t>(c.distractors)};
    if (c.transform_on.gallery) out.gallery = number(nullptr, c.transform, c);
    if (c.transform_on.probes) out.probes = number(nullptr, c.transform, c);
    const auto& drawn = people_[c.draw];
    const auto curve = clean_photos_of_curve(drawn);
    const auto half = c.together == Together::half ? half_of(drawn, c.seed) : std::vector<std::string>();
    for (const auto& person : half)
      for (const auto& pick : trial(c, out, person).replaced) out.co_protected.push_back(pick);
    std::sort(out.co_protected.begin(), out.co_protected.end(),
              [](const Pick& a, const Pick& b) { return a.photo < b.photo; });
    if (c.probes.kind != ProbeOverride::Kind::clean)
      for (const auto& person : drawn) pose(c, out, person);
    for (const auto& person : drawn)
      if (c.clean_photos <= curve && photos_of(person) > curve && posts_something(c, person) &&
          (half.empty() || std::find(half.begin(), half.end(), person) != half.end()))
        out.trials.push_back(trial(c, out, person));
    out.left_out = drawn.size() - out.trials.size();
    return out;
  }

  // Half of the people who could be protected: first the protected ones, then others of the same draw.
  std::vector<std::string> half_of(std::vector<std::string> people, Seed seed) const {
    std::vector<std::string> others = e_.eligible;
    Stream(seed, "protected").shuffle(others);
    for (const auto& person : others)
      if (std::find(people.begin(), people.end(), person) == people.end()) people.push_back(person);
    people.resize((people.size() + 1) / 2);
    return people;
  }

  Trial trial(const Combination& c, const Scenario& scenario, const std::string& person) {
    if (c.enrolled == Enrolled::absent) return {person, {}, {}, albums_.at(person)};
    const auto treated = treatment_of_each(c, person);
    const bool is_split = c.learned_from.photos > 0 && c.attack->learns_masks();
    const auto learned = is_split ? learned_from(person, c.learned_from, c.seed) : std::set<PhotoRow>();
    Trial out{person, {}, {}, {}};
    for (const auto row : albums_.at(person)) {
      const auto found = treated.find(row);
      const auto treatment = found == treated.end() ? scenario.gallery : found->second;
      if (is_split && found != treated.end() && learned.contains(row) != c.learned_from.posts_seen) {
        if (c.enrolled == Enrolled::replaced) out.removed.push_back(row);
        continue;
      }
      if (treatment == scenario.gallery) continue;  // as everybody sees it
      (c.enrolled == Enrolled::added ? out.added : out.replaced).push_back({row, treatment});
    }
    // A trial without changes is still a trial: it replaces each photo by itself.
    if (out.added.empty() && out.replaced.empty() && out.removed.empty())
      for (const auto row : albums_.at(person)) out.replaced.push_back({row, scenario.gallery});
    return out;
  }

  // The photos from which the person's mask is learned.
  std::set<PhotoRow> learned_from(const std::string& person, const LearnedFrom& from, Seed seed) const {
    const auto rows = mask_photos(e_.dataset.photos, person, from.photos, seed);
    return {rows.begin(), rows.end()};
  }

  // Has the person photos to post in each row of an attack that learns masks? So all of these rows are of the same
  // people.
  bool posts_something(const Combination& c, const std::string& person) const {
    if (!c.attack->learns_masks()) return true;
    for (const auto& one : e_.axes.each(Axis::learned_from)) {
      if (one.learned_from.photos == 0) continue;
      const auto learned = learned_from(person, one.learned_from, c.seed);
      const auto& album = albums_.at(person);
      if (std::none_of(album.begin(), album.end(),
                       [&](const auto row) { return learned.contains(row) == one.learned_from.posts_seen; }))
        return false;
    }
    return true;
  }

  // Overrides a person's probes as the axis says.
  void pose(const Combination& c, Scenario& scenario, const std::string& person) {
    const bool as_posted = c.probes.kind == ProbeOverride::Kind::as_posted;
    const auto attacks = as_posted ? c.attack->parts : std::vector{std::pair{c.probes.attack, 1.0}};
    const bool through = c.transform_on.probes || (as_posted && c.transform_on.perturbed);
    const auto transform = c.probes.transform ? c.probes.transform : through ? c.transform : nullptr;
    std::size_t next = 0;
    const auto& rows = probes_.at(person);
    const auto counts = shares_of(rows.size(), attacks);
    for (std::size_t part = 0; part < counts.size(); ++part)
      for (std::size_t n = 0; n < counts[part]; ++n)
        scenario.probe_overrides.push_back({rows[next++], number(attacks[part].first, transform, c)});
  }

  // The treatments of a person's photos that do not stay clean. The draw of those that do is nested: a larger number
  // includes those of a smaller one.
  std::map<PhotoRow, TreatmentId> treatment_of_each(const Combination& c, const std::string& person) {
    Rows rows = albums_.at(person);
    Stream(c.seed, "clean photos", person).shuffle(rows);
    rows.erase(rows.begin(), rows.begin() + std::min(c.clean_photos, static_cast<std::int64_t>(rows.size())));
    Stream(c.seed, "mix", person).shuffle(rows);
    const bool through = c.transform_on.perturbed || c.transform_on.gallery;
    std::map<PhotoRow, TreatmentId> treated;
    std::size_t next = 0;
    const auto counts = shares_of(rows.size(), c.attack->parts);
    for (std::size_t part = 0; part < counts.size(); ++part)
      for (std::size_t n = 0; n < counts[part]; ++n)
        treated[rows[next++]] = number(c.attack->parts[part].first, through ? c.transform : nullptr, c);
    return treated;
  }

  // Distributes photos by largest remainder; a tie goes to the first.
  static std::vector<std::size_t> shares_of(
      std::size_t photos, const std::vector<std::pair<std::shared_ptr<const Attack>, double>>& parts) {
    std::vector<std::size_t> counts, order;
    std::vector<double> remainders;
    std::size_t given = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double exact = parts[i].second * static_cast<double>(photos), whole = std::floor(exact + 1e-9);
      counts.push_back(static_cast<std::size_t>(whole));
      remainders.push_back(exact - whole);
      order.push_back(i);
      given += counts.back();
    }
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return remainders[a] > remainders[b] + 1e-9; });
    for (std::size_t i = 0; given < photos; ++given, ++i) ++counts[order[i % order.size()]];
    return counts;
  }

  // The largest listed number that at least half of the people exceed. All rows of a curve are of the same people:
  // those with more training photos than this.
  std::int64_t clean_photos_of_curve(const std::vector<std::string>& drawn) const {
    std::int64_t largest = -1;
    for (const auto& one : e_.axes.each(Axis::clean_photos)) {
      const auto number = one.clean_photos;
      const auto exceed =
          std::count_if(drawn.begin(), drawn.end(), [&](const auto& person) { return photos_of(person) > number; });
      if (2 * static_cast<std::size_t>(exceed) >= drawn.size()) largest = std::max(largest, number);
    }
    return largest;
  }

  std::int64_t photos_of(const std::string& person) const {
    return static_cast<std::int64_t>(albums_.at(person).size());
  }

  // The number of a treatment, a new one if no photo had this treatment before.
  TreatmentId number(const std::shared_ptr<const Attack>& attack, const std::shared_ptr<const Transform>& transform,
                     const Combination& c) {
    const auto by = attack && attack->changes_photos() ? attack : nullptr;
    if (!by && !transform) return {};
    const bool random = by || transform->is_random();
    Treatment treatment{by, transform, random ? c.seed : 0, by && by->learns_masks() ? c.learned_from.photos : 0};
    const auto [found, is_new] =
        numbers_.try_emplace({by.get(), transform.get(), treatment.seed, treatment.learned_from});
    if (is_new) {
      found->second = TreatmentId(out_.treatments.size());
      out_.treatments.push_back(std::move(treatment));
    }
    return found->second;
  }

  const Experiment& e_;
  const std::vector<std::vector<std::string>>& people_;
  std::map<std::string, Rows> albums_, probes_;
  std::map<std::tuple<const Attack*, const Transform*, Seed, std::int64_t>, TreatmentId> numbers_;
  Scenarios out_{{Treatment{}}, {}};
};

}  // namespace

Scenarios scenarios(const Experiment& e, const std::vector<std::vector<std::string>>& people) {
  return Builder(e, people).all();
}

std::vector<Scenario> strangers(const Experiment& e, const std::vector<Scenario>& scenarios) {
  std::set<std::string> protected_people;
  for (const auto& drawn : e.protected_people) protected_people.insert(drawn.begin(), drawn.end());
  std::map<std::string, std::vector<PhotoRow>> albums;
  for (const auto row : e.train) albums[e.dataset.photos[row].person].push_back(row);
  std::vector<Trial> trials;
  for (const auto& person : e.eligible)
    if (!protected_people.count(person)) trials.push_back({person, {}, {}, albums.at(person)});
  std::vector<Scenario> out;
  std::set<std::vector<std::pair<std::string, std::string>>> seen;
  for (const auto& scenario : scenarios) {
    Scenario one{
        {}, scenario.gallery, scenario.probes, {}, {}, trials, 0, scenario.filter, scenario.seed, scenario.distractors};
    for (std::size_t axis = 0; axis < axis_columns.size(); ++axis)
      if (!axis_columns[axis].is_of_the_protected) one.coordinates.push_back(scenario.coordinates[axis]);
    if (seen.insert(one.coordinates).second) out.push_back(std::move(one));
  }
  return out;
}

Study study_of(const Experiment& e, const std::vector<std::vector<std::string>>& people, const ArtifactStore& store) {
  return {e.dataset, SplitRows(e.dataset.photos, e.train, e.test, e.distractors), scenarios(e, people), e.options,
          store};
}

}  // namespace facepoison
