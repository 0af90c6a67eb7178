// Compares the program's own kernels with LibTorch's, which here also compute in double precision.
#include "facepoison/kernels.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

struct Shape {
  std::int64_t batch, in, out, height, width, kernel, stride, padding, groups;
};

std::string name_of(const Shape& s) {
  return concat(s.batch, "x", s.in, "x", s.height, "x", s.width, " to ", s.out, ", kernel ", s.kernel, ", stride ",
                s.stride, ", padding ", s.padding, ", groups ", s.groups);
}

// Dense and depthwise kernels, with and without a stride, also with sides that the stride does not divide, and with
// unused rows of the input.
const std::vector<Shape> shapes = {
    {2, 8, 16, 9, 7, 3, 1, 1, 1},  {1, 8, 5, 12, 12, 1, 1, 0, 1},  {2, 3, 8, 21, 20, 7, 2, 0, 1},
    {3, 3, 8, 11, 14, 3, 2, 1, 1}, {2, 1, 8, 10, 10, 4, 4, 0, 1},  {2, 3, 4, 13, 13, 5, 3, 2, 1},
    {1, 3, 4, 9, 9, 1, 2, 0, 1},   {2, 16, 8, 10, 10, 3, 2, 1, 1}, {2, 8, 8, 9, 7, 3, 1, 1, 8},
    {2, 8, 8, 12, 11, 3, 2, 1, 8}, {2, 8, 8, 12, 11, 5, 2, 2, 8},  {1, 8, 8, 13, 13, 3, 2, 0, 8},
    {2, 8, 8, 7, 7, 7, 1, 0, 8},   {1, 8, 8, 6, 6, 2, 2, 0, 8},    {1, 8, 8, 6, 7, 1, 2, 0, 8},
    {2, 8, 16, 9, 9, 3, 1, 1, 4},  {2, 8, 16, 9, 9, 3, 1, 1, 8},   {1, 8, 8, 11, 11, 5, 4, 1, 8},
    {1, 8, 8, 2, 2, 3, 3, 1, 8},   {1, 3, 8, 2, 2, 3, 4, 1, 1},    {1, 3, 8, 1, 1, 3, 2, 1, 1},
};

// Leaves NaN in free memory that a kernel gets next: a kernel that reads memory before writing it gives NaN.
void spoil_free_memory() {
  std::vector<torch::Tensor> spoilt;
  for (const auto size : {300, 1000, 5000, 20000, 100000})
    for (int k = 0; k < 4; ++k) spoilt.push_back(torch::full({size}, std::numeric_limits<float>::quiet_NaN()));
}

// The output and the gradients with respect to input, weights and bias.
std::vector<torch::Tensor> passes(const Shape& s, torch::ScalarType type) {
  torch::manual_seed(1);
  spoil_free_memory();
  const auto leaf = [&](at::IntArrayRef sizes) {
    return torch::randint(-4, 5, sizes, torch::kFloat64).to(type).requires_grad_(true);
  };
  const auto x = leaf({s.batch, s.in, s.height, s.width}), weight = leaf({s.out, s.in / s.groups, s.kernel, s.kernel}),
             bias = leaf({s.out});
  const auto y = at::conv2d(x, weight, bias, s.stride, s.padding, 1, s.groups);
  const auto slope = torch::randint(-4, 5, y.sizes(), torch::kFloat64).to(type);
  auto all = torch::autograd::grad({y}, {x, weight, bias}, {slope});
  all.insert(all.begin(), y.detach());
  return all;
}

// Sums of whole numbers, which float32 holds exactly.
TEST(Kernels, AConvolutionAndItsGradientsAreTheExactOnes) {
  use_fast_kernels();
  for (const auto& shape : shapes) {
    const auto exact = passes(shape, torch::kFloat64), found = passes(shape, torch::kFloat32);
    for (std::size_t k = 0; k < exact.size(); ++k)
      EXPECT_TRUE(torch::equal(found[k].to(torch::kFloat64), exact[k])) << name_of(shape) << ": " << k;
  }
}

TEST(Kernels, AConvolutionInBf16IsTheExactOneRounded) {
  use_fast_kernels();
  for (const auto& shape : shapes) {
    const auto exact = passes(shape, torch::kFloat64), found = passes(shape, torch::kBFloat16);
    for (std::size_t k = 0; k < exact.size(); ++k)
      EXPECT_TRUE(torch::allclose(found[k].to(torch::kFloat64), exact[k], 0.02, 1)) << name_of(shape) << ": " << k;
  }
}

TEST(Kernels, APReluAndItsGradientsAreTheExactOnes) {
  use_fast_kernels();
  torch::manual_seed(1);
  for (const auto& sizes : std::vector<std::vector<std::int64_t>>{{3, 5, 7, 6}, {4, 9}, {2, 8, 1, 1}, {2, 6, 5}}) {
    for (const auto last : {false, true}) {
      if (last && sizes.size() != 4) continue;
      auto x = torch::randint(-8, 9, sizes, torch::kFloat32).div_(8),
           slopes = torch::rand({sizes[1]}).mul(64).round() / 64;
      if (last) x = x.contiguous(torch::MemoryFormat::ChannelsLast);
      const auto slope = torch::randint(-8, 9, sizes, torch::kFloat32);
      for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
        const auto results = [&](torch::ScalarType in) {
          const auto a = x.to(in).requires_grad_(true), b = slopes.to(in).requires_grad_(true);
          const auto y = at::prelu(a, b);
          {
            const c10::InferenceMode without_gradients;
            EXPECT_TRUE(torch::equal(at::prelu(x.to(in), slopes.to(in)), y.detach())) << in;
          }
          const auto found = torch::autograd::grad({y}, {a, b}, {slope.to(in)});
          return std::vector{y.detach(), found[0], found[1]};
        };
        const auto exact = results(torch::kFloat64), found = results(type);
        for (std::size_t k = 0; k < exact.size(); ++k)
          EXPECT_TRUE(torch::allclose(found[k].to(torch::kFloat64), exact[k], type == torch::kFloat32 ? 0 : 0.01,
                                      type == torch::kFloat32 ? 0 : 0.5))
              << sizes.size() << " axes, " << type << ": " << k;
      }
    }
  }
}

// LibTorch spreads them over threads.
TEST(Kernels, NoNumberDependsOnThreads) {
  use_fast_kernels();
  torch::manual_seed(1);
  const auto x = torch::randn({8, 32, 28, 28}).contiguous(torch::MemoryFormat::ChannelsLast), slopes = torch::rand(32);
  const auto weight = torch::randn({32, 1, 3, 3});
  const auto found = [&](int threads) {
    at::set_num_threads(threads);
    const auto a = x.clone().requires_grad_(true);
    return torch::autograd::grad({at::conv2d(at::prelu(a, slopes), weight, {}, 2, 1, 1, 32).square().sum()}, {a})[0];
  };
  const auto before = at::get_num_threads();
  const auto one = found(1), three = found(3);
  at::set_num_threads(before);
  EXPECT_TRUE(torch::equal(one, three));
}

}  // namespace
}  // namespace facepoison::testing
