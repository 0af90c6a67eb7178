// The solver of `linear`: at its result the derivative is 0, with any preconditioner.
#include "classifiers/logistic.hpp"

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

// People whose photos overlap, so that many classes are likely at a photo. The last dimensions follow the others, as
// embeddings' do.
LogisticProblem overlapping(std::int64_t rows, std::int64_t classes, std::int64_t dimension) {
  torch::manual_seed(11);
  const auto targets = torch::arange(rows) % classes;
  const auto options = torch::TensorOptions(torch::kFloat64);
  auto features = torch::randn({classes, dimension}, options).index_select(0, targets) +
                  3 * torch::randn({rows, dimension}, options);
  features.slice(1, dimension / 2).copy_(3 * features.slice(1, 0, dimension - dimension / 2));
  return {torch::cat({features, torch::ones({rows, 1}, options)}, 1), targets, torch::zeros({rows, 0}, options),
          1.0 / static_cast<double>(rows)};
}

// The largest derivative of the objective, by LibTorch's own differentiation.
double largest_derivative(const LogisticProblem& problem, const torch::Tensor& weights) {
  const auto w = weights.clone().requires_grad_();
  const auto scores = torch::cat({problem.fixed, problem.rows.matmul(w.t())}, 1);
  const auto loss =
      at::cross_entropy_loss(scores, problem.targets) + 0.5 * problem.decay * w.slice(1, 0, -1).square().sum();
  loss.backward();
  return w.grad().abs().max().item<double>();
}

TEST(Logistic, EndsWhereNoDerivativeIsLeft) {
  for (const auto& [rows, classes, dimension] : std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>{
           {900, 15, 20},   // more rows than a piece
           {60, 20, 40},    // fewer rows than weights
           {700, 10, 300},  // more dimensions than a block that is inverted
           {90, 2, 5}}) {
    const auto problem = overlapping(rows, classes, dimension);
    const auto found = minimise(problem, torch::zeros({classes, dimension + 1}, torch::kFloat64), 1e-8);
    EXPECT_LE(largest_derivative(problem, found), 1.1e-8) << rows << ", " << classes << ", " << dimension;
    EXPECT_GT(found.abs().max().item<double>(), 1e-3) << "nothing was to be found";
  }
}

TEST(Logistic, LeavesFixedColumnsAsTheyAre) {
  auto problem = overlapping(600, 4, 10);
  problem.fixed = torch::randn({600, 3}, torch::kFloat64);
  problem.targets = torch::arange(600) % 5;  // the last two columns are sought
  const auto found = minimise(problem, torch::zeros({2, 11}, torch::kFloat64), 1e-8);
  EXPECT_LE(largest_derivative(problem, found), 1.1e-8);
}

// Where a class is nearly impossible at every row, the curvature says nothing, and a Newton step is far too long.
TEST(Logistic, LeavesAStartWithoutCurvature) {
  for (const std::int64_t dimension : {10, 300}) {
    auto problem = overlapping(400, 8, dimension);
    problem.targets = problem.targets.eq(0).to(torch::kInt64);
    problem.fixed = torch::full({400, 1}, 30.0, torch::kFloat64);
    const auto found = minimise(problem, torch::zeros({1, dimension + 1}, torch::kFloat64), 1e-6);
    EXPECT_LE(largest_derivative(problem, found), 1.1e-6) << dimension;
  }
}

TEST(Logistic, EndsAtTheSamePlaceFromAnyStart) {
  const auto problem = overlapping(500, 8, 12);
  const auto cold = minimise(problem, torch::zeros({8, 13}, torch::kFloat64), 1e-9),
             warm = minimise(problem, torch::randn({8, 13}, torch::kFloat64), 1e-9);
  EXPECT_TRUE(
      torch::allclose(problem.rows.matmul(cold.t()).softmax(1), problem.rows.matmul(warm.t()).softmax(1), 0, 1e-5));
}

}  // namespace
}  // namespace facepoison
