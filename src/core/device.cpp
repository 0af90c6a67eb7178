#include "facepoison/device.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "facepoison/error.hpp"
#include "facepoison/kernels.hpp"
#include "facepoison/version.hpp"
#include "facepoison/threads.hpp"

namespace facepoison {
namespace {

torch::DeviceType kind_of(const std::string& name, const std::string& word) {
  try {
    const auto kind = torch::Device(word).type();
    if (kind != torch::kMeta) return kind;  // its tensors hold no numbers
  } catch (const c10::Error&) {
  }
  throw Error(Exit::usage,
              concat("device \"", name, "\": expected auto, cpu, cuda, cuda:N or another device that LibTorch knows"));
}

int count_of(torch::DeviceType kind) {
  if (kind == torch::kCPU) return 1;
  return c10::impl::hasDeviceGuardImpl(kind) ? c10::impl::getDeviceGuardImpl(kind)->deviceCount() : 0;
}

// The model of a GPU, from CUDA's driver, which numbers devices as LibTorch does; "" if it is unknown. LibTorch gives
// it only to programs built with CUDA's headers.
std::string cuda_model(int index) {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY);
  if (!driver) return "";
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto get_name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  int device = 0;
  char name[256] = "";
  const bool told =
      init && get && get_name && init(0) == 0 && get(&device, index) == 0 && get_name(name, sizeof name, device) == 0;
  return told ? name : "";
}

// The CPU's model by /proc/cpuinfo, or "".
std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (const auto colon = line.find(": "); line.starts_with("model name") && colon != std::string::npos)
      return line.substr(colon + 2);
  return "";
}

// Environment variables that make libraries choose kernels that round differently. ATEN_CPU_CAPABILITY is in
// "instructions".
constexpr const char* kernel_variables[] = {"MKL_CBWR",
                                            "MKL_ENABLE_INSTRUCTIONS",
                                            "ONEDNN_MAX_CPU_ISA",
                                            "DNNL_MAX_CPU_ISA",
                                            "ONEDNN_DEFAULT_FPMATH_MODE",
                                            "DNNL_DEFAULT_FPMATH_MODE",
                                            "NVIDIA_TF32_OVERRIDE"};

// Those of them that are set.
Json kernel_settings() {
  Json set = Json::object();
  for (const auto* name : kernel_variables)
    if (const char* value = std::getenv(name)) set[name] = value;
  return set;
}

thread_local bool is_piece_thread = false;

// As many threads as LibTorch would use. None of them starts further threads.
struct PieceThreads {
  int count = at::get_num_threads();
  ThreadPool pool{static_cast<std::size_t>(count), [] {
                    is_piece_thread = true;
                    at::get_num_threads();  // this first call sets up the thread, and would undo the next line
                    at::set_num_threads(1);
                  }};
  PieceThreads() { at::set_num_threads(count); }  // for later callers
};

}  // namespace

torch::Device parse_device(const std::string& name) {
  if (name == "auto") return count_of(torch::kCUDA) > 0 ? torch::Device(torch::kCUDA, 0) : torch::kCPU;
  const auto colon = name.find(':');
  const auto kind = kind_of(name, name.substr(0, colon));
  const auto digits = colon == std::string::npos ? "0" : name.substr(colon + 1);
  if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos)
    throw Error(Exit::usage, concat("device \"", name, "\": expected a number after the colon"));
  const int index = std::stoi(digits), count = count_of(kind);
  if (index >= count)
    throw Error(Exit::device, concat("device ", name, ": LibTorch sees ", count, " ", c10::DeviceTypeName(kind),
                                     " devices", count == 0 ? " (a build without support for it, or no driver)" : ""));
  return kind == torch::kCPU ? torch::kCPU : torch::Device(kind, static_cast<c10::DeviceIndex>(index));
}

std::vector<torch::Device> devices() {
  std::vector<torch::Device> all = {torch::kCPU};
  for (int number = 0; number < static_cast<int>(torch::DeviceType::COMPILE_TIME_MAX_DEVICE_TYPES); ++number) {
    const auto kind = static_cast<torch::DeviceType>(number);
    if (kind == torch::kCPU || kind == torch::kMeta) continue;
    for (int index = 0; index < count_of(kind); ++index) all.emplace_back(kind, static_cast<c10::DeviceIndex>(index));
  }
  return all;
}

std::string device_name(torch::Device device) {
  const auto kind = c10::DeviceTypeName(device.type(), true);
  const auto model = device.is_cuda() ? cuda_model(device.index()) : "";
  return model.empty() ? kind : concat(kind, ", ", model);
}

void in_pieces(torch::Device device, std::size_t rows, std::size_t piece,
               const std::function<void(std::size_t, std::size_t)>& work) {
  if (!device.is_cpu()) return work(0, rows);
  std::atomic<std::size_t> next = 0;
  const auto take_pieces = [&] {
    for (std::size_t first; (first = piece * next++) < rows;) work(first, std::min(piece, rows - first));
  };
  if (is_piece_thread) return take_pieces();  // waiting here for its own pool could take for ever
  static PieceThreads threads;
  std::vector<std::future<void>> done;
  for (std::size_t k = 0; k < threads.pool.size(); ++k) done.push_back(threads.pool.start(take_pieces));
  wait_for_all(done);
}

Json arithmetic(torch::Device device) {
  return {{"libtorch", libtorch_version()},
          {"instructions", at::get_cpu_capability()},
          {"kernels", kernel_settings()},
          {"own_kernels", kernels_version},
          {"device", device_name(device)}};
}

Json arithmetic(const RunOptions& options) {
  return options.elsewhere.empty() ? arithmetic(options.device) : parse_json(options.elsewhere, "a worker's note");
}

std::string device_name(const RunOptions& options) {
  return options.elsewhere.empty() ? device_name(options.device) : arithmetic(options).at("device").get<std::string>();
}

std::string machine(torch::Device device) {
  if (!device.is_cpu()) return device_name(device);
  const auto model = cpu_model();
  return concat(model.empty() ? "a CPU of unknown model" : model, ", ", at::get_num_threads(), " threads");
}

RunOptions run_options(const std::string& device, const std::string& precision, bool trust_model) {
  if (precision != "fp32" && precision != "tf32" && precision != "bf16")
    throw Error(Exit::usage, concat("precision \"", precision, "\": expected fp32, tf32 or bf16"));
  RunOptions options{parse_device(device), precision == "bf16" ? torch::kBFloat16 : torch::kFloat32, trust_model,
                     precision == "tf32"};
  if (options.tf32 && !options.device.is_cuda())
    throw Error(Exit::usage, "precision tf32: expected fp32 or bf16, since the device is not a CUDA device");
  at::globalContext().setAllowTF32CuDNN(options.tf32);
  at::globalContext().setAllowTF32CuBLAS(options.tf32);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
  return options;
}

std::string precision_name(const RunOptions& options) {
  return options.tf32 ? "tf32" : options.precision == torch::kBFloat16 ? "bf16" : "fp32";
}

}  // namespace facepoison
