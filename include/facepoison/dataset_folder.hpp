// The folder of a data set while it is written: what this program made there may be replaced and removed, nothing else.
#pragma once
#include <set>
#include <string>

#include "facepoison/files.hpp"

namespace facepoison {

// Throws Error(usage) where a data set cannot be written to `folder`: it is not a folder, or it has files and is not a
// data set of this program, finished or not; or one of `files` (paths in it) is there and this program did not make it.
// A folder that is missing or empty is right; hidden files do not count, nor caches.
void require_dataset_folder(const fs::path& folder, const std::set<std::string>& files = {});

class DatasetFolder {
 public:
  // `files`: all that will be written there, besides the manifest. Throws as require_dataset_folder(). Writes
  // unfinished.json, a list of the canvases that this program made or will make: who is killed goes on there.
  DatasetFolder(fs::path folder, std::set<std::string> files);
  // To call when the files are there and the manifest is not. Removes what this program made there earlier and what is
  // not among `files`, and flushes the files to the disk.
  void settle() const;
  void finish() const;  // to call after the manifest: removes unfinished.json

 private:
  fs::path folder_;
  std::set<std::string> files_, made_;  // made_: canvases, earlier ones too
};

// Is it one of the records that lie beside a manifest, as this program writes them? Known by its name and its first
// words.
bool is_own_record(const fs::path& file);

}  // namespace facepoison
