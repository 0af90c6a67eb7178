// Files are whole or absent, whatever happens during writing.
#include "facepoison/files.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "support/network_fs.hpp"
#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(WriteFile, MakesTheFolderAndReplacesTheOldBytes) {
  const TempFolder folder;
  write_file(folder / "new" / "deeper" / "a", "a longer old text");
  write_file(folder / "new" / "deeper" / "a", std::string_view("x\0y", 3));
  EXPECT_EQ(read_file(folder / "new" / "deeper" / "a"), std::string("x\0y", 3));
  EXPECT_EQ(entries(folder / "new" / "deeper"), 1u);
}

// Another process may look for left-over files at any moment, and the last one is just before the new file takes its
// name. (A second spelling of the folder, for a process looks through each folder once.)
TEST(WriteFile, IsNotTakenForALeftOver) {
  const TempFolder folder;
  NetworkFs files;
  files.rename_number = 1;
  files.before_rename = [&] { remove_left_over(folder / "."); };
  write_file(folder / "a", "whole");
  EXPECT_EQ(read_file(folder / "a"), "whole");
  EXPECT_EQ(entries(folder.path), 1u);
}

TEST(WriteFile, LeavesTheOldFileWhenTheDiskIsFull) {
  const TempFolder folder;
  write_file(folder / "a", "old");
  const pid_t child = start_process([&] {  // a limit on the size of files stands for the full disk
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    return static_cast<int>(caught([&] { write_file(folder / "a", std::string(100000, 'x')); }).code);
  });
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

TEST(ReadFile, ReadsAPipeToItsEnd) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const std::size_t size : {0, 10, 65536, 200000}) {
    const std::string bytes(size, 'x');
    std::thread writer([&] { std::ofstream(folder / "pipe") << bytes; });
    EXPECT_EQ(read_file(folder / "pipe"), bytes) << size;
    writer.join();
  }
  std::thread writer([&] { std::ofstream(folder / "pipe") << "12345"; });
  EXPECT_EQ(caught([&] { read_file(folder / "pipe", 4); }).code, Exit::input);
  writer.join();
  EXPECT_FALSE(read_file("/proc/self/status").empty()) << "a file of the kernel's";
}

TEST(WithoutMark, DropsTheMarkAtTheStartAlone) {
  EXPECT_EQ(without_mark("\xef\xbb\xbf"
                         "a\xef\xbb\xbf"),
            "a\xef\xbb\xbf");
  for (const char* text : {"", "\xef\xbb", "plain"}) EXPECT_EQ(without_mark(text), text);
}

TEST(Hashes, AreThePublishedOnes) {  // FIPS 180 examples
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Hashes, CompareWithoutCase) {
  EXPECT_TRUE(same_digest("00aF", "00Af"));
  EXPECT_TRUE(same_digest("", ""));
  for (const char* other : {"00ae", "00a", "00aff", ""}) EXPECT_FALSE(same_digest("00af", other)) << other;
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

TEST(CopyTo, ReplacesAndCanBeRepeated) {
  const TempFolder folder;
  const std::string bytes(300000, 'n');
  write_file(folder / "from", bytes);
  write_file(folder / "there" / "to", "old");
  for (int time = 0; time < 2; ++time) {
    copy_to(folder / "from", folder / "there" / "to");
    EXPECT_EQ(read_file(folder / "there" / "to"), bytes);
    EXPECT_EQ(entries(folder / "there"), 1u) << "a temporary name is left";
  }
}

TEST(CopyTo, MakesAFileOfItsOwn) {
  const TempFolder folder;
  write_file(folder / "from", "new");
  copy_to(folder / "from", folder / "made" / "to");
  std::ofstream(folder / "made" / "to") << "edited in place";
  EXPECT_EQ(read_file(folder / "from"), "new");
}

TEST(CopyTo, CopiesToAnotherDisk) {
  if (!fs::is_directory("/dev/shm")) GTEST_SKIP() << "no second file system here";
  const TempFolder folder;
  const fs::path other = temporary_name("/dev/shm");
  write_file(folder / "from", "new");
  for (int time = 0; time < 2; ++time) copy_to(folder / "from", other / "to");
  EXPECT_EQ(read_file(other / "to"), "new");
  EXPECT_EQ(entries(other), 1u);
  fs::remove_all(other);
}

TEST(CopyTo, KeepsTheOldFileWhenThereIsNoNewOne) {
  const TempFolder folder;
  write_file(folder / "to", "old");
  EXPECT_NE(caught([&] { copy_to(folder / "missing", folder / "to"); }).code, Exit::ok);
  EXPECT_EQ(read_file(folder / "to"), "old");
  EXPECT_EQ(entries(folder.path), 1u);
}

TEST(WriteFile, GoesThroughALinkWhetherItsTargetIsThereOrNot) {
  const TempFolder folder;
  fs::create_directory(folder / "elsewhere");
  write_file(folder / "elsewhere" / "real", "old");
  fs::create_symlink("elsewhere/real", folder / "link");
  fs::create_symlink("link", folder / "second");
  fs::create_symlink("elsewhere/new", folder / "dangling");
  for (const auto* name : {"link", "second"}) {
    write_file(folder / name, name);
    EXPECT_TRUE(fs::is_symlink(folder / name));
    EXPECT_EQ(read_file(folder / "elsewhere" / "real"), name);
  }
  write_file(folder / "dangling", "made");
  EXPECT_EQ(read_file(folder / "elsewhere" / "new"), "made");
  EXPECT_EQ(entries(folder / "elsewhere"), 2u);
}

TEST(WriteFile, GivesADeviceOrAPipeTheBytes) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] {
    std::ifstream in(folder / "pipe");
    read.assign(std::istreambuf_iterator<char>(in), {});
  });
  write_file(folder / "pipe", "through");
  reader.join();
  EXPECT_EQ(read, "through");
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  write_file("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(caught([] { write_file("/dev/full", "x"); }).code, Exit::resource);
}

TEST(DigestRecord, ReadsAgainOnlyWhatLooksOtherwise) {
  const TempFolder folder;
  const std::string odd = "a\nb\\n";
  for (const auto& name : {std::string("a"), odd}) write_file(folder / name, name);
  const auto look = [&](const std::string& name) {
    DigestRecord record(folder / "record", folder.path);
    const auto digest = record.digest(folder / name);
    record.save();
    return digest;
  };
  EXPECT_EQ(look("a"), sha256("a"));
  EXPECT_EQ(look(odd), sha256(odd));
  EXPECT_EQ(look("nothing"), "");
  // A digest that was never right is noticed when the file is read again.
  auto lines = read_file(folder / "record");
  for (const auto& name : {std::string("a"), odd}) lines.replace(lines.find(sha256(name)), 64, sha256("never"));
  write_file(folder / "record", lines);
  EXPECT_EQ(look("a"), sha256("never"));
  EXPECT_EQ(look(odd), sha256("never"));
  fs::last_write_time(folder / "a", fs::last_write_time(folder / "a") - std::chrono::seconds(5));
  EXPECT_EQ(look("a"), sha256("a"));
  EXPECT_EQ(look(odd), sha256("never"));
  write_file(folder / "record", "no record");
  EXPECT_EQ(look(odd), sha256(odd));
}

TEST(FirstAltered, IsTheFirstThatIsMissingOrDiffers) {
  const TempFolder folder;
  std::vector<Sealed> files;
  for (const auto* name : {"a", "b"}) {
    write_file(folder / name, name);
    files.push_back({folder / name, sha256(name)});
  }
  DigestRecord record(folder / "record", folder.path);
  EXPECT_EQ(first_altered(files, record), nullptr);
  files[1].sha256 = sha256("c");
  EXPECT_EQ(first_altered(files, record), &files[1]);
  fs::remove(folder / "a");
  EXPECT_EQ(first_altered(files, record), &files[0]);
}

// As sha256sum -c reads it.
TEST(Digests, AreLinesOfAnyNames) {
  const std::vector<std::string> names = {"plain", "in a/folder", "a\nb", "a\\nb", " "};
  std::string lines;
  for (const auto& name : names) lines += digest_line(name, sha256(name)) + "\n";
  EXPECT_TRUE(contains(lines, "\\" + sha256("a\nb") + "  a\\nb\n")) << lines;
  const auto read = parse_digests(lines, "folder");
  ASSERT_EQ(read.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(read[i].path, fs::path("folder") / names[i]);
    EXPECT_EQ(read[i].sha256, sha256(names[i]));
  }
  for (const auto& wrong : {std::string("x"), sha256("a") + " name", sha256("a") + "  "})
    EXPECT_EQ(caught([&] { parse_digests(wrong + "\n", "folder"); }).code, Exit::input) << wrong;
}

TEST(TemporaryName, IsHiddenAndNeverTheSame) {
  const auto a = temporary_name("x"), b = temporary_name("x");
  EXPECT_NE(a, b);
  EXPECT_EQ(a.parent_path(), "x");
  EXPECT_TRUE(a.filename().string().starts_with(".tmp-"));
}

}  // namespace
}  // namespace facepoison
