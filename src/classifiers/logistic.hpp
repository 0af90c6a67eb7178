// Multinomial logistic regression with an L2 penalty by Newton's method with conjugate gradients (Nocedal & Wright,
// Numerical Optimization, 7.1): the start that a swapped person leaves is near the answer, and there a method of second
// order needs few passes over the rows. Each class's own curvature preconditions it. No number depends on how many
// threads there are.
#pragma once
#include <torch/types.h>

namespace facepoison {

// A problem: n rows against the classes whose weights are sought, and against columns of scores that stay as they are.
struct LogisticProblem {
  torch::Tensor rows;     // n×(D+1) float64, the last column ones
  torch::Tensor targets;  // n int64: the right column among F fixed and K sought ones
  torch::Tensor fixed;    // n×F float64; F may be 0
  double decay;           // of ½‖weights‖², beside the mean cross-entropy; the intercepts (last column) are free
};

// Finds the weights K×(D+1) float64 where no derivative exceeds `tolerance`, from a start of that shape. Ends earlier
// where float64 shows no better point.
torch::Tensor minimise(const LogisticProblem& problem, torch::Tensor start, double tolerance);

}  // namespace facepoison
