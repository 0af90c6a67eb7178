// Files that are whole or absent, and their hashes.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace facepoison {

namespace fs = std::filesystem;

// The file's bytes. Throws Error(input) when it is missing, unreadable or larger than `max_bytes`.
std::string read_file(const fs::path& path, std::size_t max_bytes = std::size_t{1} << 32);

// Writes through a temporary file in the same folder, fsync and rename, creating the folder where needed: readers
// see the old bytes or the new ones, never a part. Throws Error(resource) when the disk is full, else Error(failure).
void write_file(const fs::path& path, std::string_view bytes);

// Makes `to` the same file as `from` by a hard link, or a copy where links are impossible. Replaces `to`.
void link_or_copy(const fs::path& from, const fs::path& to);

// A name in `folder` that nobody else uses: `.tmp-<host>-<process>-<count>`.
fs::path temporary_name(const fs::path& folder);

// Does `path` lie in `root`, links followed? A link that cannot be followed does not.
bool is_below(const fs::path& path, const fs::path& root);

// Flushes a file's or a folder's data to the disk.
void sync_to_disk(const fs::path& path);

// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view bytes);
std::string sha256_of_file(const fs::path& path);
// FaceScrub's downloader names a photo by the SHA-1 of its address.
std::string sha1(std::string_view bytes);

}  // namespace facepoison
