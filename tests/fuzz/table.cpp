#include "facepoison/table.hpp"
#include "fuzz.hpp"

// A table that was read is printed in every format, and its CSV must be read as the same table, except a second
// byte-order mark and an empty line, which is not a row.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) {
    const Table table = parse_csv(std::string(bytes), "input");
    for (const auto format : {Format::markdown, Format::json, Format::latex}) print(table, format);
    if (table.columns.size() == 1 || table.columns[0].starts_with("\xef\xbb\xbf")) return;
    const Table again = parse_csv(print(table, Format::csv), "printed");
    if (again.columns != table.columns || again.rows != table.rows) std::abort();
  });
}
