// Where and how numbers are computed: the device, the network's precision, the process's arithmetic.
#pragma once
#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "facepoison/json.hpp"

namespace facepoison {

// Parses "auto" (the first CUDA device, else the CPU), or a device as LibTorch writes it: "cpu", "cuda", "cuda:1",
// "xpu", … Throws Error(usage) for another word, Error(device) if no such device is here.
torch::Device parse_device(const std::string& name);

std::vector<torch::Device> devices();  // that LibTorch sees: the CPU, then the others

// A device's kind and, for a CUDA device, its model: "cpu", "cuda, NVIDIA H100 80GB HBM3". Part of cache keys, since
// two models round differently. Several equal devices have the same name.
std::string device_name(torch::Device device);

// Calls work(first, count) for pieces of `rows` rows, and returns when all are done. Rethrows what a piece throws. On a
// CPU a piece has at most `piece` rows and is computed by one thread of a pool, in which LibTorch uses no other
// threads, so that no number depends on how many threads there are. On other devices all rows are one piece, in the
// calling thread. Called from within a piece, it runs all of them in that thread. Any thread may call it. `work` sets
// LibTorch's modes (no gradients, inference) itself.
void in_pieces(torch::Device device, std::size_t rows, std::size_t piece,
               const std::function<void(std::size_t first, std::size_t count)>& work);

// What decides how a network rounds: LibTorch's version, the instruction set, the device. A part of cache keys.
Json arithmetic(torch::Device device);

// A description of the device for run records: "<the CPU's model>, N threads", else device_name().
std::string machine(torch::Device device);

struct RunOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType precision = torch::kFloat32;  // or kBFloat16: of the network only
  bool trust_model = false;                       // runs models that the user named even without a known hash
  bool tf32 = false;                              // CUDA multiplies float32 with 10 bits of mantissa
  std::string elsewhere;                          // arithmetic of workers that run all networks; empty: this process
};

// Of the device that runs the networks: this process's, or other workers' (`elsewhere`).
Json arithmetic(const RunOptions& options);
std::string device_name(const RunOptions& options);

// The options for a device (see parse_device) and a precision: "fp32", "tf32" (CUDA only) or "bf16". It also sets the
// process's arithmetic, so call it before other threads compute: TF32 off unless asked for, the same algorithm each
// time. Throws Error(usage | device).
RunOptions run_options(const std::string& device, const std::string& precision, bool trust_model);
std::string precision_name(const RunOptions& options);

}  // namespace facepoison
