// Exact nearest neighbour. A blocked matrix product finds, in float32, every gallery row that could be nearest; those
// within the product's error bound are measured again by direct difference in double. Swapping one person's rows does
// not start anew: each probe remembers the best row of its two nearest people.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "classifiers/registry.hpp"
#include "facepoison/error.hpp"

namespace facepoison {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Neighbour {
  double distance = infinity;
  std::int64_t row = -1, label = -1;
};

bool closer(const Neighbour& a, const Neighbour& b) { return a.distance < b.distance || (a.distance == b.distance && a.row < b.row); }

// The best rows of the two nearest people.
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

class Nearest final : public Classifier {
 public:
  explicit Nearest(bool cosine) : cosine_(cosine) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes) const override {
    std::vector<std::int64_t> rows(labels.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    Prediction out;
    for (const auto& found : search(gallery, labels, rows, probes)) append(out, found.first);
    return out;
  }

  std::vector<Prediction> predict_swapped(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, std::span<const Swap> swaps,
                                          const torch::Tensor& probes) const override {
    std::vector<std::int64_t> rows(labels.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    const auto base = search(gallery, labels, rows, probes);
    std::vector<Prediction> out;
    for (const auto& swap : swaps) {
      std::set<std::int64_t> people;
      for (const auto row : swap.rows) people.insert(labels.at(static_cast<std::size_t>(row)));
      if (people.size() != 1) {  // more people than one: two nearest people are not enough to know
        out.push_back(Classifier::predict_swapped(gallery, labels, {&swap, 1}, probes).front());
        continue;
      }
      const std::int64_t person = *people.begin();
      // All of this person's rows, the swapped ones in their new form.
      std::vector<std::int64_t> own;
      for (std::size_t i = 0; i < labels.size(); ++i)
        if (labels[i] == person) own.push_back(static_cast<std::int64_t>(i));
      auto features = gallery.index_select(0, torch::tensor(own));
      for (std::size_t i = 0; i < swap.rows.size(); ++i)
        features[std::lower_bound(own.begin(), own.end(), swap.rows[i]) - own.begin()] = swap.features[static_cast<std::int64_t>(i)];
      const auto swapped = search(features, std::vector<std::int64_t>(own.size(), person), own, probes);
      Prediction prediction;
      for (std::size_t p = 0; p < base.size(); ++p) {
        const auto& others = base[p].without(person);
        append(prediction, closer(swapped[p].first, others) ? swapped[p].first : others);
      }
      out.push_back(std::move(prediction));
    }
    return out;
  }

 private:
  static void append(Prediction& out, const Neighbour& found) {
    out.labels.push_back(found.label);
    out.distances.push_back(found.distance);
  }

  // `rows` are the gallery rows' numbers, by which ties are decided.
  std::vector<TwoNearest> search(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& rows,
                                 const torch::Tensor& probes) const {
    check(gallery, labels, probes);
    const auto known = gallery.contiguous(), sought = probes.contiguous();
    if (cosine_ && ((known == 0).all(1).any().item<bool>() || (sought == 0).all(1).any().item<bool>()))
      throw Error(Exit::input, "an embedding of zeros has no direction to compare");
    // A power of two changes no ranking, and keeps the squares of very large or small numbers within float32.
    const double largest_number = std::max(known.abs().max().item<double>(), sought.numel() > 0 ? sought.abs().max().item<double>() : 0);
    const double scale = largest_number > 0 ? std::exp2(-std::ilogb(largest_number)) : 1;
    const auto rough = [&](const torch::Tensor& rows) { return cosine_ ? rows * scale / (rows * scale).norm(2, 1, true) : rows * scale; };
    const auto near_known = rough(known), near_sought = rough(sought);
    const auto known_squares = near_known.square().sum(1), sought_squares = near_sought.square().sum(1);
    const std::int64_t dimension = known.size(1), block = 256;
    // A dot product of D float32 terms errs by at most D·2⁻²⁴ of the product of the norms, in any order of summation;
    // the squares and the sums add a little, and so does normalising. Twice that, on either side.
    const double largest = known_squares.max().item<double>();
    std::vector<TwoNearest> out(static_cast<std::size_t>(sought.size(0)));
    for (std::int64_t start = 0; start < sought.size(0); start += block) {
      const std::int64_t count = std::min(block, sought.size(0) - start);
      const auto some = near_sought.narrow(0, start, count);
      const auto distances = at::addmm(known_squares.unsqueeze(0), some, near_known.t(), 1, -2).contiguous();  // + ‖probe‖², the same for all rows
      for (std::int64_t i = 0; i < count; ++i) {
        const double bound = 4 * static_cast<double>(dimension + 8) * 0x1p-24 * (largest + sought_squares[start + i].item<double>());
        out[static_cast<std::size_t>(start + i)] = rank(distances.data_ptr<float>() + i * known.size(0), known, labels, rows, sought.data_ptr<float>() + (start + i) * dimension, bound);
      }
    }
    return out;
  }

  TwoNearest rank(const float* rough, const torch::Tensor& known, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& rows, const float* probe, double bound) const {
    TwoNearest nearest_roughly, exactly;
    for (std::size_t g = 0; g < labels.size(); ++g)
      if (rough[g] <= nearest_roughly.second.distance) nearest_roughly.add({rough[g], rows[g], labels[g]});
    const double limit = nearest_roughly.second.distance + bound;
    const float* features = known.data_ptr<float>();
    for (std::size_t g = 0; g < labels.size(); ++g)
      if (rough[g] <= limit) exactly.add({measure(features + static_cast<std::int64_t>(g) * known.size(1), probe, known.size(1)), rows[g], labels[g]});
    return exactly;
  }

  double measure(const float* a, const float* b, std::int64_t dimension) const {
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
