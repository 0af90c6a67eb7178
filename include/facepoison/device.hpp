// Where and how numbers are computed: the device, the network's precision, the process's arithmetic.
#pragma once
#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "facepoison/json.hpp"

namespace facepoison {

// "auto" (the first CUDA device, else the CPU), or a device as LibTorch writes it: "cpu", "cuda", "cuda:1", "xpu", …
// Throws Error(usage) for another word, Error(device) where there is no device of that kind or number here.
torch::Device parse_device(const std::string& name);

std::vector<torch::Device> devices();  // that LibTorch sees: the CPU, then the others

// A device's kind and, of a CUDA device, its model: "cpu", "cuda, NVIDIA H100 80GB HBM3". Stands in cache keys, since
// two models round differently, and says nothing of which of several equal ones it was.
std::string device_name(torch::Device device);

// Calls work(first, count) for pieces of `rows` rows, and returns when all are done; what a piece throws comes out. On
// a CPU a piece has at most `piece` rows and is computed by one thread of a pool, whose LibTorch shares no work out, so
// that no number depends on how many threads there are; elsewhere all rows are one piece, in the calling thread. Called
// from within a piece, it runs all of them in that thread. Any thread may call it. Modes of LibTorch (no gradients,
// inference) are for `work` to set.
void in_pieces(torch::Device device, std::size_t rows, std::size_t piece,
               const std::function<void(std::size_t first, std::size_t count)>& work);

// What decides how a network rounds: LibTorch's version, the instruction set, the device. A part of cache keys.
Json arithmetic(torch::Device device);

// What the device is, for what runs leave behind: "<the CPU's model>, N threads", else device_name().
std::string machine(torch::Device device);

struct RunOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType precision = torch::kFloat32;  // or kBFloat16: of the network only
  bool trust_model = false;                       // models that the user named run though nobody pinned their hash
  bool tf32 = false;                              // CUDA's products of float32 in 10 bits of mantissa
  std::string elsewhere;                          // arithmetic of the workers that run all networks; empty: run here
};

// Of what runs the networks: this process's device, or other workers (`elsewhere`).
Json arithmetic(const RunOptions& options);
std::string device_name(const RunOptions& options);

// The options for a device (see parse_device) and a precision: "fp32", "tf32" (CUDA only) or "bf16". It also sets the
// process's arithmetic, so call it before other threads compute: TF32 off unless asked for, the same algorithm each
// time. Throws Error(usage | device).
RunOptions run_options(const std::string& device, const std::string& precision, bool trust_model);
std::string precision_name(const RunOptions& options);

}  // namespace facepoison
