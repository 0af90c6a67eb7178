// Multinomial logistic regression with an L2 penalty by Newton's method with conjugate gradients (Nocedal & Wright,
// Numerical Optimization, 7.1): after a swap the start is near the answer, where a second-order method needs few passes
// over the rows. Each class's own curvature preconditions it. No result depends on the number of threads.
#pragma once
#include <torch/types.h>

namespace facepoison {

// A problem: n rows, K classes with weights to find, and F columns of fixed scores.
struct LogisticProblem {
  torch::Tensor rows;     // n×(D+1) float64, the last column ones
  torch::Tensor targets;  // n int64: the correct column among F fixed and K sought ones
  torch::Tensor fixed;    // n×F float64; F may be 0
  double decay;           // of ½‖weights‖², beside the mean cross-entropy; without the intercepts (last column)
};

// Finds the weights K×(D+1) float64 where no derivative exceeds `tolerance`, from a start of that shape. Ends earlier
// if float64 shows no better point.
torch::Tensor minimise(const LogisticProblem& problem, torch::Tensor start, double tolerance);

}  // namespace facepoison
