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

// Opens a new file in `folder`, made where needed, for reading and writing. It has no name and is gone when it is
// closed, which the caller does. Throws as write_file().
int unlinked_temporary(const fs::path& folder);
// Appends; `path` is what messages call the file. Throws as write_file().
void write_to(int file, std::string_view bytes, const fs::path& path);

// A name in `folder` that nobody else uses: `.tmp-` and 16 random hexadecimal digits.
fs::path temporary_name(const fs::path& folder);

// What killed processes left in a folder of files that write_file() was writing: whoever still writes one keeps it
// locked. Writing does it too; asked again for the same folder this does nothing.
void remove_left_over(const fs::path& folder);

// Does `path` lie in `root`, links followed? A link that cannot be followed does not.
bool is_below(const fs::path& path, const fs::path& root);

}  // namespace facepoison
