#include "facepoison/digests.hpp"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>
#include <sstream>
#include <utility>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"

namespace facepoison {
namespace {

// A file's size, times of change and inode: an edit changes one of these.
std::string stat_of(const fs::path& path) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return "";
  std::string fields;  // without concat(), which is slow for tens of thousands of files
  for (const auto number : {found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ctim.tv_sec,
                            found.st_ctim.tv_nsec, static_cast<std::int64_t>(found.st_ino)})
    fields += std::to_string(number) + ' ';
  return fields;
}

// A file's path relative to the folder, or all of it if the file is elsewhere.
std::string name_below(const fs::path& file, const fs::path& folder) {
  const auto start = folder.native() + '/';
  return file.native().starts_with(start) ? file.native().substr(start.size()) : file.native();
}

// A name in one line, as sha256sum writes it: a backslash and an end of line are two characters each.
std::string escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out;
}

std::string unescaped(const std::string& name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool is_pair = name[i] == '\\' && i + 1 < name.size();
    if (is_pair) ++i;
    out += is_pair && name[i] == 'n' ? '\n' : name[i];
  }
  return out;
}

std::string hex_digest(const EVP_MD* algorithm, const std::function<void(EVP_MD_CTX*)>& feed) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestInit_ex(context.get(), algorithm, nullptr);
  feed(context.get());
  EVP_DigestFinal_ex(context.get(), digest, &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string digest_of(const EVP_MD* algorithm, std::string_view bytes) {
  return hex_digest(algorithm, [&](EVP_MD_CTX* context) { EVP_DigestUpdate(context, bytes.data(), bytes.size()); });
}

}  // namespace

std::string sha256(std::string_view bytes) { return digest_of(EVP_sha256(), bytes); }
std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the zero that OpenSSL writes at its end
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

std::string sha1(std::string_view bytes) { return digest_of(EVP_sha1(), bytes); }

bool same_digest(std::string_view a, std::string_view b) {
  const auto same = [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::string sha256_of_file(const fs::path& path) {
  return hex_digest(EVP_sha256(), [&](EVP_MD_CTX* context) {
    read_in_parts(path, [&](std::string_view part) { EVP_DigestUpdate(context, part.data(), part.size()); });
  });
}

// A record's line: the digest, the result of stat_of() then, the file's name.
DigestRecord::DigestRecord(fs::path record, fs::path root) : record_(std::move(record)), root_(std::move(root)) {
  std::istringstream lines;
  try {
    lines.str(read_file(record_));
  } catch (const Error&) {  // there is none, or it cannot be read
  }
  for (std::string line; std::getline(lines, line);) {
    const auto looks = line.find(' ') + 1, name = line.find('\t', looks) + 1;  // 0: a line that was cut short
    if (looks > 0 && name > 0)
      known_[line.substr(name)] = {line.substr(looks, name - looks - 1), line.substr(0, looks - 1)};
  }
}

std::string DigestRecord::digest(const fs::path& file) {
  const std::string name = escaped(name_below(file, root_)),
                    looks = stat_of(file);  // before the digest is taken: a later change shows next time
  auto& known = known_[name];
  if (!looks.empty() && known.stat == looks) return known.digest;
  try {
    known = {looks, sha256_of_file(file)};
    is_new_ = true;
  } catch (const Error&) {
    known = {};
  }
  return known.digest;
}

void DigestRecord::save() {
  if (!std::exchange(is_new_, false)) return;
  std::string lines;
  for (const auto& [name, known] : known_)
    if (!known.digest.empty()) lines += concat(known.digest, " ", known.stat, "\t", name, "\n");
  try {
    write_unflushed(record_, lines);
  } catch (const Error& error) {
    log_debug(concat("digests will be computed again next time: ", error.what()));
  }
}

const Sealed* first_altered(const std::vector<Sealed>& files, DigestRecord& record, bool may_stop) {
  for (const auto& file : files) {
    if (may_stop) stop_if_interrupted();
    const auto found = record.digest(file.path);
    if (found.empty() || !same_digest(found, file.sha256)) return &file;
  }
  return nullptr;
}

std::string digest_line(const std::string& name, const std::string& sha256) {
  const auto escaped_name = escaped(name);
  return concat(escaped_name == name ? "" : "\\", sha256, "  ", escaped_name);
}

std::vector<Sealed> parse_digests(const std::string& lines, const fs::path& folder) {
  constexpr std::size_t digits = 64;
  std::vector<Sealed> files;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    const bool is_escaped = line.starts_with('\\');
    if (is_escaped) line.erase(0, 1);
    if (line.size() <= digits + 2 || line.compare(digits, 2, "  ") != 0)
      throw Error(Exit::input, concat(folder.string(), ": \"", line, "\" is not a digest, two spaces and a name"));
    const auto name = line.substr(digits + 2);
    files.push_back({folder / (is_escaped ? unescaped(name) : name), line.substr(0, digits)});
  }
  return files;
}

}  // namespace facepoison
