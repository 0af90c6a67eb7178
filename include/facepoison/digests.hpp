// SHA-256 digests of bytes and files, kept between runs, and lists of them.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

// SHA-256 in lower-case hexadecimal. Throws Error(input) for a file that cannot be read.
std::string sha256(std::string_view bytes);
std::string sha256_of_file(const fs::path& path);
// Whether two hexadecimal digests are equal, ignoring case.
bool same_digest(std::string_view a, std::string_view b);
// Bytes as base64, in one line.
std::string base64(std::string_view bytes);
// FaceScrub's downloader names a photo by the SHA-1 of its address.
std::string sha1(std::string_view bytes);

// Keeps digests of files from one run to the next, in the file `record`: each with the file's size, times of change and
// inode at that time. A file is not read again while these are unchanged. Not thread-safe.
class DigestRecord {
 public:
  // Reads the record, if there is one. Names in it are relative to `root`.
  DigestRecord(fs::path record, fs::path root);
  // The file's SHA-256, in lower-case hexadecimal; "" for a file that is missing or cannot be read.
  std::string digest(const fs::path& file);
  // Writes the record, if a digest was taken and the record can be written.
  void save();

 private:
  struct Known {
    std::string stat, digest;  // `stat`: the file's when the digest was taken, see stat_of()
  };
  fs::path record_, root_;
  std::map<std::string, Known> known_;  // by name
  bool is_new_ = false;                 // was a digest taken?
};

// A file, and the digest that it should have.
struct Sealed {
  fs::path path;
  std::string sha256;
};

// Returns the first of the files (or none) that is missing or has another digest. With `may_stop` it calls
// stop_if_interrupted() before each file. It does not save the record.
const Sealed* first_altered(const std::vector<Sealed>& files, DigestRecord& record, bool may_stop = false);

// One line of a list of digests, without its end, as sha256sum writes it; and the lines of such a list, with names
// below `folder`. Throws Error(input) for a line of another form.
std::string digest_line(const std::string& name, const std::string& sha256);
std::vector<Sealed> parse_digests(const std::string& lines, const fs::path& folder);

}  // namespace facepoison
