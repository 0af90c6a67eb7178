// The folder of a data set while it is written: only files that this program made are replaced or removed.
#pragma once
#include <set>
#include <string>

#include "facepoison/files.hpp"

namespace facepoison {

// Throws Error(usage) if a data set cannot be written to `folder`: it is not a folder; it has files and is not a data
// set of this program, finished or not; or one of `files` (paths in it) exists and this program did not make it. A
// missing or empty folder is accepted; hidden files and caches are ignored.
void require_dataset_folder(const fs::path& folder, const std::set<std::string>& files = {});

class DatasetFolder {
 public:
  // `files`: all that will be written there, except the manifest. Throws as require_dataset_folder(). Writes
  // unfinished.json, a list of the canvases that this program made or will make, for a run after a kill.
  DatasetFolder(fs::path folder, std::set<std::string> files);
  // Call it when the files are written and the manifest is not. Removes files that this program made there earlier and
  // that are not in `files`, and flushes the files to the disk.
  void settle() const;
  void finish() const;  // call it after the manifest: removes unfinished.json

 private:
  fs::path folder_;
  std::set<std::string> files_, made_;  // made_: canvases, earlier ones too
};

// Whether the file is a record that this program writes beside a manifest, by its name and first words.
bool is_own_record(const fs::path& file);

}  // namespace facepoison
