#include "classifiers/logistic.hpp"

#include <torch/script.h>

#include <algorithm>

#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

constexpr int kRounds = 200, kInnerRounds = 200;
constexpr std::int64_t kRowsAtOnce = 1024;  // whose scores stay in the cache: 2.5 times as fast at 34,980 × 530
constexpr double kInnerResidual = 0.2;      // of the gradient; a smaller one costs more passes than it saves steps
constexpr double kSmallestStep = 1e-4, kSufficientDecrease = 1e-4;

// A point w with the objective's value there, and the probabilities, which its derivatives need.
struct Iterate {
  torch::Tensor w, probabilities;  // K×(D+1); n×(F+K)
  double value;

  Iterate(const LogisticProblem& problem, torch::Tensor weights) : w(std::move(weights)) {
    const auto logs = torch::cat({problem.fixed, problem.rows.matmul(w.t())}, 1).log_softmax(1);
    const auto norm = w.slice(1, 0, -1).square().sum();
    value = (at::nll_loss(logs, problem.places) + 0.5 * problem.decay * norm).item<double>();
    probabilities = logs.exp();
  }
  // The probabilities of the sought classes: n×K.
  torch::Tensor sought() const { return probabilities.narrow(1, probabilities.size(1) - w.size(0), w.size(0)); }
};

torch::Tensor with_decay(const torch::Tensor& product, const torch::Tensor& w, double decay) {
  product.slice(1, 0, -1).add_(w.slice(1, 0, -1), decay);
  return product;
}

torch::Tensor gradient_at(const LogisticProblem& problem, const Iterate& point) {
  auto slope = point.probabilities.clone();
  slope.scatter_add_(1, problem.places.unsqueeze(1), torch::full({slope.size(0), 1}, -1.0, slope.options()));
  const auto mine =
      slope.narrow(1, slope.size(1) - point.w.size(0), point.w.size(0)) / static_cast<double>(slope.size(0));
  return with_decay(mine.t().matmul(problem.rows), point.w, problem.decay);
}

// The product of the Hessian of the mean cross-entropy with w: K×(D+1). The decay is left out.
torch::Tensor hessian_vector_product(const torch::Tensor& rows, const torch::Tensor& probabilities,
                                     const torch::Tensor& w) {
  auto sum = torch::zeros_like(w);
  for (std::int64_t i = 0; i < rows.size(0); i += kRowsAtOnce) {
    const auto end = std::min(i + kRowsAtOnce, rows.size(0));
    const auto some = rows.slice(0, i, end), p = probabilities.slice(0, i, end);
    auto scores = some.matmul(w.t()).mul_(p);
    scores.addcmul_(p, scores.sum(1, true), -1);
    sum.addmm_(scores.t(), some, 1, 1 / static_cast<double>(rows.size(0)));
  }
  return sum;
}

// Approximates the Newton step −H⁻¹·gradient by conjugate gradients, preconditioned by H's diagonal, in the precision
// `type`.
torch::Tensor newton_step(const LogisticProblem& problem, const Iterate& point, const torch::Tensor& gradient,
                          torch::ScalarType type) {
  const auto rows = problem.rows.to(type), probabilities = point.sought().to(type);
  const auto curvature = [&](const torch::Tensor& w) {
    return with_decay(hessian_vector_product(rows, probabilities, w), w, problem.decay);
  };
  const auto diagonal =
      with_decay((probabilities * (1 - probabilities)).t().matmul(rows.square()) / static_cast<double>(rows.size(0)),
                 torch::ones_like(gradient), problem.decay)
          .clamp_min(1e-12)
          .to(type);
  auto residual = -gradient.to(type), step = torch::zeros_like(residual), scaled = residual / diagonal,
       direction = scaled;
  double before = (residual * scaled).sum().item<double>();
  const double enough = kInnerResidual * kInnerResidual * before;
  for (int i = 0; i < kInnerRounds && before > enough; ++i) {
    const auto product = curvature(direction);
    const double length = before / (direction * product).sum().item<double>();
    step.add_(direction, length);
    residual.sub_(product, length);
    scaled = residual / diagonal;
    const double after = (residual * scaled).sum().item<double>();
    direction = scaled + direction * (after / before);
    before = after;
  }
  return step.to(torch::kFloat64);
}

// Moves along the step as far as the value falls enough (backtracking line search). False where it never does.
bool descend(const LogisticProblem& problem, Iterate& point, const torch::Tensor& gradient, const torch::Tensor& step) {
  const double slope = (gradient * step).sum().item<double>();
  for (double size = 1; size >= kSmallestStep; size /= 2) {
    Iterate next(problem, point.w + size * step);
    if (next.value > point.value + kSufficientDecrease * size * slope || !(slope < 0)) continue;
    point = std::move(next);
    return true;
  }
  return false;
}

}  // namespace

torch::Tensor minimise(const LogisticProblem& problem, torch::Tensor start, double tolerance) {
  const torch::NoGradGuard no_grad;
  Iterate point(problem, std::move(start));
  for (int round = 0; round < kRounds; ++round) {
    stop_if_interrupted();
    const auto gradient = gradient_at(problem, point);
    if (gradient.abs().max().item<double>() <= tolerance) break;
    const auto by = [&](torch::ScalarType type) {
      return descend(problem, point, gradient, newton_step(problem, point, gradient, type));
    };
    if (!by(torch::kFloat32) && !by(torch::kFloat64))
      break;  // float32 is twice as fast, and enough but for a few directions
  }
  return point.w;
}

}  // namespace facepoison
