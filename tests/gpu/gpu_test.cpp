// One code path for both kinds of device: on a GPU the commands give the CPU's results, except for rounding.
#include <torch/cuda.h>

#include "facepoison/npy.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (torch::cuda::device_count() == 0) GTEST_SKIP() << "LibTorch sees no CUDA device here";
    prepare_drawn(folder_.path, 6, 8);
    write_tiny_extractor(folder_.path);
  }
  void on_both(const std::string& command) {
    for (const std::string device : {"cpu", "cuda"}) {
      const auto run = run_binary(concat(command, device, " --device ", device, " --store store"), folder_.path);
      ASSERT_EQ(run.code, 0) << run.err;
    }
  }
  TempFolder folder_;
};

TEST_F(Gpu, SaysItsModel) {
  const auto name = device_name(parse_device("cuda"));
  EXPECT_TRUE(name.starts_with("cuda, ")) << name;
}

TEST_F(Gpu, EmbedsAsTheCpuDoes) {
  for (const std::string device : {"cpu", "cuda"})
    ASSERT_EQ(run_binary(concat("embed dataset -e ./tiny.json -o ", device, ".npy --device ", device, " --store store"),
                         folder_.path)
                  .code,
              0);
  const auto cpu = read_npy(folder_ / "cpu.npy"), cuda = read_npy(folder_ / "cuda.npy");
  EXPECT_LT((cpu - cuda).norm().item<double>(), 1e-5 * cpu.norm().item<double>());
}

TEST_F(Gpu, PerturbsAsTheCpuDoes) {
  on_both("perturb dataset --attack pgd --surrogates ./tiny.json -o ");
  const Table cpu = read_csv(folder_ / "cpu/budget.csv"), cuda = read_csv(folder_ / "cuda/budget.csv");
  ASSERT_EQ(cpu.rows.size(), cuda.rows.size());
  EXPECT_FALSE(cpu.rows.empty());
  for (std::size_t r = 0; r < cpu.rows.size(); ++r)
    EXPECT_NEAR(as_number(cpu.rows[r][7], "dssim"), as_number(cuda.rows[r][7], "dssim"), 0.01) << text(cpu.rows[r][0]);
}

TEST_F(Gpu, TrainsAsTheCpuDoes) {
  for (const std::string device : {"cpu", "cuda"}) {
    const Json config = {{"start", "./tiny.json"},
                         {"dataset", "dataset"},
                         {"batch", {{"people", 4}, {"photos", 2}}},
                         {"steps", 10},
                         {"loss", {{"kind", "arcface"}}}};
    write_file(folder_ / (device + ".json"), config.dump());
    const auto run =
        run_binary(concat("train --config ", device, ".json -o out --store store --device ", device), folder_.path);
    ASSERT_EQ(run.code, 0) << run.err;
  }
  const Table cpu = read_csv(folder_ / "out/training/cpu.csv"), cuda = read_csv(folder_ / "out/training/cuda.csv");
  EXPECT_NEAR(as_number(cpu.rows[0][1], "loss"), as_number(cuda.rows[0][1], "loss"), 0.01);
}

TEST(E2eDevice, WithoutOneTheExitCodeSaysSo) {
  if (torch::cuda::device_count() > 0) GTEST_SKIP() << "there is a CUDA device here";
  const TempFolder folder;
  prepare_drawn(folder.path, 3, 4);
  write_tiny_extractor(folder.path);
  write_file(folder / "x.json", Json{{"start", "./tiny.json"},
                                     {"dataset", "dataset"},
                                     {"batch", {{"people", 2}, {"photos", 2}}},
                                     {"steps", 2},
                                     {"loss", {{"kind", "arcface"}}}}
                                    .dump());
  for (const std::string command :
       {"embed dataset -e ./tiny.json -o x.npy --device cuda", "perturb dataset --attack noise -o out --device cuda:0",
        "train --config x.json -o out --device cuda"}) {
    const auto run = run_binary(command + " --store store", folder.path);
    EXPECT_EQ(run.code, 8) << command;
    EXPECT_TRUE(contains(run.err, "LibTorch sees 0 CUDA devices")) << run.err;
  }
}

}  // namespace
}  // namespace facepoison::testing
