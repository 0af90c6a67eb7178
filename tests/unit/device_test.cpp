// Which devices there are, and how one is named.
#include "facepoison/device.hpp"

#include <ATen/Parallel.h>

#include <atomic>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

TEST(Device, TheCpuIsAlwaysThere) {
  for (const auto* name : {"cpu", "cpu:0"}) EXPECT_EQ(parse_device(name), torch::Device(torch::kCPU)) << name;
  EXPECT_EQ(device_name(torch::kCPU), "cpu");
  EXPECT_EQ(caught([] { parse_device("cpu:1"); }).code, Exit::device);
}

TEST(Device, AllThatThereAreCanBeNamed) {
  const auto all = devices();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front(), torch::Device(torch::kCPU));
  for (const auto& device : all) EXPECT_EQ(parse_device(device.str()), device);
}

TEST(Device, AWordThatIsNoneIsAMistakeOfTheUsers) {
  for (const auto* name : {"", "gpu", "cudas", "meta", "cuda:", "cuda:x", "cuda:-1", "cuda:1:1", "cuda:1000", "auto:0"})
    EXPECT_EQ(caught([&] { parse_device(name); }).code, Exit::usage) << name;
}

TEST(Device, OneThatLibTorchKnowsAndDoesNotFindIsMissing) {
  for (const std::string name : {"xpu:99", "mps:99", "cuda:99", "cuda:300"}) {
    const auto error = caught([&] { parse_device(name); });
    EXPECT_EQ(error.code, Exit::device) << name;
    EXPECT_TRUE(contains(error.message, "LibTorch sees ")) << error.message;
  }
}

TEST(InPieces, RunsPiecesWithinPieces) {
  std::atomic<int> sum = 0;
  in_pieces(torch::kCPU, 8, 2, [&](std::size_t first, std::size_t count) {
    in_pieces(torch::kCPU, 5, 2, [&](std::size_t, std::size_t some) { sum += static_cast<int>(some * count); });
  });
  EXPECT_EQ(sum, 8 * 5);
}

TEST(InPieces, APieceIsComputedByOneThread) {
  const int before = at::get_num_threads();
  std::atomic<bool> shared = false;
  in_pieces(torch::kCPU, 16, 1, [&](std::size_t, std::size_t) { shared = shared || at::get_num_threads() > 1; });
  EXPECT_FALSE(shared);
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(InPieces, WhatAPieceThrowsComesOut) {
  const auto fail = [](std::size_t first, std::size_t) {
    if (first == 6) throw Error(Exit::input, "the fourth");
  };
  EXPECT_EQ(caught([&] { in_pieces(torch::kCPU, 10, 2, fail); }).message, "the fourth");
}

TEST(Device, ACacheKeyHasWhatTheEnvironmentSaysOfKernels) {
  const Json before = arithmetic(torch::kCPU);
  EXPECT_EQ(before.at("kernels").at("MKL_CBWR"), std::getenv("MKL_CBWR")) << "set before main()";
  for (const auto* name : {"MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
                           "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "NVIDIA_TF32_OVERRIDE"}) {
    const char* const set = std::getenv(name);
    const std::string own = set ? set : "";
    setenv(name, "another value", 1);
    EXPECT_NE(arithmetic(torch::kCPU), before) << name;
    set ? setenv(name, own.c_str(), 1) : unsetenv(name);
    EXPECT_EQ(arithmetic(torch::kCPU), before) << name;
  }
}

}  // namespace
}  // namespace facepoison::testing
