// Ctrl-C: once ends the program after this block, twice at once.
#include "facepoison/interrupt.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "facepoison/prepare.hpp"
#include "facepoison/sheet.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// The exit status of a process that gets these signals and then works, or comes to the end of a block; −1 if the signal
// itself ended it.
int status_after(const std::vector<int>& signals, const std::function<void()>& work = stop_if_interrupted) {
  const pid_t child = start_process([&] {
    install_signal_handlers();
    for (const auto signal : signals) raise(signal);
    try {
      work();
    } catch (const Error& error) {
      return static_cast<int>(error.code()) - 100;  // told apart from one that ends at once
    }
    return 0;
  });
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Interrupt, StopsAfterThisBlockAndASecondTimeAtOnce) {
  EXPECT_EQ(status_after({}), 0);
  EXPECT_EQ(status_after({SIGINT}), 30);
  EXPECT_EQ(status_after({SIGTERM}), 43);
  EXPECT_EQ(status_after({SIGINT, SIGINT}), 130);
  EXPECT_EQ(status_after({SIGTERM, SIGTERM}), 143);
  EXPECT_EQ(status_after({SIGTERM, SIGINT}), 130);
}

// A loop over files ends at the next file, and does not report the signal as a fault of the files.
TEST(Interrupt, EndsWhatReadsManyFiles) {
  const TempFolder folder;
  draw_people(folder / "photos", 2, 3);
  const Json key = {{"a", "key"}};
  PrepareOptions options;
  options.detect = false, options.canvas = 48;
  ArtifactStore store(folder / "store");
  const auto photos = prepare(scan_photos(folder / "photos"), folder / "dataset", options, store).photos;
  const auto artefact = store.get_or_make("kind", key, [](const fs::path& at) { write_file(at / "data", "made"); });
  const std::vector<Sealed> files = {{artefact / "data", sha256("made")}};
  DigestRecord record(folder / "record", folder.path);
  const fs::path root = fs::canonical(folder / "photos");
  const std::vector<std::pair<std::string, std::function<void()>>> readers = {
      {"photos", [&] { scan_photos(root); }},
      {"pictures", [&] { pictures_below(root); }},
      {"manifest", [&] { read_dataset(folder / "dataset"); }},
      {"digests", [&] { first_altered(files, record, true); }},
      {"find", [&] { ArtifactStore(folder / "store").find(id_of("kind", key)); }},
      {"verify", [&] { ArtifactStore(folder / "store").damage_of(store.artefacts().at(0)); }},
      {"sheet", [&] { contact_sheet({std::vector<Tile>{{read_canvas(photos[0]), ""}}}, 16); }}};
  for (const auto& [name, read] : readers) {
    EXPECT_EQ(status_after({}, read), 0) << name;
    EXPECT_EQ(status_after({SIGINT}, read), 30) << name;
  }
  EXPECT_EQ(status_after({SIGTERM}, readers[2].second), 43);
  EXPECT_TRUE(store.find(id_of("kind", key))) << "it was taken for damaged";
}

TEST(Interrupt, CostsNoBlockOfWorkThatIsDone) {
  const TempFolder folder;
  const Json key = {{"a", "key"}};
  const auto put = [&] {
    ArtifactStore(folder / "store").put(id_of("kind", key), key, "", [](const fs::path& at) {
      write_file(at / "data", "made");
    });
  };
  EXPECT_EQ(status_after({SIGINT}, put), 0);
  EXPECT_TRUE(ArtifactStore(folder / "store").find(id_of("kind", key)));
}

}  // namespace
}  // namespace facepoison::testing
