// The store: an artifact is made once, whole or not at all, even if several processes make it.
#include "facepoison/store.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "support/network_fs.hpp"
#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

const Json key = {{"photo", "abc"}, {"side", 112}};

// All files below a folder, as relative paths.
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
  EXPECT_FALSE(store.find(id_of("kind", key)));
  int made = 0;
  for (int time = 0; time < 3; ++time) {
    const auto path = store.get_or_make("kind", key, [&](const fs::path& at) {
      fill(at);
      ++made;
    });
    EXPECT_EQ(path, store.path(id_of("kind", key)));
    EXPECT_EQ(read_file(path / "data"), "made");
    EXPECT_EQ(read_json(path / "key.json"), key);
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(store.misses(), 1u);
  EXPECT_EQ(store.hits(), 2u);
  ArtifactStore later(folder / "store");
  EXPECT_TRUE(later.find(id_of("kind", key)));
  later.get_or_make("kind", key, [](const fs::path&) { FAIL() << "made again"; });
  EXPECT_EQ(later.hits(), 2u);
}

TEST(Store, KeepsArtifactsApartByKindAndEveryPartOfTheKey) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  store.get_or_make("kind", key, fill);
  EXPECT_FALSE(store.find(id_of("other", key)));
  EXPECT_FALSE(store.find(id_of("kind", {{"photo", "abd"}, {"side", 112}})));
  EXPECT_FALSE(store.find(id_of("kind", {{"photo", "abc"}, {"side", 113}})));
  EXPECT_FALSE(store.find(id_of("kind", {{"photo", "abc"}})));
  EXPECT_TRUE(store.find(id_of("kind", key)));
}

TEST(Store, LeavesNothingWhenMakingFails) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto failing = [](const fs::path& at) {
    fill(at);
    throw Error(Exit::interrupted, "stopped");
  };
  EXPECT_EQ(caught([&] { store.get_or_make("kind", key, failing); }).code, Exit::interrupted);
  EXPECT_FALSE(store.find(id_of("kind", key)));
  EXPECT_EQ(files_below(store.root()), std::vector<std::string>{"CACHEDIR.TAG"});
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
}

TEST(Store, KnowsHowOtherWorkersComputedToday) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  EXPECT_TRUE(store.workers().empty());
  for (int twice = 0; twice < 2; ++twice) store.note_worker("AVX2");
  EXPECT_EQ(store.workers(), std::vector<std::string>{"AVX2"});
  store.note_worker("AVX512");
  EXPECT_EQ(store.workers().size(), 2u);
  for (const auto& note : fs::directory_iterator(store.root() / "workers"))
    fs::last_write_time(note, fs::file_time_type::clock::now() - std::chrono::hours(25));
  store.note_worker("AVX512");
  EXPECT_EQ(store.workers(), std::vector<std::string>{"AVX512"}) << "the other was there yesterday";
}

TEST(Store, ASubmissionsFileMakesNoFolderSomebodys) {
  const TempFolder folder;
  write_file(folder / "store" / ".submitted-x", "");
  ArtifactStore store(folder / "store");
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
  EXPECT_TRUE(fs::exists(folder / "store" / ".submitted-x"));
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
  const pid_t child = start_process([&] {
    ArtifactStore store(root);
    store.get_or_make("kind", key, [&](const fs::path& at) {
      fill(at);
      [[maybe_unused]] const auto sent = ::write(ready[1], "x", 1);
      pause();
    });
    return 0;
  });
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
  const pid_t maker = start_maker(folder / "store");
  {
    ArtifactStore store(folder / "store");
    EXPECT_EQ(half_made(store.root()), 1u);
    EXPECT_EQ(store.claim(id_of("kind", key)), nullptr);
    EXPECT_NE(store.claim(id_of("kind", {{"another", 1}})), nullptr);
  }
  kill(maker, SIGKILL);
  waitpid(maker, nullptr, 0);
  ArtifactStore store(folder / "store");
  EXPECT_NE(store.claim(id_of("another", key)), nullptr);
  EXPECT_EQ(half_made(store.root()), 0u);
  EXPECT_NO_THROW(store.get_or_make("kind", key, fill));
}

// Sets the claim's last renewal back.
void age(const fs::path& claim) {
  fs::last_write_time(claim, fs::file_time_type::clock::now() - std::chrono::seconds(90));
}

// A process that was killed before it made anything leaves no folder that shows its claim.
TEST(Store, NoClaimOutlivesItsHolder) {
  const TempFolder folder;
  const fs::path claims = folder / "store/claims";
  const std::string another(64, 'a');
  const pid_t child = start_process([&] {
    ArtifactStore store(folder / "store");
    const auto mine = store.claim(id_of("kind", key));
    write_file(claims / another, "its boot");
    return raise(SIGKILL);
  });
  waitpid(child, nullptr, 0);
  ArtifactStore store(folder / "store");
  EXPECT_EQ(files_below(claims).size(), 2u);
  EXPECT_NE(store.claim(id_of("kind", key)), nullptr) << "nobody lives who holds it";
  EXPECT_EQ(files_below(claims), std::vector<std::string>{another}) << "who holds it may live";
  const auto mine = store.claim(id_of("kind", key));
  for (const auto& name : files_below(claims)) age(claims / name);
  EXPECT_EQ(ArtifactStore(folder / "store").claim(id_of("kind", key)), nullptr) << "a living process's is left alone";
  EXPECT_EQ(files_below(claims), std::vector<std::string>{mine->path().filename()});
}

// The folder is a user's own: --store was mistyped.
TEST(Store, TouchesNoFileThatItDidNotMake) {
  const TempFolder folder;
  const fs::path docs = folder / "docs";
  for (const auto* name : {"claims/letter.txt", ".tmp-drafts/x.tex", "report.tex"}) {
    write_file(docs / name, "a user's");
    age(docs / name);
  }
  const auto before = files_below(docs);
  const auto [code, message] = caught([&] { ArtifactStore store(docs); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, docs.string()) && contains(message, "neither empty nor a store")) << message;
  EXPECT_EQ(files_below(docs), before);

  ArtifactStore store(folder / "store");
  store.get_or_make("kind", key, fill);
  for (const auto* name : {"claims/letter.txt", ".tmp-drafts/x.tex", "report.tex"}) {
    write_file(store.root() / name, "a user's");
    age(store.root() / name);
  }
  ArtifactStore(store.root()).get_or_make("another", key, fill);
  for (const auto* name : {"claims/letter.txt", ".tmp-drafts/x.tex", "report.tex"})
    EXPECT_TRUE(fs::exists(store.root() / name)) << name;
}

TEST(Store, TakesAnEmptyFolderAndAnOlderStore) {
  const TempFolder folder;
  fs::create_directories(folder / "empty");
  EXPECT_NO_THROW(ArtifactStore(folder / "empty").get_or_make("kind", key, fill));
  ArtifactStore store(folder / "store");
  const auto artefact = store.get_or_make("kind", key, fill);
  fs::remove(store.root() / "CACHEDIR.TAG");  // as in a store of an older version
  fs::remove(artefact / "digests.txt");
  write_file(artefact / "digests.json", "{}");
  ArtifactStore later(folder / "store");
  EXPECT_TRUE(later.artefacts().at(0).is_of_older_version);
  EXPECT_NO_THROW(later.get_or_make("another", key, fill));
  EXPECT_TRUE(fs::exists(store.root() / "CACHEDIR.TAG"));
}

TEST(Store, ChangesNothingBeforeTheFirstClaim) {
  const TempFolder folder;
  ArtifactStore store(folder / "store", Access::read);
  EXPECT_FALSE(store.find(id_of("kind", key)));
  EXPECT_TRUE(store.artefacts().empty());
  EXPECT_FALSE(fs::exists(folder / "store"));
  const auto made = ArtifactStore(folder / "store").get_or_make("kind", key, fill);
  fs::last_write_time(made / "data", fs::file_time_type::clock::now());  // so that it is read again
  const auto stats = read_file(made / "stats.txt");
  EXPECT_TRUE(store.find(id_of("kind", key)));
  EXPECT_EQ(read_file(made / "stats.txt"), stats) << "a store that may only be read was written";
}

// The artefact, not its name, records the bytes of its inputs.
TEST(Store, WhatIsMadeAgainFromOtherInputsTakesThePlaceOfTheOld) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto id = id_of("kind", key);
  const auto put = [&](const std::string& inputs, const std::string& bytes) {
    store.put(id, key, inputs, [&](const fs::path& at) { write_file(at / "data", bytes); });
    EXPECT_EQ(store.inputs_of(id), inputs);
    return store.content_of(id);
  };
  const auto first = put("a", "one"), second = put("b", "two");
  EXPECT_NE(first, second);
  EXPECT_EQ(read_file(store.path(id) / "data"), "two");
  EXPECT_EQ(put("a", "one"), first);
  EXPECT_EQ(store.inputs_of(id_of("none", key)), "");
  EXPECT_EQ(half_made(store.root()), 0u);
}

TEST(Store, OpenedToReadItMakesNothing) {
  const TempFolder folder;
  ArtifactStore store(folder / "store", Access::read);
  EXPECT_EQ(caught([&] { store.get_or_make("kind", key, fill); }).code, Exit::failure);
  EXPECT_FALSE(fs::exists(folder / "store"));
}

// Two containers of one machine that share a store: each has a process number 2, and cannot see the other's.
TEST(Store, AProcessOfAnotherContainerIsAlive) {
  const TempFolder folder;
  const fs::path root = folder / "store";
  const pid_t outer = start_process([&] {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0 && unshare(CLONE_NEWPID) != 0) return 77;
    const pid_t inner = start_process([&] {
      ArtifactStore store(root);
      const auto mine = store.claim(id_of("kind", key));
      write_file(folder / "claimed", "");
      return pause();
    });
    if (inner < 0) return 77;
    write_file(folder / "inner", std::to_string(inner));
    waitpid(inner, nullptr, 0);
    return 0;
  });
  int status = 0;
  for (int wait = 0; wait < 5000 && !(fs::exists(folder / "claimed") && fs::exists(folder / "inner")); ++wait) {
    if (waitpid(outer, &status, WNOHANG) == outer) GTEST_SKIP() << "no namespace of process numbers may be made here";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ArtifactStore store(root);
  EXPECT_EQ(store.claim(id_of("kind", key)), nullptr);
  kill(std::stoi(read_file(folder / "inner")), SIGKILL);
  waitpid(outer, &status, 0);
  EXPECT_NE(store.claim(id_of("kind", key)), nullptr);
}

TEST(Store, AnotherMachinesClaimEndsAMinuteAfterItsLastBeat) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto path = store.claim(id_of("kind", key))->path();
  write_file(path, "another machine's boot");
  EXPECT_EQ(store.claim(id_of("kind", key)), nullptr);
  age(path);
  const auto mine = store.claim(id_of("kind", key));
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
    if (how == 3) fs::remove(at / "digests.txt");
    if (how == 4) fs::resize_file(at / "digests.txt", 3);
  };
  for (int how = 0; how < 5; ++how) {
    ArtifactStore store(folder / concat("store", how));
    damage(store.get_or_make("kind", key, fill), how);
    EXPECT_FALSE(store.find(id_of("kind", key))) << how;
    EXPECT_EQ(read_file(store.get_or_make("kind", key, fill) / "data"), "made") << how;
    EXPECT_TRUE(store.find(id_of("kind", key))) << how;
    EXPECT_EQ(half_made(store.root()), 0u);
  }
}

// A photo's digest is computed once; a read-only store is not changed.
TEST(Store, KeepsDigestsOfFilesElsewhere) {
  const TempFolder folder;
  write_file(folder / "photos/a.jpg", "a");
  const std::vector<fs::path> files = {folder / "photos/a.jpg", folder / "photos/none.jpg"};
  const std::vector<std::string> right = {sha256("a"), ""}, kept = {sha256("kept"), ""};
  ArtifactStore to_read(folder / "store", Access::read);
  EXPECT_EQ(to_read.digests_of(files, folder / "photos"), right);
  EXPECT_FALSE(fs::exists(folder / "store"));
  ArtifactStore store(folder / "store");
  EXPECT_EQ(store.digests_of(files, folder / "photos"), right);
  const fs::path record = *fs::directory_iterator(folder / "store/digests");
  auto lines = read_file(record);
  write_file(record, lines.replace(0, 64, sha256("kept")));
  EXPECT_EQ(ArtifactStore(folder / "store").digests_of(files, folder / "photos"), kept) << "read again";
  write_file(folder / "photos/a.jpg", "a");
  EXPECT_EQ(ArtifactStore(folder / "store").digests_of(files, folder / "photos"), right);
}

TEST(Store, ACopyOfTheStoreIsWhole) {
  const TempFolder folder;
  ArtifactStore(folder / "one").get_or_make("kind", key, fill);
  fs::copy(folder / "one", folder / "two", fs::copy_options::recursive);
  EXPECT_TRUE(ArtifactStore(folder / "two").find(id_of("kind", key)));
}

TEST(Store, TakesOutNothingThatSomebodyMakesOrUses) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  for (int k = 0; k < 2; ++k) store.get_or_make("kind", {{"k", k}}, fill);
  write_file(folder / "store/notes/mine/of the store.txt", "a user's");
  const auto all = store.artefacts();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_GT(all[0].bytes, 4u);
  auto claim = store.claim(id_of("kind", {{"k", 0}}));
  const auto& claimed = all[all[0].folder == store.path(id_of("kind", {{"k", 0}})) ? 0 : 1];
  EXPECT_FALSE(ArtifactStore(folder / "store").remove(claimed));
  claim.reset();
  fs::last_write_time(claimed.folder / "stats.txt", fs::file_time_type::clock::now() - std::chrono::hours(25));
  const auto listed = store.artefacts()[&claimed == &all[0] ? 0 : 1];
  EXPECT_TRUE(store.find(id_of("kind", {{"k", 0}})));
  EXPECT_FALSE(store.remove(listed)) << "it was found since it was listed";
  const auto used = fs::last_write_time(listed.folder / "stats.txt");
  EXPECT_TRUE(store.find(id_of("kind", {{"k", 0}})));
  EXPECT_EQ(fs::last_write_time(listed.folder / "stats.txt"), used) << "noted more than once a day";
  EXPECT_TRUE(store.remove(store.artefacts()[&claimed == &all[0] ? 0 : 1]));
  EXPECT_FALSE(store.find(id_of("kind", {{"k", 0}})));
  EXPECT_TRUE(store.find(id_of("kind", {{"k", 1}})));
  EXPECT_EQ(half_made(store.root()), 0u);
}

TEST(Store, KnowsWhatItWasAskedFor) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  store.get_or_make("kind", {{"k", 0}}, fill);
  ArtifactStore later(folder / "store");
  EXPECT_TRUE(later.used().empty());
  later.find(id_of("kind", {{"k", 0}}));
  later.find(id_of("kind", {{"k", 1}}));
  EXPECT_EQ(later.used(), store.used());
  EXPECT_EQ(later.used(), std::set<std::string>{store.path(id_of("kind", {{"k", 0}})).filename()});
}

// An edit that keeps a file's size and times is seen when every byte is read; find() sees it from then on.
TEST(Store, SeesDamageThatShowsInNothingButTheBytes) {
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  const auto at = store.get_or_make("kind", key, fill);
  EXPECT_EQ(store.damage_of(store.artefacts().at(0)), "");
  for (const auto* name : {"digests.txt", "stats.txt"}) {
    auto lines = read_file(at / name);
    write_file(at / name, lines.replace(lines.find(sha256("made")), 64, std::string(64, '0')));
  }
  EXPECT_TRUE(store.find(id_of("kind", key))) << "this test shows nothing";
  EXPECT_TRUE(contains(store.damage_of(store.artefacts().at(0)), "data does not match its digest"));
  EXPECT_FALSE(store.find(id_of("kind", key)));
}

TEST(Store, TheOrderOfAKeyIsNoPartOfIt) {
  const TempFolder folder;
  const ArtifactStore store(folder / "store");
  EXPECT_EQ(store.path(id_of("kind", {{"a", 1}, {"b", {{"c", 2}, {"d", 3}}}})),
            store.path(id_of("kind", {{"b", {{"d", 3}, {"c", 2}}}, {"a", 1}})));
}

TEST(Store, IsSharedByProcesses) {
  const TempFolder folder;
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c) {
    children.push_back(start_process([&] {
      ArtifactStore store(folder / "store");
      int bad = 0;
      for (int k = 0; k < 20; ++k) {
        const auto path = store.get_or_make("kind", {{"k", k}},
                                            [&](const fs::path& at) { write_file(at / "data", std::to_string(k)); });
        bad += read_file(path / "data") != std::to_string(k);
      }
      return bad;
    }));
  }
  for (const auto child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files_below(folder / "store").size(), 81u);  // the tag; data, key.json, digests.txt, stats.txt
}

TEST(Store, LeavesNoArtifactWhenKilledHalfway) {
  const TempFolder folder;
  const pid_t child = start_process([&] {
    ArtifactStore store(folder / "store");
    store.get_or_make("kind", key, [](const fs::path& at) {
      fill(at);
      raise(SIGKILL);
    });
    return 0;
  });
  waitpid(child, nullptr, 0);
  ArtifactStore store(folder / "store");
  EXPECT_FALSE(store.find(id_of("kind", key)));
  EXPECT_NE(store.claim(id_of("another", key)), nullptr);
  EXPECT_EQ(files_below(store.root()), std::vector<std::string>{"CACHEDIR.TAG"});
}

// If locks do not reach other machines, or there are none, a claim lives as long as its holder renews it.
TEST(Store, OnANetworkAClaimIsItsHoldersWhileItIsRenewed) {
  for (const auto locks : {Locks::refused, Locks::granted}) {
    const TempFolder folder;
    NetworkFs network;
    network.locks = locks;
    ArtifactStore store(folder / "store");
    const auto path = store.claim(id_of("kind", key))->path();
    EXPECT_FALSE(fs::exists(path));
    write_file(path, "another machine's boot");
    EXPECT_EQ(store.claim(id_of("kind", key)), nullptr) << "it may live";
    age(path);
    auto mine = store.claim(id_of("kind", key));
    ASSERT_NE(mine, nullptr);
    EXPECT_NO_THROW(store.put(id_of("kind", key), key, "", fill));
    write_file(path, "another machine took it over");
    mine.reset();
    EXPECT_EQ(read_file(path), "another machine took it over");
  }
}

// A file that was looked up before it existed stays invisible for some time.
TEST(Store, OnANetworkUnderAClaimItSeesWhatWasJustPublished) {
  for (const std::string hidden : {"artefact", "part", "kind"}) {
    const TempFolder folder;
    ArtifactStore store(folder / "store"), another(folder / "store");
    const auto artefact = another.get_or_make("kind", key, fill), part = artefact.parent_path();
    store.claim(id_of("other", key));  // the first one looks into the store's folder
    NetworkFs network;
    network.not_seen_yet = hidden == "artefact" ? artefact : hidden == "part" ? part : part.parent_path();
    EXPECT_FALSE(store.find(id_of("kind", key))) << "this test shows nothing";
    EXPECT_EQ(store.get_or_make("kind", key, [&](const fs::path&) { ADD_FAILURE() << "made again: " << hidden; }),
              artefact);
  }
}

// Another machine, which believes that this process is dead, publishes the artefact just before this one.
TEST(Store, OnANetworkWhatAnotherPublishedMeanwhileStays) {
  const TempFolder folder;
  ArtifactStore store(folder / "store"), another(folder / "store");
  another.claim(
      id_of("other", key));  // the first one removes what is left over, to which the others' work would belong here
  NetworkFs network;
  const auto put_by_another = [&] { another.put(id_of("kind", key), key, "", fill); };
  const auto meanwhile = [&](int rename_number, const std::function<void()>& action) {
    network.rename_number = rename_number, network.before_rename = action;
  };
  const auto filled_then = [&](int rename_number) {
    return [&, rename_number](const fs::path& at) {
      fill(at);
      meanwhile(rename_number, put_by_another);  // counted from here: the seal's two files are the first
    };
  };
  const auto artefact = store.put(id_of("kind", key), key, "", filled_then(3));
  EXPECT_FALSE(network.before_rename) << "this test shows nothing";
  EXPECT_TRUE(store.find(id_of("kind", key)));
  // The same with a damaged artefact, just before it is moved away.
  fs::remove(artefact / "data");
  store.put(id_of("kind", key), key, "", filled_then(4));
  EXPECT_FALSE(network.before_rename) << "this test shows nothing";
  EXPECT_TRUE(store.find(id_of("kind", key)));
  EXPECT_EQ(read_file(artefact / "data"), "made");
  EXPECT_EQ(half_made(store.root()), 0u);
}

}  // namespace
}  // namespace facepoison
