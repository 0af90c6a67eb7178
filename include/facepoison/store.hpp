// A content-addressed store: an artifact is a folder whose name is the SHA-256 of the JSON that says how it was
// made. It is whole or absent, written once, and safe to share between processes without a lock.
#pragma once
#include <functional>

#include "facepoison/spec.hpp"

namespace facepoison {

class ArtifactStore {
 public:
  explicit ArtifactStore(fs::path root);  // creates it; removes what killed processes of this machine left half-made

  // The folder of the artifact, made by `fill` (which writes into the folder that it is given) unless it is there.
  // When `fill` throws, nothing is left. When two processes make the same artifact, the first one stays.
  fs::path get_or_make(const std::string& kind, const Json& key, const std::function<void(const fs::path&)>& fill);
  bool has(const std::string& kind, const Json& key) const;
  fs::path path(const std::string& kind, const Json& key) const;

  std::size_t hits() const { return hits_; }
  std::size_t misses() const { return misses_; }
  const fs::path& root() const { return root_; }

 private:
  fs::path root_;
  std::size_t hits_ = 0, misses_ = 0;
};

}  // namespace facepoison
