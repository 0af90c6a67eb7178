#include "attacks/search.hpp"

#include <limits>

namespace facepoison {

Search::Search(const torch::Tensor& pixels, std::int64_t patience)
    : here(torch::arange(pixels.size(0), pixels.options().dtype(torch::kInt64))),
      best(torch::full({pixels.size(0)}, -std::numeric_limits<double>::infinity(), pixels.options())),
      pictures(torch::full_like(pixels, std::numeric_limits<double>::quiet_NaN())),
      patience_(patience),
      changed_(torch::zeros_like(here)),
      steps_(torch::zeros_like(here)) {}

void Search::note(const torch::Tensor& loss, const torch::Tensor& distance, const torch::Tensor& own_measure) {
  auto row = torch::full({best.size(0), 3}, std::numeric_limits<double>::quiet_NaN(), best.options());
  row.index_copy_(0, here, torch::stack({loss.detach(), distance.detach(), own_measure.detach()}, 1));
  notes_.push_back(row);
  finite_ = loss.detach().isfinite();
}

void Search::offer(std::int64_t step, const torch::Tensor& pixels, const torch::Tensor& score,
                   const torch::Tensor& feasible) {
  const auto better = feasible.logical_and(score.detach() > best.index_select(0, here)).nonzero().squeeze(1);
  const auto rows = here.index_select(0, better);
  best.index_copy_(0, rows, score.detach().index_select(0, better));
  pictures.index_copy_(0, rows, pixels.detach().index_select(0, better));
  changed_.index_fill_(0, rows, step);
}

bool Search::go_on(std::int64_t step, const std::vector<torch::Tensor*>& states) {
  steps_.index_fill_(0, here, step);
  auto stays = finite_;
  if (patience_ > 0) stays = stays.logical_and(step - changed_.index_select(0, here) < patience_);
  if (stays.all().item<bool>()) return true;
  const auto rows = stays.nonzero().squeeze(1);
  here = here.index_select(0, rows);
  for (auto* state : states)
    if (state->defined()) *state = state->index_select(0, rows);
  return rows.numel() > 0;
}

std::vector<std::int64_t> Search::iterations() const {
  const auto steps = steps_.to(torch::kCPU);
  return {steps.data_ptr<std::int64_t>(), steps.data_ptr<std::int64_t>() + steps.numel()};
}

torch::Tensor Search::trace() const { return torch::stack(notes_).to(torch::kCPU, torch::kFloat64); }

}  // namespace facepoison
