// .npy files: ours and NumPy's are read, and hostile ones are refused.
#include "facepoison/npy.hpp"

#include <cmath>
#include <cstring>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

std::string npy(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + data;
}

std::string npy_header(const std::string& type, const std::string& order, const std::string& shape) {
  return "{'descr': " + type + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <class Number>
std::string raw(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

torch::Tensor read(const std::string& bytes) {
  const TempFolder folder;
  write_file(folder / "m.npy", bytes);
  return read_npy(folder / "m.npy");
}

void expect_refused(const std::string& bytes, const std::string& part) {
  const auto [code, message] = caught([&] { read(bytes); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "m.npy") && contains(message, part)) << message;
}

TEST(Npy, RoundTripsAnyShape) {
  const TempFolder folder;
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{3, 5}, {7}, {2, 3, 4}, {0, 16}, {}, {1000, 1}}) {
    const auto matrix = torch::randn(shape);
    write_npy(folder / "m.npy", matrix);
    EXPECT_TRUE(torch::equal(read_npy(folder / "m.npy"), matrix)) << matrix.sizes();
  }
}

TEST(Npy, WritesRowsInOrderAsFloat32) {
  const TempFolder folder;
  write_npy(
      folder / "m.npy",
      torch::tensor({1., 2., 3., 4., 5., 6.}, torch::kFloat64).view({3, 2}).t());  // a view that is not contiguous
  const auto bytes = read_file(folder / "m.npy");
  EXPECT_EQ(bytes.substr(bytes.size() - 24), raw<float>({1, 3, 5, 2, 4, 6}));
  EXPECT_EQ((bytes.size() - 24) % 64, 0u);  // as the format asks
  EXPECT_EQ(bytes[bytes.size() - 25], '\n');
  EXPECT_TRUE(contains(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, ), }"));
}

TEST(Npy, ReadsNumpysFloat32AndFloat64) {
  const auto expected = torch::tensor({{1.5f, -2.f}, {3.f, 4.f}});
  for (const int version : {1, 2, 3}) {
    EXPECT_TRUE(
        torch::equal(read(npy(npy_header("'<f4'", "False", "(2, 2)"), raw<float>({1.5, -2, 3, 4}), version)), expected))
        << version;
    EXPECT_TRUE(torch::equal(read(npy(npy_header("'<f8'", "False", "(2, 2)"), raw<double>({1.5, -2, 3, 4}), version)),
                             expected))
        << version;
  }
  EXPECT_EQ(read(npy(npy_header("'<f8'", "False", "(2,)"), raw<double>({1, 2}))).scalar_type(), torch::kFloat32);
}

// A recursive reader would overflow the stack on these.
TEST(Npy, RefusesALongHeader) {
  const auto blanks = [](std::size_t count) { return "(" + std::string(count, ' ') + "1,)"; };
  EXPECT_EQ(read(npy(npy_header("'<f4'", "False", blanks(9000)), raw<float>({1}), 2)).size(0), 1);
  expect_refused(npy(npy_header("'<f4'", "False", blanks(60000)), raw<float>({1}), 2), "header of 600");
}

TEST(Npy, RefusesOtherTypes) {
  for (const char* type : {"'|O'", "'>f4'", "'<i8'", "'<f2'", "[('a', '<f4')]"})
    expect_refused(npy(npy_header(type, "False", "(1,)"), raw<float>({1})), "type");
}

TEST(Npy, RefusesFortranOrder) {
  expect_refused(npy(npy_header("'<f4'", "True", "(2, 2)"), raw<float>({1, 2, 3, 4})), "Fortran");
}

TEST(Npy, RefusesAnotherVersion) {
  for (const int version : {0, 4, 9})
    expect_refused(npy(npy_header("'<f4'", "False", "(1,)"), raw<float>({1}), version), "version");
}

TEST(Npy, RefusesASizeThatDoesNotFitItsShape) {
  expect_refused(npy(npy_header("'<f4'", "False", "(2, 2)"), raw<float>({1, 2, 3})), "12 bytes");
  expect_refused(npy(npy_header("'<f4'", "False", "(2, 2)"), raw<float>({1, 2, 3, 4, 5})), "20 bytes");
}

TEST(Npy, RefusesShapesThatOverflow) {
  for (const char* shape :
       {"(4294967296, 4294967296)", "(2, 9223372036854775807)", "(99999999999999999999,)", "(4611686018427387904,)",
        "(1073741824, 1073741824, 16)", "(0, 999999999999999, 999999999999999)"})
    expect_refused(npy(npy_header("'<f4'", "False", shape), ""), "shape");
  expect_refused(npy(npy_header("'<f4'", "False", "(-1,)"), ""), "shape");
}

TEST(Npy, RefusesNumbersThatFloat32CannotHold) {
  expect_refused(npy(npy_header("'<f8'", "False", "(3,)"), raw<double>({1, -1e300, 3})), "-1e+300");
  const auto read_back = read(npy(npy_header("'<f8'", "False", "(2,)"), raw<double>({3e38, INFINITY})));
  EXPECT_TRUE(std::isinf(read_back[1].item<float>())) << "as it was";
}

TEST(Npy, KeepsDoublesWhereAsked) {
  const TempFolder folder;
  write_file(folder / "m.npy", npy(npy_header("'<f8'", "False", "(2,)"), raw<double>({1e7 + 0.25, 1e7})));
  const auto wide = read_npy(folder / "m.npy", Precision::as_stored);
  EXPECT_EQ(wide.scalar_type(), torch::kFloat64);
  EXPECT_EQ((wide[0] - wide[1]).item<double>(), 0.25);
  write_npy(folder / "m.npy", torch::ones({2}));
  EXPECT_EQ(read_npy(folder / "m.npy", Precision::as_stored).scalar_type(), torch::kFloat32);
}

TEST(Npy, RefusesATruncatedFile) {
  const auto whole = npy(npy_header("'<f4'", "False", "(2, 2)"), raw<float>({1, 2, 3, 4}));
  for (std::size_t size = 0; size < whole.size(); ++size) expect_refused(whole.substr(0, size), "");
}

TEST(Npy, RefusesWhatIsNone) {
  expect_refused("", "not a .npy");
  expect_refused("PK\x03\x04 a zip, as .npz is", "not a .npy");
  EXPECT_EQ(caught([] { read_npy("/nowhere/m.npy"); }).code, Exit::input);
}

TEST(NpyDeathTest, RefusesAnEndlessHeader) {
  const auto bytes = npy(npy_header("'" + std::string(2'000'000, 'x') + "'", "False", "(1,)"), raw<float>({1}), 2);
  EXPECT_EXIT(
      {
        try {
          read(bytes);
        } catch (const Error& error) {
          _exit(error.code() == Exit::input ? 0 : 1);
        }
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace facepoison
