#include "training/fit.hpp"

#include <torch/nn/utils/clip_grad.h>

#include <chrono>
#include <numbers>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/memory.hpp"
#include "facepoison/threads.hpp"

namespace facepoison {
namespace {

// The rate at a step: it rises linearly, then falls to 0 as a half cosine, or stays constant.
double rate_at(const Recipe& r, std::int64_t step) {
  const double rate = r.optimiser.rate;
  if (step < r.warmup) return rate * static_cast<double>(step + 1) / static_cast<double>(r.warmup);
  if (!r.decays) return rate;
  const double done =
      static_cast<double>(step - r.warmup) / static_cast<double>(std::max<std::int64_t>(r.steps - r.warmup, 1));
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

// Makes the optimiser. Weights decay; biases, norms and slopes do not.
std::unique_ptr<torch::optim::Optimizer> optimiser_of(const OptimiserSettings& settings, const Trainee& trainee,
                                                      const std::vector<torch::Tensor>& beside) {
  std::vector<torch::Tensor> decayed, free;
  for (const auto& parameter : trainee.parameters()) (parameter.dim() > 1 ? decayed : free).push_back(parameter);
  free.insert(free.end(), beside.begin(), beside.end());
  return make_optimiser(settings, decayed, free);
}

// Trains on one batch (forward, backward, optimiser step) and returns its loss.
double one_step(const Fit& f, const Batch& batch, const std::vector<torch::Tensor>& parameters,
                torch::optim::Optimizer& optimiser, std::int64_t step) {
  const auto& c = f.config;
  // Dropout inside a scripted network draws from the global generator, so it is seeded anew for each step.
  torch::manual_seed(Stream(c.seed, "network", std::to_string(step)).bits());
  for (auto& group : optimiser.param_groups()) group.options().set_lr(rate_at(c.recipe, step));
  optimiser.zero_grad();
  const auto value = batch();
  value.backward();
  torch::nn::utils::clip_grad_norm_(parameters, c.recipe.gradient_limit);
  optimiser.step();
  const double number = value.item<double>();
  if (!std::isfinite(number))
    throw Error(Exit::failure, concat(c.name, ": the loss is not finite at step ", step,
                                      "; a smaller rate or gradient_limit may help"));
  return number;
}

std::vector<torch::Tensor> copies(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> all;
  for (const auto& tensor : tensors) all.push_back(tensor.detach().clone());
  return all;
}

void check(const Fit& f, Progression& at) {
  at.checked = f.check();
  if (!f.keeps_least || at.checked >= at.least) return;
  at.least = at.checked;
  at.best = copies(state_of(f.trainee, f.beside));
}

void go_back_to_best(const Fit& f, const Progression& at) {
  const torch::NoGradGuard no_grad;
  auto state = state_of(f.trainee, f.beside);
  for (std::size_t i = 0; i < at.best.size(); ++i) state[i].copy_(at.best[i]);
}

}  // namespace

Progression fit(const Fit& f) {
  using Clock = std::chrono::steady_clock;
  const auto& c = f.config;
  keep_freed_memory();
  const auto optimiser = optimiser_of(c.recipe.optimiser, f.trainee, f.beside);
  Progression at;
  at.log = concat("step,loss,rate,", f.called, "\n");
  if (fs::exists(f.checkpoint)) {
    at = read_checkpoint(f.checkpoint, f.trainee, f.beside, *optimiser, f.hash);
    log_info(concat(c.name, ": going on after step ", at.step, " of ", c.recipe.steps));
  }
  auto parameters = f.trainee.parameters();
  parameters.insert(parameters.end(), f.beside.begin(), f.beside.end());
  Worker worker;
  const auto batch_of = [&](std::int64_t step) { return worker.start([&f, step] { return f.draw(step); }); };
  const auto resumed = Clock::now();
  const double before = at.seconds;
  const auto save = [&] {
    refuse_after_shortage_of_memory();
    at.seconds = before + std::chrono::duration<double>(Clock::now() - resumed).count();
    write_file(f.checkpoint, write_checkpoint(at, f.trainee, f.beside, *optimiser, f.hash));
  };
  f.trainee.learn(true);
  Progress progress(concat("train, ", c.name), static_cast<std::size_t>(c.recipe.steps), "steps");
  progress.advance(static_cast<std::size_t>(at.step), true);
  std::future<Batch> next;
  if (at.step < c.recipe.steps) next = batch_of(at.step);
  while (at.step < c.recipe.steps) {
    const Batch batch = next.get();
    try {
      stop_if_interrupted();
    } catch (const Error&) {
      save();
      throw;
    }
    if (at.step + 1 < c.recipe.steps) next = batch_of(at.step + 1);
    at.loss_sum += one_step(f, batch, parameters, *optimiser, at.step);
    ++at.loss_count;
    ++at.step;
    progress.advance(1);
    const bool last = at.step == c.recipe.steps, checks = f.check && (at.step % c.recipe.check_every == 0 || last);
    if (checks) check(f, at);
    if (checks || last || at.step % c.recipe.log_every == 0) {
      at.log += concat(at.step, ",", at.loss_sum / static_cast<double>(at.loss_count), ",",
                       rate_at(c.recipe, at.step - 1), ",", checks ? concat(at.checked) : "", "\n");
      at.loss_sum = 0, at.loss_count = 0;
      if (!f.log.empty()) write_file(f.log, at.log);
    }
    if (last || at.step % c.recipe.checkpoint_every == 0) save();
  }
  go_back_to_best(f, at);
  return at;
}

}  // namespace facepoison
