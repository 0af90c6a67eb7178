#include "facepoison/npy.hpp"

#include <bit>
#include <cstring>
#include <regex>

#include "facepoison/error.hpp"

static_assert(std::endian::native == std::endian::little, ".npy files are read and written little-endian");

namespace facepoison {

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
  const std::string bytes = read_file(path);
  const auto refuse = [&](const std::string& reason) { throw Error(Exit::input, concat(path.string(), ": ", reason)); };
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY") refuse("not a .npy file");
  const int version = bytes[6];
  if (version < 1 || version > 3) refuse(concat("version ", version, " of .npy; 1 to 3 are read"));
  std::uint32_t length = 0;
  const std::size_t start = version == 1 ? 10 : 12;
  std::memcpy(&length, bytes.data() + 8, version == 1 ? 2 : 4);
  if (length > bytes.size() - start) refuse("truncated header");
  if (length > 65536) refuse(concat("a header of ", length, " bytes"));  // NumPy's own limit is 10,000
  const std::string header = bytes.substr(start, length);
  std::smatch match;
  if (!std::regex_search(header, match, std::regex("'descr': '([^']*)'"))) refuse("no plain data type in the header");
  const std::string type = match[1];
  if (type != "<f4" && type != "<f8") refuse(concat("data type ", type, "; float32 or float64 is read"));
  if (header.find("'fortran_order': False") == std::string::npos) refuse("Fortran order; C order is read");
  if (!std::regex_search(header, match, std::regex("'shape': \\(([0-9, ]*)\\)"))) refuse("no shape in the header");
  std::vector<std::int64_t> shape;
  const std::string sizes = match[1];
  const std::size_t width = type == "<f4" ? 4 : 8;
  std::size_t total = width;
  const std::regex number("[0-9]+");
  for (std::sregex_iterator it(sizes.begin(), sizes.end(), number), end; it != end; ++it) {
    shape.push_back(it->str().size() > 15 ? -1 : std::stoll(it->str()));
    if (shape.back() < 0 || __builtin_mul_overflow(total, static_cast<std::size_t>(shape.back()), &total))
      refuse("an impossible shape");
  }
  if (total != bytes.size() - start - length)
    refuse(concat(bytes.size() - start - length, " bytes of data; its shape asks for ", total));
  auto tensor = torch::empty(shape, width == 4 ? torch::kFloat32 : torch::kFloat64);
  if (total > 0) std::memcpy(tensor.data_ptr(), bytes.data() + start + length, total);  // of nothing there is no place
  const auto numbers = tensor.to(torch::kFloat32);
  const auto lost = tensor.isfinite().logical_and(numbers.isfinite().logical_not());
  if (lost.any().item<bool>())
    refuse(concat("holds ", tensor.masked_select(lost)[0].item<double>(), ", which does not fit float32"));
  return precision == Precision::as_stored ? tensor : numbers;
}

}  // namespace facepoison
