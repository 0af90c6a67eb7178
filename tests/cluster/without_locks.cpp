// A library for LD_PRELOAD: the program's files behave as on a network file system that refuses
// flock().
#include "support/network_fs.hpp"

namespace {

struct Mount {
  facepoison::testing::NetworkFs files;
  Mount() { files.locks = facepoison::testing::Locks::refused; }
} mount;

}  // namespace
