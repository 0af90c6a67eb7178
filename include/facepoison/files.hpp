// Files that are whole or absent, and their hashes.
#pragma once
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace facepoison {

namespace fs = std::filesystem;

// The file's bytes, or a pipe's to its end. Throws Error(input) when it is missing, unreadable or larger than
// `max_bytes`.
std::string read_file(const fs::path& path, std::size_t max_bytes = std::size_t{1} << 32);

// The text without the byte-order mark that spreadsheets and Windows' editors put before UTF-8.
std::string_view without_mark(std::string_view text);

// Writes through a temporary file in the same folder, fsync and rename, creating the folder where needed: readers
// see the old bytes or the new ones, never a part. A link stays one, and its target is written; a device or a FIFO gets
// the bytes. Throws Error(resource) when the disk is full, else Error(failure).
void write_file(const fs::path& path, std::string_view bytes);

// Throws as write_file() would where it could not write `path` now; asked before the work whose result goes there.
// Tries it with another name beside it, in the nearest folder that is there, and leaves nothing behind.
void check_writable(const fs::path& path);

// As write_file() to a plain name, but left to the system to flush: for what is made again where a crash of the machine
// loses it.
void write_unflushed(const fs::path& path, std::string_view bytes);

// Makes `to` a file of its own with the bytes of `from`, which share the disk's blocks until one is written where the
// file system can do that. Replaces `to`, whole or not at all where only the process dies. `flush`: also where the
// machine does. Throws as write_file().
void copy_to(const fs::path& from, const fs::path& to, bool flush = false);

// A new file in `folder`, made where needed, open for writing and gone when it is closed.
int nameless_file(const fs::path& folder);
// Appends; `path` is what messages call the file. Throws as write_file().
void write_to(int file, std::string_view bytes, const fs::path& path);

// A name in `folder` that nobody else uses: `.tmp-` and 16 random hexadecimal digits.
fs::path temporary_name(const fs::path& folder);

// What killed processes left in a folder of files that write_file() was writing: whoever still writes one keeps it
// locked. Writing does it too; asked again for the same folder this does nothing.
void remove_left_over(const fs::path& folder);

// Does `path` lie in `root`, links followed? A link that cannot be followed does not.
bool is_below(const fs::path& path, const fs::path& root);

// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view bytes);
std::string sha256_of_file(const fs::path& path);
// Are two hexadecimal digests one? The case of letters does not count.
bool same_digest(std::string_view a, std::string_view b);
// FaceScrub's downloader names a photo by the SHA-1 of its address.
std::string sha1(std::string_view bytes);

// Keeps digests of files from one run to the next, in the file `record`: each with its file's size, times of change and
// inode when the digest was taken. A file of which these are the same is not read again.
class DigestRecord {
 public:
  // Reads the record, where there is one. Names in it are relative to `root`.
  DigestRecord(fs::path record, fs::path root);
  // The file's SHA-256, in lower-case hexadecimal; "" for a file that is missing or cannot be read.
  std::string digest(const fs::path& file);
  // Writes the record, if a digest was taken and the record can be written.
  void save();

 private:
  struct Known {
    std::string looks, digest;
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

// Returns the first of the files that is missing or has another digest, or none. With `may_stop` it calls
// stop_if_interrupted() before each file. It does not save the record.
const Sealed* first_altered(const std::vector<Sealed>& files, DigestRecord& record, bool may_stop = false);

// One line of a list of digests, without its end, as sha256sum writes it; and all lines of such a list, whose names are
// below `folder`. Throws Error(input) for a line of another form.
std::string digest_line(const std::string& name, const std::string& sha256);
std::vector<Sealed> parse_digests(const std::string& lines, const fs::path& folder);

}  // namespace facepoison
