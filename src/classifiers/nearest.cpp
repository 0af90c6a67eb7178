// Exact nearest neighbour. A matrix product finds, roughly, every gallery row that could be nearest; the rows within
// its error bound are measured again by direct difference in double. The product runs in tiles that fit into the cache,
// in float32, or in bfloat16 if nobody is swapped (no ranks are needed) and the processor supports it. A swap does not
// start anew: each probe keeps the best rows of its two nearest people, and one more product covers all swapped rows,
// of which a probe measures only those near its other candidates.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "classifiers/registry.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Neighbour {
  double distance = infinity;
  std::int64_t row = -1, label = -1;  // row: in the gallery; decides ties
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

// Rows prepared for the products: scaled, divided by their lengths for the cosine, minus a centre, and narrowed. Only
// narrowing can change which row is nearest.
struct Rough {
  torch::Tensor rows;           // float32 or bfloat16
  torch::Tensor squares, lost;  // float32: each row's square, and the length of its bfloat16 error
  double longest = 0, most_lost = 0;

  double largest_square() const { return longest * longest; }
};

// Gallery rows, grouped by person.
struct People {
  struct Range {
    std::int64_t label = 0, first = 0, count = 0;
  };
  std::vector<Range> ranges;
  torch::Tensor features;                  // in any order
  std::vector<std::int64_t> places, rows;  // of each row: in the features, and in the gallery
  Rough rough;
};

People everybody(const torch::Tensor& gallery, const RowsOf& rows) {
  People out;
  for (const auto& [label, own] : rows) {
    out.ranges.push_back({label, static_cast<std::int64_t>(out.rows.size()), static_cast<std::int64_t>(own.size())});
    out.rows.insert(out.rows.end(), own.begin(), own.end());
  }
  out.features = gallery.contiguous();
  out.places = out.rows;
  return out;
}

// The people that one product measures at once, and their rows: the first and how many.
struct Tile {
  std::size_t first, end;
  std::int64_t row, rows;
};

// All people, in tiles of about as many rows as fit the cache; each person's rows are in one tile.
std::vector<Tile> tiles_of(const std::vector<People::Range>& ranges) {
  constexpr std::int64_t enough = 2048;
  std::vector<Tile> tiles;
  for (std::size_t k = 0; k < ranges.size(); ++k) {
    if (tiles.empty() || tiles.back().rows + ranges[k].count > enough) tiles.push_back({k, k, ranges[k].first, 0});
    tiles.back().end = k + 1;
    tiles.back().rows += ranges[k].count;
  }
  return tiles;
}

// Does the processor multiply in bfloat16?
bool has_bfloat16() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

// The least of some numbers without NaN; sixteen lanes, so that the compiler vectorises it.
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
    return of_nobody_swapped(Base(*this, gallery, labels, probes, has_bfloat16() ? torch::kBFloat16 : torch::kFloat32));
  }

  std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                 const torch::Tensor& probes) const override {
    return std::make_unique<Base>(*this, gallery, labels, probes, torch::kFloat32);
  }

 private:
  struct Sought {
    torch::Tensor features;
    Rough rough;
  };
  // What is done to all rows before the products.
  struct Preparation {
    double scale = 1;
    torch::Tensor centre;
    torch::ScalarType type;
  };

  // A clean gallery, and each probe's two nearest people in it.
  struct Base final : Trained {
    const Nearest& classifier;
    torch::Tensor gallery;
    std::vector<std::int64_t> labels;
    RowsOf rows;
    People people;
    Sought sought;
    Preparation preparation;
    std::vector<TwoNearest> nearest;
    torch::Tensor least;  // N×P rough distances to each person's nearest row

    Base(const Nearest& by, const torch::Tensor& known, const std::vector<std::int64_t>& names,
         const torch::Tensor& probes, torch::ScalarType type)
        : classifier(by), gallery(known), labels(names) {
      check(known, names, probes);
      rows = rows_by_label(names);
      people = everybody(known, rows);
      sought.features = probes.contiguous();
      const double largest = std::max(largest_of(people.features), largest_of(sought.features));
      // A power of two changes no ranking, and keeps the squares of very large or small numbers within float32.
      if (largest > 0) preparation.scale = std::exp2(-std::ilogb(largest));
      preparation.type = type;
      preparation.centre = by.centre_of(people.features, preparation.scale);
      people.rough = by.prepared(people.features, people.places, preparation);
      sought.rough = by.prepared(sought.features, all_of(probes.size(0)), preparation);
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
      if (!label) {  // several people: the two nearest people are not enough
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
    moved.places = all_of(moved.features.size(0));
    moved.rough = prepared(moved.features, moved.places, base.preparation);
    moved.rough.longest = std::max(moved.rough.longest, base.people.rough.longest);
    for_each_probe(moved, base.sought, [&](std::size_t p, const Tile& tile, const float* rough, double bound) {
      for (auto k = tile.first; k < tile.end; ++k) {
        const auto& range = moved.ranges[k];
        const auto& others = base.nearest[p].without(range.label);
        const auto asked = index_among(swaps[which[k]].asked, p);
        const auto far = asked ? std::numeric_limits<float>::infinity() : others.rough;
        const Neighbour own = nearest_of(moved, range, base.sought, p, rough + (range.first - tile.row), far, bound);
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

  // The rank of the person of `own`: 1 + the number of people closer to the probe; 0 if the gallery lacks the person.
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

  // A person's rows after a swap: the remaining ones, swapped ones in their new form, then the added ones.
  static torch::Tensor new_form(const torch::Tensor& gallery, const std::vector<std::int64_t>& own, const Swap& swap) {
    std::vector<std::int64_t> indices;
    for (const auto row : swap.rows) indices.push_back(std::lower_bound(own.begin(), own.end(), row) - own.begin());
    const auto replaced = static_cast<std::int64_t>(indices.size());
    return torch::cat({gallery.index_select(0, torch::tensor(own, torch::kInt64))
                           .index_copy(0, torch::tensor(indices, torch::kInt64), swap.features.narrow(0, 0, replaced)),
                       swap.features.narrow(0, replaced, swap.features.size(0) - replaced)});
  }

  static double largest_of(const torch::Tensor& numbers) {
    if (numbers.numel() == 0) return 0;
    const auto [least, most] = at::aminmax(numbers);
    return std::max(-least.item<double>(), most.item<double>());
  }

  static std::vector<std::int64_t> all_of(std::int64_t rows) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(rows));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }

  // Rows before the centre is subtracted: scaled and, for the cosine, normalised in double to keep digits.
  torch::Tensor scaled(const torch::Tensor& rows, double scale) const {
    if (!cosine_) return rows * scale;
    const auto wide = rows.to(torch::kFloat64) * scale;
    if ((wide == 0).all(1).any().item<bool>()) throw NoDirection();
    return wide / wide.norm(2, 1, true);
  }

  // Any point is valid; the nearer the rows are to it, the smaller the products' error.
  torch::Tensor centre_of(const torch::Tensor& features, double scale) const {
    constexpr std::int64_t enough = 4096;
    const auto step = (features.size(0) + enough - 1) / enough;
    return scaled(features.slice(0, 0, features.size(0), step), scale).mean(0);
  }

  Rough prepared(const torch::Tensor& features, const std::vector<std::int64_t>& places, const Preparation& how) const {
    const auto count = static_cast<std::int64_t>(places.size());
    Rough out{torch::empty({count, features.size(1)}, how.type), torch::empty({count}), torch::empty({count})};
    in_pieces(torch::kCPU, places.size(), 1024, [&](std::size_t first, std::size_t some) {
      const auto at = static_cast<std::int64_t>(first), rows = static_cast<std::int64_t>(some);
      const auto own = torch::from_blob(const_cast<std::int64_t*>(places.data()) + first, {rows}, torch::kInt64);
      const auto exact = (scaled(features.index_select(0, own), how.scale) - how.centre).to(torch::kFloat32);
      const auto narrow = exact.to(how.type);
      out.rows.narrow(0, at, rows).copy_(narrow);
      out.squares.narrow(0, at, rows).copy_(exact.square().sum(1));
      out.lost.narrow(0, at, rows).copy_((exact - narrow).norm(2, 1));
    });
    out.longest = std::sqrt(largest_of(out.squares));
    out.most_lost = largest_of(out.lost);
    return out;
  }

  // Bounds the error of two rough distances of the p-th probe. A dot product of D float32 terms errs by at most D·2⁻²⁴
  // of the product of the norms, in any order of summation; squares, sums, normalising and narrowing add a little. The
  // bound is twice that, for each of the two. In bfloat16 it includes the rows' errors and those of the products, which
  // are rounded to 2⁻⁸.
  static double bound_of(const Rough& people, const Rough& sought, std::int64_t p) {
    const double square = sought.squares.data_ptr<float>()[p], length = std::sqrt(square);
    const double lost = sought.lost.data_ptr<float>()[p];
    const double dot = 4 * static_cast<double>(sought.rows.size(1) + 8) * 0x1p-24;
    const double exact = dot * (people.largest_square() + square);
    if (sought.rows.scalar_type() == torch::kFloat32) return exact;
    return exact + 4.1 * (lost * people.longest + length * people.most_lost + 0x1p-8 * length * people.longest);
  }

  // Calls `visit` for each probe and tile with the probe's number, the tile, the rough distances to its rows (squared,
  // without ‖probe‖²), and the error bound of two of these. Calls for one probe come from one thread.
  template <class Visit>
  static void for_each_probe(const People& people, const Sought& sought, const Visit& visit) {
    const auto tiles = tiles_of(people.ranges);
    in_pieces(torch::kCPU, static_cast<std::size_t>(sought.features.size(0)), 256,
              [&](std::size_t first, std::size_t count) {
                const auto probes =
                    sought.rough.rows.narrow(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count));
                for (const auto& tile : tiles) {
                  stop_if_interrupted();
                  const auto products = at::mm(probes, people.rough.rows.narrow(0, tile.row, tile.rows).t());
                  const auto rough =
                      at::rsub(products.to(torch::kFloat32), people.rough.squares.narrow(0, tile.row, tile.rows), 2);
                  for (std::size_t i = 0; i < count; ++i)
                    visit(first + i, tile, rough.data_ptr<float>() + static_cast<std::int64_t>(i) * tile.rows,
                          bound_of(people.rough, sought.rough, static_cast<std::int64_t>(first + i)));
                }
              });
  }

  void find_nearest(Base& base) const {
    const auto& people = base.people;
    const auto count = static_cast<std::int64_t>(people.ranges.size());
    constexpr float none = std::numeric_limits<float>::infinity();
    float* all = base.least.data_ptr<float>();
    std::vector<std::pair<float, float>> two(base.nearest.size(), {none, none});  // each probe's two least so far
    for_each_probe(people, base.sought, [&](std::size_t p, const Tile& tile, const float* rough, double bound) {
      float* minima = all + static_cast<std::int64_t>(p) * count;
      auto& [first, second] = two[p];
      for (auto k = tile.first; k < tile.end; ++k) {
        const auto& range = people.ranges[k];
        minima[k] = least(rough + (range.first - tile.row), range.count);
        second = std::min(second, std::max(first, minima[k]));
        first = std::min(first, minima[k]);
      }
      for (auto k = tile.first; k < tile.end; ++k)
        if (const auto& range = people.ranges[k]; minima[k] <= second + bound)
          base.nearest[p].add(
              nearest_of(people, range, base.sought, p, rough + (range.first - tile.row), second, bound));
    });
  }

  // A person's nearest row, or none if it is surely farther than the rough distance `other`. `rough`: the distances to
  // that person's rows.
  Neighbour nearest_of(const People& people, const People::Range& range, const Sought& sought, std::size_t p,
                       const float* rough, float other, double bound) const {
    const float best = least(rough, range.count);
    Neighbour found;
    if (best > other + bound) return found;
    for (std::int64_t i = 0; i < range.count; ++i)
      if (rough[i] <= best + bound)
        if (const auto row = measured(people, range, sought, p, range.first + i, rough[i]); closer(row, found))
          found = row;
    return found;
  }
  // A person's nearest row; measures all of them.
  Neighbour nearest_in(const People& people, const People::Range& range, const Sought& sought, std::size_t p) const {
    Neighbour found;
    for (auto g = range.first; g < range.first + range.count; ++g)
      if (const auto row = measured(people, range, sought, p, g, 0); closer(row, found)) found = row;
    return found;
  }

  Neighbour measured(const People& people, const People::Range& range, const Sought& sought, std::size_t p,
                     std::int64_t g, float rough) const {
    const auto at = people.places[static_cast<std::size_t>(g)], probe = static_cast<std::int64_t>(p);
    const auto distance = people.features.scalar_type() == torch::kFloat64
                              ? measure<double>(people.features, at, sought.features, probe)
                              : measure<float>(people.features, at, sought.features, probe);
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
