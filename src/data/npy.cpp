#include "facepoison/npy.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "facepoison/error.hpp"

static_assert(std::endian::native == std::endian::little, ".npy files are read and written little-endian");

namespace facepoison {
namespace {

constexpr std::size_t longest_header = 10000;                 // bytes; NumPy's own limit
constexpr std::int64_t largest_size = 1'000'000'000'000'000;  // of a dimension

// The part of a header between `start` and the next `end`. NumPy writes headers in one form: "{'descr': '<f4', …}".
std::optional<std::string_view> between(std::string_view header, std::string_view start, char end) {
  const auto at = header.find(start);
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + start.size());
  const auto stop = header.find(end);
  return stop == std::string_view::npos ? std::nullopt : std::optional(header.substr(0, stop));
}

// The numbers of "2, 3" or "2,"; none for a text of another form or a number that is too large.
std::optional<std::vector<std::int64_t>> parse_shape(std::string_view text) {
  std::vector<std::int64_t> shape;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return shape;
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size < 0 || size > largest_size) return {};
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (!text.empty() && text.front() != ',') return {};
    if (!text.empty()) text.remove_prefix(1);
  }
}

// The numbers of a file's bytes from `start` on. Uses the file's memory, unless it is not aligned.
torch::Tensor tensor_of(std::shared_ptr<const std::string> file, std::size_t start,
                        const std::vector<std::int64_t>& shape, torch::ScalarType type) {
  auto tensor = torch::empty({0}, type);
  if (std::count(shape.begin(), shape.end(), 0) > 0) return tensor.view(shape);
  auto* numbers = const_cast<char*>(file->data()) + start;
  if (reinterpret_cast<std::uintptr_t>(numbers) % tensor.element_size() == 0)
    return torch::from_blob(numbers, shape, [file](void*) {}, type);
  tensor = torch::empty(shape, type);
  std::memcpy(tensor.data_ptr(), numbers, tensor.nbytes());
  return tensor;
}

}  // namespace

std::string npy_bytes(const torch::Tensor& matrix) {
  const auto data = matrix.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  std::string shape;
  for (const auto size : data.sizes()) shape += std::to_string(size) + ", ";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');  // the data starts at a multiple of 64
  header += '\n';
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(static_cast<const char*>(data.data_ptr()), static_cast<std::size_t>(data.numel()) * sizeof(float));
  return bytes;
}

void write_npy(const fs::path& path, const torch::Tensor& matrix) { write_file(path, npy_bytes(matrix)); }

torch::Tensor read_npy(const fs::path& path, Precision precision) {
  const auto file = std::make_shared<const std::string>(read_file(path));
  const std::string& bytes = *file;
  const auto refuse = [&](const std::string& reason) { throw Error(Exit::input, concat(path.string(), ": ", reason)); };
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY") refuse("not a .npy file");
  const int version = bytes[6];
  if (version < 1 || version > 3) refuse(concat("version ", version, " of .npy; expected 1 to 3"));
  std::uint32_t length = 0;
  const std::size_t start = version == 1 ? 10 : 12;
  std::memcpy(&length, bytes.data() + 8, version == 1 ? 2 : 4);
  if (length > bytes.size() - start) refuse("truncated header");
  if (length > longest_header) refuse(concat("a header of ", length, " bytes; at most ", longest_header, " are read"));
  const auto header = std::string_view(bytes).substr(start, length);
  const auto type = between(header, "'descr': '", '\''), sizes = between(header, "'shape': (", ')');
  if (!type) refuse("no plain data type in the header");
  if (type != "<f4" && type != "<f8") refuse(concat("data type ", *type, "; expected float32 or float64"));
  if (header.find("'fortran_order': False") == std::string_view::npos) refuse("Fortran order; expected C order");
  if (!sizes) refuse("no shape in the header");
  const auto shape = parse_shape(*sizes);
  if (!shape) refuse(concat("an impossible shape: (", *sizes, ")"));
  const std::size_t width = type == "<f4" ? 4 : 8;
  std::size_t total = width;  // as if no size were 0: a tensor's strides are products of the others
  for (const auto size : *shape)
    if (__builtin_mul_overflow(total, std::max<std::size_t>(size, 1), &total)) refuse("an impossible shape");
  if (std::count(shape->begin(), shape->end(), 0) > 0) total = 0;
  if (total != bytes.size() - start - length)
    refuse(concat(bytes.size() - start - length, " bytes of data; its shape needs ", total));
  const auto tensor = tensor_of(file, start + length, *shape, width == 4 ? torch::kFloat32 : torch::kFloat64);
  if (width == 4) return tensor;
  const auto numbers = tensor.to(torch::kFloat32);
  const auto lost = tensor.isfinite().logical_and(numbers.isfinite().logical_not());
  if (lost.any().item<bool>())
    refuse(concat("has ", tensor.masked_select(lost)[0].item<double>(), ", which is out of float32's range"));
  return precision == Precision::as_stored ? tensor : numbers;
}

}  // namespace facepoison
