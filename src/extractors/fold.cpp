#include "extractors/fold.hpp"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <optional>

namespace facepoison {
namespace {

using namespace torch::jit;

std::optional<torch::Tensor> constant(const Value* value) {
  const auto known = toIValue(value);
  return known && known->isTensor() ? std::optional(known->toTensor()) : std::nullopt;
}

void each_node(Block* block, const std::function<void(Node*)>& visit) {
  for (auto it = block->nodes().begin(); it != block->nodes().end();) {
    Node* node = *it++;  // visiting may remove it
    for (auto* inside : node->blocks()) each_node(inside, visit);
    visit(node);
  }
}

// Replaces batch_norm(x, weight, bias, mean, variance, training, momentum, eps, …) by shift + x·factor over the
// channels, which are the last axis of x.transpose(1, -1) whether x is a picture or a row.
void spell_out_batch_norm(Graph& graph, Node* node) {
  const auto weight = constant(node->input(1)), bias = constant(node->input(2)), mean = constant(node->input(3)),
             variance = constant(node->input(4));
  const auto training = toIValue(node->input(5)), eps = toIValue(node->input(7));
  if (!mean || !variance || !training || training->toBool() || !eps) return;
  auto factor = (variance->to(torch::kFloat64) + eps->toDouble()).rsqrt();
  if (weight) factor = factor * weight->to(torch::kFloat64);
  auto shift = -mean->to(torch::kFloat64) * factor;
  if (bias) shift = shift + bias->to(torch::kFloat64);

  const WithInsertPoint here(node);
  auto* const first = graph.insertConstant(1);
  auto* const last = graph.insertConstant(-1);
  auto* const channels_last = graph.insert(aten::transpose, {node->input(0), first, last});
  auto* const scaled =
      graph.insert(aten::addcmul, {shift.to(torch::kFloat32), channels_last, factor.to(torch::kFloat32)});
  node->output()->replaceAllUsesWith(graph.insert(aten::transpose, {scaled, first, last}));
  node->destroy();
}

// Converts a constant of weights to the layout that is read fastest and to the precision, since a frozen module's own
// to() skips constants.
void prepare_constant(Graph& graph, Node* node, torch::ScalarType precision) {
  const auto found = constant(node->output());
  if (!found || found->scalar_type() != torch::kFloat32) return;
  auto value = found->to(precision);
  if (value.dim() == 4) value = value.contiguous(torch::MemoryFormat::ChannelsLast);
  const WithInsertPoint here(node);
  node->output()->replaceAllUsesWith(graph.insertConstant(value.detach()));
  node->destroy();
}

}  // namespace

torch::jit::Module fold(const torch::jit::Module& module, const std::string& method, torch::ScalarType precision) {
  auto frozen = freeze(module, method == "forward" ? std::nullopt : std::optional(std::vector{method}));
  const auto graph = frozen.get_method(method).graph();
  each_node(graph->block(), [&](Node* node) {
    if (node->kind() == aten::batch_norm) spell_out_batch_norm(*graph, node);
  });
  // Freezing joins all methods into one and removes the others, but nodes still name them as callers: LibTorch would
  // crash when it reports a network's error.
  auto& function = frozen.get_method(method).function();
  each_node(graph->block(), [&](Node* node) {
    if (node->callstack()) node->setCallStack(c10::make_intrusive<InlinedCallStack>(&function, node->sourceRange()));
  });
  each_node(graph->block(), [&](Node* node) {
    if (node->kind() == prim::Constant) prepare_constant(*graph, node, precision);
  });
  return frozen;
}

}  // namespace facepoison
