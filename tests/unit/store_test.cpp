// The store: an artifact is made once, whole or not at all, whoever else is making it.
#include "facepoison/store.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

const Json key = {{"photo", "abc"}, {"side", 112}};

// Everything below a folder but folders, as relative paths.
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(folder).string());
  return names;
}

void fill(const fs::path& folder) { write_file(folder / "data", "made"); }

TEST(Store, MakesAnArtifactOnce) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  EXPECT_FALSE(store.has("kind", key));
  int made = 0;
  for (int time = 0; time < 3; ++time) {
    const auto path = store.get_or_make("kind", key, [&](const fs::path& at) {
      fill(at);
      ++made;
    });
    EXPECT_EQ(path, store.path("kind", key));
    EXPECT_EQ(read_file(path / "data"), "made");
    EXPECT_EQ(read_json(path / "key.json"), key);
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(store.misses(), 1u);
  EXPECT_EQ(store.hits(), 2u);
  ArtifactStore later(folder / "store");
  EXPECT_TRUE(later.has("kind", key));
  later.get_or_make("kind", key, [](const fs::path&) { FAIL() << "made again"; });
  EXPECT_EQ(later.hits(), 1u);
}

TEST(Store, KeepsArtifactsApartByKindAndEveryPartOfTheKey) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  store.get_or_make("kind", key, fill);
  EXPECT_FALSE(store.has("other", key));
  EXPECT_FALSE(store.has("kind", {{"photo", "abd"}, {"side", 112}}));
  EXPECT_FALSE(store.has("kind", {{"photo", "abc"}, {"side", 113}}));
  EXPECT_FALSE(store.has("kind", {{"photo", "abc"}}));
  EXPECT_TRUE(store.has("kind", key));
}

TEST(Store, LeavesNothingWhenMakingFails) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto failing = [](const fs::path& at) {
    fill(at);
    throw Error(Exit::interrupted, "stopped");
  };
  EXPECT_EQ(caught([&] { store.get_or_make("kind", key, failing); }).code, Exit::interrupted);
  EXPECT_FALSE(store.has("kind", key));
  EXPECT_TRUE(fs::is_empty(store.root()));
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
}

TEST(Store, SaysThatItCannotBeMade) {
  const TempFolder folder;
  write_file(folder / "file", "");
  const auto [code, message] = caught([&] { ArtifactStore store(folder / "file"); });
  EXPECT_EQ(code, Exit::failure);
  EXPECT_TRUE(contains(message, (folder / "file").string())) << message;
}

TEST(Store, RemovesWhatADeadProcessLeftAndNothingElse) {
  const TempFolder folder;
  const auto leave = [&](pid_t process) {
    auto name = temporary_name("").string();  // .tmp-<host>-<process>-<count>
    const auto count = name.rfind('-'), own = name.rfind('-', count - 1);
    name = name.substr(0, own + 1) + std::to_string(process) + name.substr(count);
    write_file(folder / "store" / name / "half", "half-made");
    return folder / "store" / name;
  };
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  const auto dead = leave(child), alive = leave(getppid());
  const auto elsewhere = folder / "store" / concat(".tmp-another-host-", child, "-0");
  write_file(elsewhere / "half", "half-made");
  write_file(folder / "store" / "notes.txt", "a user's");
  const ArtifactStore store(folder / "store");
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive));
  EXPECT_TRUE(fs::exists(elsewhere));
  EXPECT_TRUE(fs::exists(folder / "store" / "notes.txt"));
}

TEST(Store, KeepsTheFirstOfTwoThatAreMadeAtOnce) {
  const TempFolder folder;
  std::atomic<int> inside{0};
  fs::path paths[2];
  const auto work = [&](int who) {
    ArtifactStore store(folder / "store");
    EXPECT_NO_THROW(paths[who] = store.get_or_make("kind", key, [&](const fs::path& at) {
      fill(at);
      ++inside;  // both are in the middle of it
      for (int wait = 0; inside < 2 && wait < 5000; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }));
    EXPECT_TRUE(fs::exists(paths[who] / "data"));
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_EQ(paths[0], paths[1]);
  EXPECT_EQ(files_below(folder / "store").size(), 2u);  // data and key.json
}

TEST(Store, IsSharedByProcesses) {
  const TempFolder folder;
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    int bad = 0;
    try {
      ArtifactStore store(folder / "store");
      for (int k = 0; k < 20; ++k) {
        const auto path = store.get_or_make("kind", {{"k", k}}, [&](const fs::path& at) { write_file(at / "data", std::to_string(k)); });
        bad += read_file(path / "data") != std::to_string(k);
      }
    } catch (...) {
      bad = 100;
    }
    _exit(bad);
  }
  for (const auto child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files_below(folder / "store").size(), 40u);
}

TEST(Store, LeavesNoArtifactWhenKilledHalfway) {
  const TempFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    ArtifactStore store(folder / "store");
    store.get_or_make("kind", key, [](const fs::path& at) {
      fill(at);
      raise(SIGKILL);
    });
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  ArtifactStore store(folder / "store");
  EXPECT_FALSE(store.has("kind", key));
  EXPECT_TRUE(fs::is_empty(store.root()));
}

}  // namespace
}  // namespace facepoison
