#include "classifiers/logistic.hpp"

#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "facepoison/device.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

constexpr int kRounds = 200, kInnerRounds = 200;
constexpr std::int64_t kPieces = 64, kSmallestPiece = 256;  // of rows: a piece's results fit into the cache
constexpr std::int64_t kSmallBlock = 256, kMostNumbers = std::int64_t{1} << 26, kClassesAtOnce = 16;
constexpr double kNewCurvature = 1e-3;  // a step that lowers the value by this share needs a new preconditioner
constexpr double kInnerResidual = 0.1;  // of the gradient; a smaller one costs more passes than it saves steps
// Where the curvature is nearly 0, as where a class is very unlikely at every row, a Newton step is far too long.
constexpr double kSmallestStep = 1e-12, kSufficientDecrease = 1e-4;

// Sums the results of work(first, count) over pieces of the rows, in one order for any number of threads.
template <class Work>
torch::Tensor sum_over_rows(std::int64_t rows, const Work& work) {
  const auto piece = std::max(kSmallestPiece, (rows + kPieces - 1) / kPieces);
  std::vector<torch::Tensor> parts(static_cast<std::size_t>((rows + piece - 1) / piece));
  in_pieces(torch::kCPU, static_cast<std::size_t>(rows), static_cast<std::size_t>(piece),
            [&](std::size_t first, std::size_t count) {
              const torch::NoGradGuard no_grad;
              const auto start = static_cast<std::int64_t>(first);
              parts[first / static_cast<std::size_t>(piece)] = work(start, static_cast<std::int64_t>(count));
            });
  auto sum = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) sum.add_(parts[i]);
  return sum;
}

// The inner product of two matrices, summed in one order too.
double inner_product(const torch::Tensor& a, const torch::Tensor& b) { return (a * b).sum(1).sum().item<double>(); }

// Adds the penalty's part to a product of K×(D+1).
torch::Tensor with_decay(const torch::Tensor& product, const torch::Tensor& w, double decay) {
  product.slice(1, 0, -1).add_(w.slice(1, 0, -1), decay);
  return product;
}

// A point w, its value and gradient, and what the Hessian needs.
struct Iterate {
  torch::Tensor w, gradient;    // K×(D+1) float64
  torch::Tensor probabilities;  // n×K float32, of the sought classes
  double value = 0;

  Iterate(const LogisticProblem& problem, torch::Tensor weights) : w(std::move(weights)) {
    const auto n = problem.rows.size(0), fixed = problem.fixed.size(1), sought = w.size(0);
    probabilities = torch::empty({n, sought});
    auto losses = torch::empty({n}, torch::kFloat64);
    const auto slope = sum_over_rows(n, [&](std::int64_t first, std::int64_t count) {
      const auto rows = problem.rows.narrow(0, first, count);
      const auto targets = problem.targets.narrow(0, first, count).unsqueeze(1);
      auto scores = rows.matmul(w.t());
      if (fixed > 0) scores = torch::cat({problem.fixed.narrow(0, first, count), scores}, 1);
      auto found = scores.log_softmax(1);
      losses.narrow(0, first, count).copy_(found.gather(1, targets).squeeze(1));
      found.exp_();
      const auto mine = found.narrow(1, fixed, sought);
      probabilities.narrow(0, first, count).copy_(mine);
      found.scatter_add_(1, targets, torch::full({count, 1}, -1.0, found.options()));
      return mine.t().matmul(rows);
    });
    gradient = with_decay(slope / static_cast<double>(n), w, problem.decay);
    const auto norm = inner_product(w.slice(1, 0, -1), w.slice(1, 0, -1));
    value = 0.5 * problem.decay * norm -
            std::accumulate(losses.data_ptr<double>(), losses.data_ptr<double>() + n, 0.0) / static_cast<double>(n);
  }
};

// Preconditions conjugate gradients by roughly the inverse of the Hessian: each class's own block, with nothing between
// classes. The mean over the classes is removed if that changes no probability: in its direction only the penalty has
// curvature. In a block, the rows with the most curvature, where the class is least sure, count in full, and the others
// by their diagonal. Small blocks are inverted; larger ones use fewer such rows, and the Woodbury formula subtracts
// these from the inverse of the diagonal.
struct Preconditioner {
  bool centred;
  torch::Tensor blocks;             // K×(D+1)×(D+1), of small ones
  torch::Tensor diagonal, factors;  // of larger ones: K×(D+1), K×R×(D+1)

  // `rows`: the problem's in float32.
  Preconditioner(const LogisticProblem& problem, const torch::Tensor& rows, const torch::Tensor& probabilities,
                 bool is_centred)
      : centred(is_centred) {
    const auto n = rows.size(0), width = rows.size(1), classes = probabilities.size(1);
    const bool small = width <= kSmallBlock && classes * width * width <= kMostNumbers;
    const auto sparing = std::min(kMostNumbers / (classes * width), static_cast<std::int64_t>(std::sqrt(10.0 * n)));
    const auto rank = std::clamp<std::int64_t>(small ? 4 * width : std::min(sparing, kSmallBlock), 1, n);
    const auto all = sum_over_rows(n, [&](std::int64_t first, std::int64_t count) {
      const auto p = probabilities.narrow(0, first, count);
      return (p * (1 - p)).t().matmul(rows.narrow(0, first, count).square());
    });
    diagonal = torch::empty_like(all);
    (small ? blocks : factors) = torch::empty({classes, small ? width : rank, width}, rows.options());
    in_pieces(torch::kCPU, static_cast<std::size_t>(classes), kClassesAtOnce, [&](std::size_t at, std::size_t count) {
      const torch::NoGradGuard no_grad;
      const auto first = static_cast<std::int64_t>(at), some = static_cast<std::int64_t>(count);
      const auto p = probabilities.narrow(1, first, some).t().contiguous();
      const auto [weights, indices] = (p * (1 - p)).topk(rank, 1, true, false);
      for (std::int64_t k = 0; k < some; ++k)
        invert(problem, rows.index_select(0, indices[k]), weights[k], all[first + k], first + k);
    });
  }

  // Inverts the k-th class's block. `own`, `weights`: the rows with the most curvature, and how much; `all`: the
  // diagonal of all rows.
  void invert(const LogisticProblem& problem, const torch::Tensor& own, const torch::Tensor& weights,
              const torch::Tensor& all, std::int64_t k) {
    const auto n = static_cast<double>(problem.rows.size(0));
    auto whole = all / n;
    whole.slice(0, 0, -1).add_(problem.decay);
    const auto others = torch::maximum(whole - weights.matmul(own.square()) / n, 1e-3 * whole).clamp_min(1e-12);
    const auto scaled = own.to(torch::kFloat64) * (weights.to(torch::kFloat64) / n).sqrt().unsqueeze(1);
    if (blocks.defined()) {
      auto block = scaled.t().matmul(scaled);
      block.diagonal().add_(others);
      blocks[k].copy_(at::cholesky_inverse(at::linalg_cholesky(block)));
      return;
    }
    const auto divided = scaled / others;
    auto inner = divided.matmul(scaled.t());
    inner.diagonal().add_(1);
    diagonal[k].copy_(others.reciprocal());
    factors[k].copy_(at::linalg_solve_triangular(at::linalg_cholesky(inner), divided, /*upper=*/false));
  }

  torch::Tensor operator()(const torch::Tensor& residual) const {
    const auto narrow = residual.to(torch::kFloat32), columns = narrow.unsqueeze(2);
    auto step = blocks.defined() ? blocks.bmm(columns).squeeze(2)
                                 : narrow * diagonal - factors.transpose(1, 2).bmm(factors.bmm(columns)).squeeze(2);
    if (centred) step -= step.mean(0);
    return step.to(residual.scalar_type());
  }
};

// The product H·w of the Hessian. `probabilities`: n×K.
torch::Tensor hessian_vector_product(const LogisticProblem& problem, const torch::Tensor& rows,
                                     const torch::Tensor& probabilities, const torch::Tensor& w) {
  const auto sum = sum_over_rows(rows.size(0), [&](std::int64_t first, std::int64_t count) {
    const auto some = rows.narrow(0, first, count), p = probabilities.narrow(0, first, count);
    auto scores = some.matmul(w.t()).mul_(p);
    scores.addcmul_(p, scores.sum(1, true), -1);
    return scores.t().matmul(some);
  });
  return with_decay(sum / static_cast<double>(rows.size(0)), w, problem.decay);
}

// Approximates the step −H⁻¹·gradient by conjugate gradients, computed in `type`.
torch::Tensor newton_step(const LogisticProblem& problem, const Iterate& point, const Preconditioner& preconditioned,
                          torch::ScalarType type) {
  const auto rows = problem.rows.to(type), probabilities = point.probabilities.to(type);
  auto residual = -point.gradient.to(type), step = torch::zeros_like(residual), scaled = preconditioned(residual),
       direction = scaled;
  double before = inner_product(residual, scaled);
  const double enough = kInnerResidual * kInnerResidual * before;
  for (int i = 0; i < kInnerRounds && before > enough; ++i) {
    stop_if_interrupted();
    const auto product = hessian_vector_product(problem, rows, probabilities, direction);
    const double length = before / inner_product(direction, product);
    step.add_(direction, length);
    residual.sub_(product, length);
    scaled = preconditioned(residual);
    const double after = inner_product(residual, scaled);
    direction = scaled + direction * (after / before);
    before = after;
  }
  return step.to(torch::kFloat64);
}

// Moves along the step, halved until the value falls enough. Returns whether it moved.
bool descend(const LogisticProblem& problem, Iterate& point, const torch::Tensor& step) {
  const double slope = inner_product(point.gradient, step);
  if (!(slope < 0)) return false;
  for (double size = 1; size >= kSmallestStep; size /= 2) {
    Iterate next(problem, point.w + size * step);
    if (next.value > point.value + kSufficientDecrease * size * slope) continue;
    point = std::move(next);
    return true;
  }
  return false;
}

}  // namespace

torch::Tensor minimise(const LogisticProblem& problem, torch::Tensor start, double tolerance) {
  const torch::NoGradGuard no_grad;
  // If every column is sought, a common part of all weights only costs; once removed, it does not come back.
  const bool centred = problem.fixed.size(1) == 0 && start.size(0) > 1;
  Iterate point(problem, centred ? start - start.mean(0) : start);
  const auto narrow = problem.rows.to(torch::kFloat32);
  std::optional<Preconditioner> preconditioner;
  for (int round = 0; round < kRounds; ++round) {
    stop_if_interrupted();
    if (point.gradient.abs().max().item<double>() <= tolerance) break;
    if (!preconditioner) preconditioner.emplace(problem, narrow, point.probabilities, centred);
    const double before = point.value;
    const auto by = [&](torch::ScalarType type) {
      return descend(problem, point, newton_step(problem, point, *preconditioner, type));
    };
    if (!by(torch::kFloat32) && !by(torch::kFloat64))
      break;  // float32 is twice as fast, and enough for most directions
    if (before - point.value > kNewCurvature * point.value) preconditioner.reset();
  }
  return point.w;
}

}  // namespace facepoison
