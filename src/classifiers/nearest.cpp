// Exact nearest neighbour. A product of matrices finds, in float32, every gallery row that could be nearest; those
// within the product's error bound are measured again by direct difference in double. Swapping people's rows does not
// start anew: each probe remembers the best rows of its two nearest people, and one more product has everybody's
// swapped rows, of which a probe measures those that come near what else it would be. Rows in float64 are narrowed for
// the products alone.
#include <algorithm>
#include <cmath>
#include <limits>

#include "classifiers/registry.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Neighbour {
  double distance = infinity;
  std::int64_t row = -1, label = -1;  // row: of the gallery, by which ties are decided
  float rough = std::numeric_limits<float>::infinity();
};

bool closer(const Neighbour& a, const Neighbour& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

// A probe's best rows of its two nearest people.
struct TwoNearest {
  Neighbour first, second;
  void add(const Neighbour& found) {
    if (found.label == first.label) {
      if (closer(found, first)) first = found;
    } else if (closer(found, first)) {
      second = first;
      first = found;
    } else if (closer(found, second)) {
      second = found;
    }
  }
  const Neighbour& without(std::int64_t label) const { return first.label == label ? second : first; }
};

// Gallery rows, one person's after another's.
struct People {
  struct Range {
    std::int64_t label = 0, first = 0, count = 0;
  };
  std::vector<Range> ranges;
  torch::Tensor features;
  std::vector<std::int64_t> rows;  // of the gallery
  // float32: the features scaled by a power of two and, for the cosine, divided by their lengths; and their squares.
  torch::Tensor rough, squares;
};

People everybody(const torch::Tensor& gallery, const RowsOf& rows) {
  People out;
  for (const auto& [label, own] : rows) {
    out.ranges.push_back({label, static_cast<std::int64_t>(out.rows.size()), static_cast<std::int64_t>(own.size())});
    out.rows.insert(out.rows.end(), own.begin(), own.end());
  }
  out.features = gallery.index_select(0, torch::tensor(out.rows)).contiguous();
  return out;
}

// The least of some numbers, none of them NaN; sixteen at a time, which the compiler does side by side.
float least(const float* numbers, std::int64_t count) {
  constexpr std::int64_t lanes = 16;
  float found[lanes];
  std::fill_n(found, lanes, std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      found[lane] = numbers[i + lane] < found[lane] ? numbers[i + lane] : found[lane];
  for (; i < count; ++i) found[0] = std::min(found[0], numbers[i]);
  return *std::min_element(found, found + lanes);
}

class Nearest final : public Classifier {
 public:
  explicit Nearest(bool cosine) : cosine_(cosine) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                     const torch::Tensor& probes) const override {
    return of_nobody_swapped(Base(*this, gallery, labels, probes));
  }

  std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                 const torch::Tensor& probes) const override {
    return std::make_unique<Base>(*this, gallery, labels, probes);
  }

 private:
  // The probes, prepared as the rows of People are.
  struct Sought {
    torch::Tensor features, rough, squares;
  };

  // A clean gallery, and each probe's two nearest people in it.
  struct Base final : Trained {
    const Nearest& classifier;
    torch::Tensor gallery;
    std::vector<std::int64_t> labels;
    RowsOf rows;
    People people;
    Sought sought;
    double scale = 1;
    std::vector<TwoNearest> nearest;
    torch::Tensor least;  // N×P rough distances to each person's nearest row

    Base(const Nearest& by, const torch::Tensor& known, const std::vector<std::int64_t>& names,
         const torch::Tensor& probes)
        : classifier(by), gallery(known), labels(names) {
      check(known, names, probes);
      rows = rows_by_label(names);
      people = everybody(known, rows);
      sought.features = probes.contiguous();
      const double largest = std::max(largest_of(people.features), largest_of(sought.features));
      // A power of two changes no ranking, and keeps the squares of very large or small numbers within float32.
      if (largest > 0) scale = std::exp2(-std::ilogb(largest));
      by.fill_in(people.features, scale, people.rough, people.squares);
      by.fill_in(sought.features, scale, sought.rough, sought.squares);
      nearest.resize(static_cast<std::size_t>(probes.size(0)));
      least = torch::empty({probes.size(0), static_cast<std::int64_t>(people.ranges.size())});
      by.find_nearest(*this);
    }

    std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const override {
      return classifier.predict_swapped(*this, swaps);
    }
  };

  static Prediction of_nobody_swapped(const Base& base) {
    Prediction out;
    for (const auto& found : base.nearest) {
      out.labels.push_back(found.first.label);
      out.distances.push_back(found.first.distance);
    }
    return out;
  }

  std::vector<Prediction> predict_swapped(const Base& base, std::span<const Swap> swaps) const {
    People moved;
    std::vector<std::size_t> which;  // the swap of each of `moved`'s ranges
    std::vector<Prediction> out(swaps.size());
    std::vector<torch::Tensor> features;
    for (std::size_t s = 0; s < swaps.size(); ++s) {
      const auto& swap = swaps[s];
      check_swap(swap, base.sought.features);
      const auto label = person_of(swap, base.labels);
      if (!label) {  // more people than one: two nearest people are not enough to know
        const auto [gallery, names] = swapped(base.gallery, base.labels, swap);
        out[s] = swap.features.size(0) + swap.removed.size() == 0 ? of_nobody_swapped(base)
                                                                  : predict(gallery, names, base.sought.features);
        continue;
      }
      const auto known = base.rows.find(*label);
      const auto own = known == base.rows.end() ? std::vector<std::int64_t>() : left_of(known->second, swap);
      which.push_back(s);
      features.push_back(new_form(base.gallery, own, swap));
      moved.ranges.push_back({*label, static_cast<std::int64_t>(moved.rows.size()), features.back().size(0)});
      moved.rows.insert(moved.rows.end(), own.begin(), own.end());
      for (std::size_t n = 0; n < swap.added.size(); ++n)
        moved.rows.push_back(base.gallery.size(0) + static_cast<std::int64_t>(n));
      out[s].labels.resize(base.nearest.size()), out[s].distances.resize(base.nearest.size());
      out[s].ranks.resize(swap.asked.size());
    }
    if (which.empty()) return out;
    moved.features = torch::cat(features).contiguous();
    fill_in(moved.features, base.scale, moved.rough, moved.squares);
    for_each_probe(moved, base.sought, std::max(largest_of(base.people.squares), largest_of(moved.squares)),
                   [&](std::size_t p, const float* rough, double bound) {
                     for (std::size_t k = 0; k < which.size(); ++k) {
                       const auto& range = moved.ranges[k];
                       const auto& others = base.nearest[p].without(range.label);
                       const auto asked = index_among(swaps[which[k]].asked, p);
                       const auto far = asked ? std::numeric_limits<float>::infinity() : others.rough;
                       const Neighbour own = nearest_of(moved, range, base.sought, p, rough, far, bound);
                       const auto& found = closer(own, others) ? own : others;
                       auto& prediction = out[which[k]];
                       prediction.labels[p] = found.label;
                       prediction.distances[p] = found.distance;
                       if (asked) prediction.ranks[*asked] = rank_of(own, base, p, bound);
                     }
                   });
    return out;
  }

  static std::optional<std::size_t> index_among(const std::vector<std::int64_t>& probes, std::size_t p) {
    const auto found = std::lower_bound(probes.begin(), probes.end(), static_cast<std::int64_t>(p));
    if (found == probes.end() || *found != static_cast<std::int64_t>(p)) return std::nullopt;
    return static_cast<std::size_t>(found - probes.begin());
  }

  // The rank of the person of `own`: how many people are closer to the probe, and one; 0 where the gallery lacks them.
  std::int64_t rank_of(const Neighbour& own, const Base& base, std::size_t p, double bound) const {
    if (own.row < 0) return 0;
    const float* least = base.least.data_ptr<float>() + static_cast<std::int64_t>(p) * base.least.size(1);
    std::int64_t rank = 1;
    for (std::size_t k = 0; k < base.people.ranges.size(); ++k) {
      const auto& range = base.people.ranges[k];
      if (range.label == own.label || least[k] > own.rough + bound) continue;
      rank += least[k] < own.rough - bound || closer(nearest_in(base.people, range, base.sought, p), own);
    }
    return rank;
  }

  static std::vector<std::int64_t> left_of(const std::vector<std::int64_t>& rows, const Swap& swap) {
    std::vector<std::int64_t> left;
    std::set_difference(rows.begin(), rows.end(), swap.removed.begin(), swap.removed.end(), std::back_inserter(left));
    return left;
  }

  // A person's rows after a swap: those that are left, the swapped ones in their new form, then the added ones.
  static torch::Tensor new_form(const torch::Tensor& gallery, const std::vector<std::int64_t>& own, const Swap& swap) {
    std::vector<std::int64_t> indices;
    for (const auto row : swap.rows) indices.push_back(std::lower_bound(own.begin(), own.end(), row) - own.begin());
    const auto replaced = static_cast<std::int64_t>(indices.size());
    return torch::cat({gallery.index_select(0, torch::tensor(own, torch::kInt64))
                           .index_copy(0, torch::tensor(indices, torch::kInt64), swap.features.narrow(0, 0, replaced)),
                       swap.features.narrow(0, replaced, swap.features.size(0) - replaced)});
  }

  static double largest_of(const torch::Tensor& numbers) {
    return numbers.numel() > 0 ? numbers.abs().max().item<double>() : 0;
  }

  void fill_in(const torch::Tensor& features, double scale, torch::Tensor& rough, torch::Tensor& squares) const {
    if (cosine_ && (features == 0).all(1).any().item<bool>()) throw NoDirection();
    rough = features * scale;
    if (cosine_) rough = rough / rough.norm(2, 1, true);
    rough = rough.to(torch::kFloat32);
    squares = rough.square().sum(1).contiguous();
  }

  // `visit` gets each probe's number, its rough distances to the people's rows (squared, without ‖probe‖²), and by how
  // much two of these may err. A dot product of D float32 terms errs by at most D·2⁻²⁴ of the product of the norms, in
  // any order of summation; the squares and the sums add a little, and so does normalising or narrowing. Twice that, on
  // either side.
  template <class Visit>
  static void for_each_probe(const People& people, const Sought& sought, double largest_square, const Visit& visit) {
    constexpr std::int64_t block = 256;
    const auto known = people.rough.t();
    const float* squares = sought.squares.data_ptr<float>();
    const double error = 4 * static_cast<double>(sought.rough.size(1) + 8) * 0x1p-24;
    for (std::int64_t start = 0; start < sought.rough.size(0); start += block) {
      stop_if_interrupted();
      const std::int64_t count = std::min(block, sought.rough.size(0) - start);
      const auto products =
          at::addmm(people.squares.unsqueeze(0), sought.rough.narrow(0, start, count), known, 1, -2).contiguous();
      const float* numbers = products.data_ptr<float>();
      in_pieces(torch::kCPU, static_cast<std::size_t>(count), 16, [&](std::size_t first, std::size_t some) {
        for (auto i = static_cast<std::int64_t>(first); i < static_cast<std::int64_t>(first + some); ++i)
          visit(static_cast<std::size_t>(start + i), numbers + i * people.rough.size(0),
                error * (largest_square + squares[start + i]));
      });
    }
  }

  void find_nearest(Base& base) const {
    const auto& people = base.people;
    const auto count = static_cast<std::int64_t>(people.ranges.size());
    float* all = base.least.data_ptr<float>();
    for_each_probe(people, base.sought, largest_of(people.squares),
                   [&](std::size_t p, const float* rough, double bound) {
                     float* minima = all + static_cast<std::int64_t>(p) * count;
                     for (std::int64_t k = 0; k < count; ++k) {
                       const auto& range = people.ranges[static_cast<std::size_t>(k)];
                       minima[k] = least(rough + range.first, range.count);
                     }
                     std::vector<float> ordered(minima, minima + count);
                     const auto second = ordered.begin() + (ordered.size() > 1);
                     std::nth_element(ordered.begin(), second, ordered.end());
                     for (std::int64_t k = 0; k < count; ++k)
                       if (minima[k] <= *second + bound)
                         base.nearest[p].add(nearest_of(people, people.ranges[static_cast<std::size_t>(k)], base.sought,
                                                        p, rough, *second, bound));
                   });
  }

  // A person's nearest row, or none where it is surely farther than what is roughly at `other`.
  Neighbour nearest_of(const People& people, const People::Range& range, const Sought& sought, std::size_t p,
                       const float* rough, float other, double bound) const {
    const float best = least(rough + range.first, range.count);
    Neighbour found;
    if (best > other + bound) return found;
    for (auto g = range.first; g < range.first + range.count; ++g)
      if (rough[g] <= best + bound)
        if (const auto row = measured(people, range, sought, p, g, rough[g]); closer(row, found)) found = row;
    return found;
  }
  // A person's nearest row, all of them measured.
  Neighbour nearest_in(const People& people, const People::Range& range, const Sought& sought, std::size_t p) const {
    Neighbour found;
    for (auto g = range.first; g < range.first + range.count; ++g)
      if (const auto row = measured(people, range, sought, p, g, 0); closer(row, found)) found = row;
    return found;
  }

  Neighbour measured(const People& people, const People::Range& range, const Sought& sought, std::size_t p,
                     std::int64_t g, float rough) const {
    const auto distance = people.features.scalar_type() == torch::kFloat64
                              ? measure<double>(people.features, g, sought.features, static_cast<std::int64_t>(p))
                              : measure<float>(people.features, g, sought.features, static_cast<std::int64_t>(p));
    return {distance, people.rows[static_cast<std::size_t>(g)], range.label, rough};
  }

  // The distance between the g-th row of `rows` and the p-th probe.
  template <class Number>
  double measure(const torch::Tensor& rows, std::int64_t g, const torch::Tensor& probes, std::int64_t p) const {
    const auto dimension = rows.size(1);
    const Number *a = rows.data_ptr<Number>() + g * dimension, *b = probes.data_ptr<Number>() + p * dimension;
    double difference = 0, dot = 0, aa = 0, bb = 0;
    for (std::int64_t i = 0; i < dimension; ++i) {
      const double x = a[i], y = b[i];
      difference += (x - y) * (x - y);
      dot += x * y;
      aa += x * x;
      bb += y * y;
    }
    return cosine_ ? 1 - dot / std::sqrt(aa * bb) : std::sqrt(difference);
  }

  bool cosine_;
};

}  // namespace

std::unique_ptr<Classifier> make_nearest(Spec&) { return std::make_unique<Nearest>(false); }
std::unique_ptr<Classifier> make_nearest_cosine(Spec&) { return std::make_unique<Nearest>(true); }

}  // namespace facepoison
