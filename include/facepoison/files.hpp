// Files that are whole or absent. Any thread may call these functions.
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace facepoison {

namespace fs = std::filesystem;

// The file's bytes, or a pipe's to its end. Throws Error(input) when it is missing, unreadable or larger than
// `max_bytes`.
std::string read_file(const fs::path& path, std::size_t max_bytes = std::size_t{1} << 32);

// Calls take() for consecutive parts of the file, up to its end. Throws Error(input) when it cannot be read.
void read_in_parts(const fs::path& path, const std::function<void(std::string_view)>& take);

// Writes through a temporary file in the same folder, fsync and rename, creating the folder where needed: readers
// see the old bytes or the new ones, never a part. A link stays a link: its target is written; a device or a FIFO gets
// the bytes. Throws Error(resource) when the disk is full, else Error(failure).
void write_file(const fs::path& path, std::string_view bytes);

// Throws as write_file() if `path` cannot be written now. Call it before the work that makes the file. Tries another
// name beside it, in the nearest existing folder, and leaves nothing behind.
void check_writable(const fs::path& path);

// As write_file() to a plain name, but without a flush: for files that are made again if a crash of the machine loses
// them.
void write_unflushed(const fs::path& path, std::string_view bytes);

// Copies `from` to `to`. The copy shares the disk's blocks until one file is written, if the file system can. Replaces
// `to` whole or not at all if the process dies; with `flush`, also if the machine crashes. Throws as write_file().
void copy_to(const fs::path& from, const fs::path& to, bool flush = false);

// Opens a new file in `folder`, created if needed, for reading and writing. It has no name and is gone when the caller
// closes it. Throws as write_file().
int unlinked_temporary(const fs::path& folder);
// Appends; `path` is what messages call the file. Throws as write_file().
void write_to(int file, std::string_view bytes, const fs::path& path);

// A name in `folder` that nobody else uses: `.tmp-` and 16 random hexadecimal digits.
fs::path temporary_name(const fs::path& folder);

// Removes temporary files of write_file() that killed processes left in a folder. Files that are still being written
// are locked. Writing does this too; a second call for the same folder does nothing.
void remove_left_over(const fs::path& folder);

// Whether `path` lies in `root`, links followed; false for a link that cannot be followed.
bool is_below(const fs::path& path, const fs::path& root);

}  // namespace facepoison
