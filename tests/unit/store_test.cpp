// The store: an artifact is made once, whole or not at all, whoever else is making it.
#include "facepoison/store.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
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
  EXPECT_FALSE(store.find("kind", key));
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
  EXPECT_TRUE(later.find("kind", key));
  later.get_or_make("kind", key, [](const fs::path&) { FAIL() << "made again"; });
  EXPECT_EQ(later.hits(), 2u);
}

TEST(Store, KeepsArtifactsApartByKindAndEveryPartOfTheKey) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  store.get_or_make("kind", key, fill);
  EXPECT_FALSE(store.find("other", key));
  EXPECT_FALSE(store.find("kind", {{"photo", "abd"}, {"side", 112}}));
  EXPECT_FALSE(store.find("kind", {{"photo", "abc"}, {"side", 113}}));
  EXPECT_FALSE(store.find("kind", {{"photo", "abc"}}));
  EXPECT_TRUE(store.find("kind", key));
}

TEST(Store, LeavesNothingWhenMakingFails) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto failing = [](const fs::path& at) {
    fill(at);
    throw Error(Exit::interrupted, "stopped");
  };
  EXPECT_EQ(caught([&] { store.get_or_make("kind", key, failing); }).code, Exit::interrupted);
  EXPECT_FALSE(store.find("kind", key));
  EXPECT_TRUE(files_below(store.root()).empty());
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
}

TEST(Store, SaysThatItCannotBeMade) {
  const TempFolder folder;
  write_file(folder / "file", "");
  const auto [code, message] = caught([&] { ArtifactStore store(folder / "file"); });
  EXPECT_EQ(code, Exit::failure);
  EXPECT_TRUE(contains(message, (folder / "file").string())) << message;
}

// A process that holds a claim, with a half-made folder, until it is killed.
pid_t start_maker(const fs::path& root) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    ArtifactStore store(root);
    store.get_or_make("kind", key, [&](const fs::path& at) {
      fill(at);
      [[maybe_unused]] const auto sent = ::write(ready[1], "x", 1);
      pause();
    });
    _exit(0);
  }
  char byte;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1);
  close(ready[0]), close(ready[1]);
  return child;
}

std::size_t half_made(const fs::path& root) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(root)) count += entry.path().filename().string().starts_with(".tmp-");
  return count;
}

TEST(Store, LeavesALivingProcessItsWorkAndTakesOverADeadOnes) {
  const TempFolder folder;
  write_file(folder / "store" / "notes.txt", "a user's");
  const pid_t maker = start_maker(folder / "store");
  {
    ArtifactStore store(folder / "store");
    EXPECT_EQ(half_made(store.root()), 1u);
    EXPECT_EQ(store.claim("kind", key), nullptr);
    EXPECT_NE(store.claim("kind", {{"another", 1}}), nullptr);
  }
  kill(maker, SIGKILL);
  waitpid(maker, nullptr, 0);
  ArtifactStore store(folder / "store");
  EXPECT_EQ(half_made(store.root()), 0u);
  EXPECT_TRUE(fs::exists(folder / "store" / "notes.txt"));
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
}

// Killed before it made anything, it leaves no folder that would tell of its claim.
TEST(Store, NoClaimOutlivesItsHolder) {
  const TempFolder folder;
  const fs::path claims = folder / "store/claims";
  const pid_t child = fork();
  if (child == 0) {
    ArtifactStore store(folder / "store");
    const auto mine = store.claim("kind", key);
    write_file(claims / "another-machines", "its boot");
    raise(SIGKILL);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(files_below(claims).size(), 2u);
  ArtifactStore store(folder / "store");
  EXPECT_EQ(files_below(claims), std::vector<std::string>{"another-machines"}) << "it may live";
  const auto mine = store.claim("kind", key);
  fs::last_write_time(claims / "another-machines", fs::file_time_type::clock::now() - std::chrono::seconds(90));
  EXPECT_EQ(ArtifactStore(folder / "store").claim("kind", key), nullptr) << "a living one is left alone";
  EXPECT_EQ(files_below(claims), std::vector<std::string>{mine->path().filename()});
}

// Two containers of one machine that share a store: each has a process number 2, and cannot see the other's.
TEST(Store, AProcessOfAnotherContainerIsAlive) {
  const TempFolder folder;
  const fs::path root = folder / "store";
  const pid_t outer = fork();
  if (outer == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0 && unshare(CLONE_NEWPID) != 0) _exit(77);
    const pid_t inner = fork();
    if (inner < 0) _exit(77);
    if (inner == 0) {
      ArtifactStore store(root);
      const auto mine = store.claim("kind", key);
      write_file(folder / "claimed", "");
      pause();
    }
    write_file(folder / "inner", std::to_string(inner));
    waitpid(inner, nullptr, 0);
    _exit(0);
  }
  int status = 0;
  for (int wait = 0; wait < 5000 && !(fs::exists(folder / "claimed") && fs::exists(folder / "inner")); ++wait) {
    if (waitpid(outer, &status, WNOHANG) == outer) GTEST_SKIP() << "no namespace of process numbers may be made here";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ArtifactStore store(root);
  EXPECT_EQ(store.claim("kind", key), nullptr);
  kill(std::stoi(read_file(folder / "inner")), SIGKILL);
  waitpid(outer, &status, 0);
  EXPECT_NE(store.claim("kind", key), nullptr);
}

TEST(Store, AnotherMachinesClaimEndsAMinuteAfterItsLastBeat) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto path = store.claim("kind", key)->path();
  write_file(path, "another machine's boot");
  EXPECT_EQ(store.claim("kind", key), nullptr);
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::seconds(90));
  const auto mine = store.claim("kind", key);
  ASSERT_NE(mine, nullptr);
  EXPECT_LT(fs::file_time_type::clock::now() - fs::last_write_time(path), std::chrono::seconds(30));
}

TEST(Store, TheSecondOfTwoWaitsForTheFirst) {
  const TempFolder folder;
  std::atomic<int> made{0};
  fs::path paths[2];
  const auto work = [&](int who) {
    ArtifactStore store(folder / "store");
    EXPECT_NO_THROW(paths[who] = store.get_or_make("kind", key, [&](const fs::path& at) {
      ++made;
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      fill(at);
    }));
    EXPECT_TRUE(fs::exists(paths[who] / "data"));
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(paths[0], paths[1]);
}

TEST(Store, MakesADamagedArtefactAgain) {
  const TempFolder folder;
  const auto damage = [](const fs::path& at, int how) {
    if (how == 0) fs::resize_file(at / "data", 2);
    if (how == 1) fs::remove(at / "data");
    if (how == 2) std::ofstream(at / "data") << "edit";  // as long
    if (how == 3) fs::remove(at / "digests.json");
    if (how == 4) fs::resize_file(at / "digests.json", 3);
  };
  for (int how = 0; how < 5; ++how) {
    ArtifactStore store(folder / concat("store", how));
    damage(store.get_or_make("kind", key, fill), how);
    EXPECT_FALSE(store.find("kind", key)) << how;
    EXPECT_EQ(read_file(store.get_or_make("kind", key, fill) / "data"), "made") << how;
    EXPECT_TRUE(store.find("kind", key)) << how;
    EXPECT_EQ(half_made(store.root()), 0u);
  }
}

TEST(Store, ACopyOfTheStoreIsWhole) {
  const TempFolder folder;
  ArtifactStore(folder / "one").get_or_make("kind", key, fill);
  fs::copy(folder / "one", folder / "two", fs::copy_options::recursive);
  EXPECT_TRUE(ArtifactStore(folder / "two").find("kind", key));
}

TEST(Store, TakesOutNothingThatSomebodyMakesOrUses) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  for (int k = 0; k < 2; ++k) store.get_or_make("kind", {{"k", k}}, fill);
  write_file(folder / "store/notes/mine/of the store.txt", "a user's");
  const auto all = store.artefacts();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_GT(all[0].bytes, 4u);
  auto claim = store.claim("kind", {{"k", 0}});
  const auto& claimed = all[all[0].folder == store.path("kind", {{"k", 0}}) ? 0 : 1];
  EXPECT_FALSE(ArtifactStore(folder / "store").remove(claimed));
  EXPECT_TRUE(store.find("kind", {{"k", 0}}));
  claim.reset();
  EXPECT_FALSE(store.remove(claimed)) << "it was found since it was listed";
  EXPECT_TRUE(store.remove(store.artefacts()[&claimed == &all[0] ? 0 : 1]));
  EXPECT_FALSE(store.find("kind", {{"k", 0}}));
  EXPECT_TRUE(store.find("kind", {{"k", 1}}));
  EXPECT_EQ(half_made(store.root()), 0u);
}

TEST(Store, KnowsWhatItWasAskedFor) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  store.get_or_make("kind", {{"k", 0}}, fill);
  ArtifactStore later(folder / "store");
  EXPECT_TRUE(later.used().empty());
  later.find("kind", {{"k", 0}});
  later.find("kind", {{"k", 1}});
  EXPECT_EQ(later.used(), store.used());
  EXPECT_EQ(later.used(), std::set<std::string>{store.path("kind", {{"k", 0}}).filename()});
}

// An edit that leaves a file looking as before is seen when every byte is read; find() sees it from then on.
TEST(Store, SeesDamageThatShowsInNothingButTheBytes) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto at = store.get_or_make("kind", key, fill);
  EXPECT_EQ(store.damage_of(store.artefacts().at(0)), "");
  auto digests = parse_json(read_file(at / "digests.json"), "digests");
  digests["data"] = std::string(64, '0');
  write_file(at / "digests.json", digests.dump());
  auto seal = read_file(at / "seal.txt");
  write_file(at / "seal.txt", seal.replace(0, 64, sha256(digests.dump())));
  EXPECT_TRUE(store.find("kind", key)) << "this test shows nothing";
  EXPECT_TRUE(contains(store.damage_of(store.artefacts().at(0)), "data is not what its digest says"));
  EXPECT_FALSE(store.find("kind", key));
}

TEST(Store, TheOrderOfAKeyIsNoPartOfIt) {
  const TempFolder folder;
  const ArtifactStore store(folder / "store");
  EXPECT_EQ(store.path("kind", {{"a", 1}, {"b", {{"c", 2}, {"d", 3}}}}),
            store.path("kind", {{"b", {{"d", 3}, {"c", 2}}}, {"a", 1}}));
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
        const auto path = store.get_or_make("kind", {{"k", k}},
                                            [&](const fs::path& at) { write_file(at / "data", std::to_string(k)); });
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
  EXPECT_EQ(files_below(folder / "store").size(), 80u);  // data, key.json, digests.json, seal.txt
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
  EXPECT_FALSE(store.find("kind", key));
  EXPECT_TRUE(files_below(store.root()).empty());
}

}  // namespace
}  // namespace facepoison
