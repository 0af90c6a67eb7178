// A folded network gives the same results with other operations.
#include "extractors/fold.hpp"

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// A norm before a convolution, one after it, and one of rows; with `branch`, inside a condition.
torch::jit::Module network(bool branch) {
  torch::manual_seed(3);
  torch::jit::Module module("network");
  const auto norm = [&](const std::string& name, std::int64_t width) {
    module.register_parameter(name + "_weight", torch::rand({width}) + 0.5, false);
    module.register_parameter(name + "_bias", torch::randn({width}), false);
    module.register_parameter(name + "_mean", torch::randn({width}), true);
    module.register_parameter(name + "_variance", torch::rand({width}) + 0.1, true);
  };
  norm("a", 3), norm("b", 5), norm("c", 7);
  module.register_parameter("kernel", torch::randn({5, 3, 3, 3}) * 0.2, false);
  module.register_parameter("linear", torch::randn({7, 5}), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  const std::string first =
      "torch.batch_norm(x, self.a_weight, self.a_bias, self.a_mean, self.a_variance, False, 0.1, 1e-3, True)";
  module.define(concat(
      "def forward(self, x):\n",
      branch ? concat("    if x.size(0) > 1:\n        x = ", first, "\n    else:\n        x = ", first, " * 1.0\n")
             : concat("    x = ", first, "\n"),
      "    x = torch.relu(torch.batch_norm(torch.conv2d(x, self.kernel), self.b_weight, self.b_bias, self.b_mean, "
      "self.b_variance, False, 0.1, 1e-3, True))\n"
      "    x = torch.matmul(x.mean([2, 3]), self.linear.t())\n"
      "    return torch.batch_norm(x, self.c_weight, self.c_bias, self.c_mean, self.c_variance, False, 0.1, 1e-3, "
      "True)\n"));
  module.eval();
  return module;
}

TEST(Fold, GivesTheSameWithItsGradients) {
  for (const bool branch : {false, true}) {
    const auto plain = network(branch), folded = fold(plain, "forward", torch::kFloat32);
    EXPECT_FALSE(contains(folded.get_method("forward").graph()->toString(), "batch_norm"));
    EXPECT_TRUE(contains(plain.get_method("forward").graph()->toString(), "batch_norm"));
    for (const std::int64_t photos : {1, 3}) {
      const auto run = [&](const torch::jit::Module& module) {
        torch::manual_seed(4);
        auto x = torch::rand({photos, 3, 9, 8}).contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_(true);
        auto y = module.get_method("forward")({x}).toTensor();
        y.square().sum().backward();
        return std::pair(y.detach(), x.grad());
      };
      const auto [y, gradient] = run(plain);
      const auto [folded_y, folded_gradient] = run(folded);
      EXPECT_TRUE(torch::allclose(y, folded_y, 1e-4, 1e-5));
      EXPECT_TRUE(torch::allclose(gradient, folded_gradient, 1e-3, 1e-4));
    }
  }
}

TEST(Fold, ComputesInThePrecisionThatIsAskedFor) {
  const auto plain = network(false), folded = fold(plain, "forward", torch::kBFloat16);
  const auto x = torch::rand({4, 3, 9, 8});
  const auto exact = plain.get_method("forward")({x}).toTensor(),
             rough = folded.get_method("forward")({x.to(torch::kBFloat16)}).toTensor();
  EXPECT_EQ(rough.scalar_type(), torch::kBFloat16);
  EXPECT_GT(at::cosine_similarity(exact.flatten(), rough.to(torch::kFloat32).flatten(), 0).item<double>(), 0.999);
}

}  // namespace
}  // namespace facepoison::testing
