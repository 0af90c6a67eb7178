// Files: whole or absent, whatever happens on the way.
#include "facepoison/files.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

std::size_t entries(const fs::path& folder) { return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {})); }

TEST(WriteFile, MakesTheFolderAndReplacesTheOldBytes) {
  const TempFolder folder;
  write_file(folder / "new" / "deeper" / "a", "a longer old text");
  write_file(folder / "new" / "deeper" / "a", std::string_view("x\0y", 3));
  EXPECT_EQ(read_file(folder / "new" / "deeper" / "a"), std::string("x\0y", 3));
  EXPECT_EQ(entries(folder / "new" / "deeper"), 1u);
}

TEST(WriteFile, LeavesTheOldFileWhenTheDiskIsFull) {
  const TempFolder folder;
  write_file(folder / "a", "old");
  const pid_t child = fork();
  if (child == 0) {  // a limit on the size of files stands for the full disk
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = 0;
    try {
      write_file(folder / "a", std::string(100000, 'x'));
    } catch (const Error& error) {
      code = static_cast<int>(error.code());
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Exit::resource));
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries(folder.path), 1u) << "the half-written file is still there";
}

TEST(WriteFile, NamesAPlaceThatCannotBeWritten) {
  const TempFolder folder;
  fs::create_directories(folder / "taken");
  write_file(folder / "file", "kept");
  for (const fs::path& path : {folder / "taken", folder / "file" / "below"}) {
    const auto [code, message] = caught([&] { write_file(path, "x"); });
    EXPECT_EQ(code, Exit::failure);
    EXPECT_TRUE(contains(message, path.string())) << message;
  }
  EXPECT_EQ(entries(folder.path), 2u);
  EXPECT_EQ(read_file(folder / "file"), "kept");
}

TEST(ReadFile, NamesWhatItCannotRead) {
  const TempFolder folder;
  for (const fs::path& path : {folder / "missing", folder.path}) {
    const auto [code, message] = caught([&] { read_file(path); });
    EXPECT_EQ(code, Exit::input);
    EXPECT_TRUE(contains(message, path.string())) << message;
    EXPECT_EQ(caught([&] { sha256_of_file(path); }).code, Exit::input);
  }
}

TEST(ReadFile, ReadsUpToItsLimitAndNoMore) {
  const TempFolder folder;
  write_file(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  EXPECT_EQ(caught([&] { read_file(folder / "a", 4); }).code, Exit::input);
}

TEST(Hashes, AreThePublishedOnes) {  // FIPS 180 examples
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Hashes, OfALongFileAreThoseOfItsBytes) {
  const TempFolder folder;
  std::string bytes((std::size_t{2} << 20) + 17, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 7);
  write_file(folder / "long", bytes);
  EXPECT_EQ(sha256_of_file(folder / "long"), sha256(bytes));
  write_file(folder / "empty", "");
  EXPECT_EQ(sha256_of_file(folder / "empty"), sha256(""));
}

TEST(LinkOrCopy, ReplacesAndCanBeRepeated) {
  const TempFolder folder;
  write_file(folder / "from", "new");
  write_file(folder / "there" / "to", "old");
  for (int time = 0; time < 2; ++time) {
    link_or_copy(folder / "from", folder / "there" / "to");
    EXPECT_EQ(read_file(folder / "there" / "to"), "new");
    EXPECT_EQ(entries(folder / "there"), 1u) << "a temporary name is left";
  }
  link_or_copy(folder / "from", folder / "made" / "to");
  EXPECT_TRUE(fs::equivalent(folder / "from", folder / "made" / "to"));
}

TEST(LinkOrCopy, CopiesToAnotherDisk) {
  if (!fs::is_directory("/dev/shm")) GTEST_SKIP() << "no second file system here";
  const TempFolder folder;
  const fs::path other = temporary_name("/dev/shm");
  write_file(folder / "from", "new");
  for (int time = 0; time < 2; ++time) link_or_copy(folder / "from", other / "to");
  EXPECT_EQ(read_file(other / "to"), "new");
  EXPECT_EQ(entries(other), 1u);
  fs::remove_all(other);
}

TEST(LinkOrCopy, KeepsTheOldFileWhenThereIsNoNewOne) {
  const TempFolder folder;
  write_file(folder / "to", "old");
  EXPECT_NE(caught([&] { link_or_copy(folder / "missing", folder / "to"); }).code, Exit::ok);
  EXPECT_EQ(read_file(folder / "to"), "old");
  EXPECT_EQ(entries(folder.path), 1u);
}

TEST(TemporaryName, IsHiddenAndNeverTheSame) {
  const auto a = temporary_name("x"), b = temporary_name("x");
  EXPECT_NE(a, b);
  EXPECT_EQ(a.parent_path(), "x");
  EXPECT_TRUE(a.filename().string().starts_with(".tmp-"));
  EXPECT_TRUE(contains(a.string(), concat("-", getpid(), "-")));
}

}  // namespace
}  // namespace facepoison
