// Names of what is in the store. A name depends on how a thing is made, so it is known before the thing exists.
#pragma once
#include <compare>
#include <memory>
#include <string>
#include <vector>

#include "facepoison/spec.hpp"

namespace facepoison {

// An artefact: a folder of the store.
struct ArtefactId {
  std::string kind;  // what made it: "perturbed", "embedded", …
  std::string name;  // SHA-256 of the kind and the key, 64 hexadecimal digits
  auto operator<=>(const ArtefactId&) const = default;
};

// `key` is all that decides the artefact's bytes: parameters, and what it is made from. The order of its keys does not
// matter.
ArtefactId id_of(const std::string& kind, const Json& key);

// One row of an artefact: a picture, an embedding.
struct Output {
  ArtefactId unit;
  std::size_t row = 0;
};

// Artefacts that many others are made from, under one name; each once.
struct Group {
  ArtefactId id;  // its kind is "all"; the store has no such artefact
  std::vector<ArtefactId> members;
};
std::shared_ptr<const Group> make_group(std::vector<ArtefactId> members);

// What an artefact is made from, besides what its key holds.
struct Needs {
  std::vector<ArtefactId> artefacts;
  std::vector<std::shared_ptr<const Group>> groups;
};

}  // namespace facepoison
