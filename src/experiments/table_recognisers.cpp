#include "experiments/table_recognisers.hpp"

#include <algorithm>
#include <map>

namespace facepoison {
namespace {

// Is the extractor one of the attack's surrogates? Compares the weights, not the cards' names.
bool optimises_against(const Attack& attack, const FeatureExtractor& extractor) {
  const auto surrogates = attack.all_surrogates();
  return std::any_of(surrogates.begin(), surrogates.end(),
                     [&](const auto& surrogate) { return same_weights(*surrogate, extractor); });
}
bool optimises_against(const Posting& posting, const FeatureExtractor& extractor) {
  return std::any_of(posting.parts.begin(), posting.parts.end(),
                     [&](const auto& part) { return optimises_against(*part.first, extractor); });
}

std::string strategy(const Posting& posting, const Card& card, bool attacked) {
  std::string released;
  bool aims = false;
  for (const auto& [attack, share] : posting.parts) {
    released = std::max(released, attack->settings().released);
    aims |= !attack->all_surrogates().empty() || !attack->settings().released.empty();
  }
  if (!aims) return "";
  if (!card.trained_against.empty()) return "adaptive";
  if (attacked) return "surrogate";
  if (released.empty() || !std::isdigit(static_cast<unsigned char>(card.order().front()))) return "";
  const auto digits = std::min(released.size(), card.order().size());  // of "2021" or "2021-03"
  const int order = card.order().compare(0, digits, released, 0, digits);
  return order > 0 ? "newer" : order < 0 ? "older" : digits > 4 ? "same month" : "same year";
}

}  // namespace

bool optimises_against(const Posting& posting, const TableRecogniser& recogniser) {
  return std::any_of(recogniser.extractors.begin(), recogniser.extractors.end(),
                     [&](const auto* extractor) { return optimises_against(posting, *extractor); });
}

std::string strategy(const Posting& posting, const TableRecogniser& recogniser) {
  const auto& last = *recogniser.extractors.back();
  return strategy(posting, last.card(), optimises_against(posting, last));
}

std::vector<TableRecogniser> table_recognisers(const Experiment& e) {
  std::vector<TableRecogniser> all;
  std::map<std::string, const FeatureExtractor*> by_name;
  for (const auto& extractor : e.extractors) {
    const Card& card = extractor->card();
    all.push_back({card.name, card.release(), {extractor.get()}});
    by_name[card.name] = extractor.get();
  }
  for (const auto& pairing : e.combine) {
    const auto *accurate = by_name.at(pairing.accurate), *robust = by_name.at(pairing.robust);
    const auto& later = accurate->card().order() > robust->card().order() ? *accurate : *robust;
    all.push_back({pairing.name, later.card().release(), {accurate, robust}});
  }
  return all;
}

}  // namespace facepoison
