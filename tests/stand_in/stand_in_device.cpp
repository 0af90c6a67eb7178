// A device on the host, to find code that forgets a device without a GPU: "standin", LibTorch's PrivateUse1.
//
// It is as strict as CUDA, or stricter:
// - A tensor's address is not host memory: reading it from C++ (data_ptr, accessor) is a segmentation fault.
// - A tensor of another device among an operator's arguments is an error, except for numbers (0-dim tensors), lists of
//   indices, and copies, as in CUDA.
// Its numbers are the CPU's: every operator copies its arguments to the CPU, runs there, and copies the results back.
//
// Loaded into a process (linked, or by LD_PRELOAD into the program under test), it registers itself. Found on the way:
// - The back end's name must be registered before its hooks, or backward() finds no accelerator.
// - Convolutions never reach the fallback: they go through convolution_overrideable and its backward.
// - set_data() refuses to turn a CPU tensor into a PrivateUse1 tensor, because their kinds differ; Module::to() and
//   optimisers' states meet that.
// - Views made by the fallback would be copies, so each operator of a view has an implementation here. So has batch
//   norm: it changes its running statistics, which its schema does not say, and the fallback would change copies.
// - Autocast has to be filled by each back end; this one has none, so that training in bf16 does not run on it.
// - The fallback resizes the tensor that it writes to; one of the right size must stay, as it may be strided.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace {

constexpr auto kind = c10::DeviceType::PrivateUse1;
const c10::Device device(kind, 0);

// A storage's memory. LibTorch sees another address for it, which must not be read or written.
struct Memory {
  explicit Memory(std::size_t size) : bytes(std::make_unique<std::byte[]>(size)), size(size) {
    address = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(address != MAP_FAILED, "the stand-in device has no address left for ", size, " bytes");
  }
  ~Memory() { munmap(address, size); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::unique_ptr<std::byte[]> bytes;
  std::size_t size;
  void* address;
};

void release(void* memory) { delete static_cast<Memory*>(memory); }

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t size) override {
    if (size == 0) return {nullptr, device};
    auto* const memory = new Memory(size);
    return {memory->address, memory, &release, device};
  }
  void copy_data(void*, const void*, std::size_t) const override {
    TORCH_CHECK(false, "the stand-in device's addresses are no memory");
  }
} allocator;
REGISTER_ALLOCATOR(kind, &allocator);

// One device, one stream. noexcept, since in LibTorch 2.6 some of these are.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const noexcept override { return kind; }
  c10::Device exchangeDevice(c10::Device) const noexcept override { return device; }
  c10::Device getDevice() const noexcept override { return device; }
  void setDevice(c10::Device) const noexcept override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isAvailable() const { return true; }  // of later LibTorches' interface
};

const bool registered = [] {
  c10::register_privateuse1_backend("standin");
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

bool is_here(const at::Tensor& tensor) { return tensor.device().type() == kind; }

void require_here(const at::Tensor& tensor, const std::string& name) {
  TORCH_CHECK(is_here(tensor), name, ": expected all tensors on the stand-in device, found one on ", tensor.device());
}

// The same memory, as the CPU sees it.
at::Tensor on_host(const at::Tensor& tensor) {
  auto* const memory = static_cast<Memory*>(tensor.storage().data_ptr().get_context());
  if (!memory) return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU));
  return at::for_blob(memory->bytes.get(), tensor.sizes())
      .strides(tensor.strides())
      .storage_offset(tensor.storage_offset())
      .options(tensor.options().device(at::kCPU))
      .make_tensor();
}

using Flag = std::optional<bool>;
using Type = std::optional<at::ScalarType>;
constexpr c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);

at::Tensor empty(at::IntArrayRef size, Type type, std::optional<at::Layout>, std::optional<at::Device>, Flag,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator, keys, c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef strides, Type type, std::optional<at::Layout>,
                         std::optional<at::Device>, Flag) {
  return at::detail::empty_strided_generic(size, strides, &allocator, keys, c10::dtype_or_default(type));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  auto target = is_here(to) ? on_host(to) : to;
  target.copy_(is_here(from) ? on_host(from) : from);
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Scalar local_scalar_dense(const at::Tensor& tensor) { return on_host(tensor).item(); }

at::Tensor& set_storage(at::Tensor& tensor, at::Storage storage, std::int64_t offset, at::IntArrayRef size,
                        at::IntArrayRef strides) {
  tensor.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(size, strides, offset);
  return tensor;
}

// A tensor of that size keeps its strides and contents.
const at::Tensor& resize(const at::Tensor& tensor, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  if (tensor.sizes() == size) return tensor;
  auto* const impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  auto storage = tensor.storage();
  const auto needed = static_cast<std::size_t>(impl->storage_offset() + impl->numel()) * tensor.dtype().itemsize();
  if (storage.nbytes() >= needed) return tensor;
  auto larger = allocator.allocate(needed);
  if (auto* const old = static_cast<Memory*>(storage.data_ptr().get_context()))
    std::memcpy(static_cast<Memory*>(larger.get_context())->bytes.get(), old->bytes.get(), old->size);
  storage.set_data_ptr_noswap(std::move(larger));
  storage.set_nbytes(needed);
  return tensor;
}

// Another look at the same storage.
at::Tensor strided_view(const at::Tensor& tensor, at::IntArrayRef size, at::IntArrayRef strides,
                        std::optional<std::int64_t> offset) {
  auto view = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(tensor.storage()),
                                                       tensor.key_set(), tensor.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(size, strides, offset.value_or(tensor.storage_offset()));
  return view;
}

at::Tensor reshape_alias(const at::Tensor& tensor, at::IntArrayRef size, at::IntArrayRef strides) {
  return strided_view(tensor, size, strides, std::nullopt);
}

at::Tensor view(const at::Tensor& tensor, at::IntArrayRef size) {
  const auto viewed = on_host(tensor).view(size);  // `size` may have a −1
  return reshape_alias(tensor, viewed.sizes(), viewed.strides());
}

at::Tensor unfold(const at::Tensor& tensor, std::int64_t axis, std::int64_t size, std::int64_t step) {
  const auto unfolded = on_host(tensor).unfold(axis, size, step);
  return reshape_alias(tensor, unfolded.sizes(), unfolded.strides());
}

// An argument of one of the operators below, as the CPU sees it.
using Argument = std::optional<at::Tensor>;

Argument on_host(const Argument& tensor, const std::string& name) {
  if (!tensor || !tensor->defined()) return std::nullopt;
  require_here(*tensor, name);
  return on_host(*tensor);
}

at::Tensor here(const at::Tensor& result) { return result.defined() ? result.to(device) : result; }

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

Three here(const Three& results) {
  return {here(std::get<0>(results)), here(std::get<1>(results)), here(std::get<2>(results))};
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const Argument& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, std::int64_t groups) {
  const std::string name = "convolution";
  return here(at::convolution(*on_host(input, name), *on_host(weight, name), on_host(bias, name), stride, padding,
                              dilation, transposed, output_padding, groups));
}

Three convolution_backward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                           at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                           at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  const std::string name = "convolution_backward";
  const std::int64_t of_bias[] = {transposed ? weight.size(1) * groups : weight.size(0)};
  return here(at::convolution_backward(*on_host(gradient, name), *on_host(input, name), *on_host(weight, name),
                                       at::OptionalIntArrayRef(of_bias), stride, padding, dilation, transposed,
                                       output_padding, groups, wanted));
}

// It changes the running mean and variance.
Three batch_norm(const at::Tensor& input, const Argument& weight, const Argument& bias, const Argument& mean,
                 const Argument& variance, bool training, double momentum, double eps) {
  const std::string name = "batch_norm";
  return here(at::native_batch_norm(*on_host(input, name), on_host(weight, name), on_host(bias, name),
                                    on_host(mean, name), on_host(variance, name), training, momentum, eps));
}

void require_all_here(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  const auto require = [&](const at::Tensor& tensor) {
    if (tensor.defined() && tensor.dim() > 0) require_here(tensor, op.schema().name());
  };
  for (const auto& value : torch::jit::last(stack, op.schema().arguments().size())) {
    if (value.isTensor()) require(value.toTensor());
    if (value.isTensorList())
      for (const at::Tensor& tensor : value.toTensorList()) require(tensor);
  }
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  require_all_here(op, *stack);
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  library.impl("_local_scalar_dense", local_scalar_dense);
  library.impl("set_.source_Storage_storage_offset", set_storage);
  library.impl("resize_", resize);
  library.impl("as_strided", strided_view);
  library.impl("_reshape_alias", reshape_alias);
  library.impl("view", view);
  library.impl("unfold", unfold);
  library.impl("native_batch_norm", batch_norm);
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

}  // namespace
