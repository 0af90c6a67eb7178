#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/log.hpp"
#include "facepoison/own_photos.hpp"

namespace facepoison {
namespace {

const std::string work_name = "facepoison-audit-";

// A temporary folder, removed at the end. A killed process leaves it behind unlocked, and the next process removes it.
// The file `lock` is empty until it is locked, so that a folder that is just being made is not removed.
class WorkFolder {
 public:
  WorkFolder() {
    const auto above = fs::temp_directory_path();
    std::error_code none;
    for (const auto& left : fs::directory_iterator(above, none))
      if (left.path().filename().string().starts_with(work_name)) remove_unless_locked(left.path());
    auto name = (above / concat(work_name, "XXXXXX")).string();
    if (!mkdtemp(name.data()))
      throw Error(Exit::failure, concat("cannot make a folder in ", above.string(), ": ", std::strerror(errno)));
    path_ = name;
    lock_ = open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0 || flock(lock_, LOCK_EX) != 0 || write(lock_, "locked\n", 7) != 7)
      throw Error(Exit::failure, concat("cannot lock ", (path_ / "lock").string(), ": ", std::strerror(errno)));
  }
  WorkFolder(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code none;
    fs::remove_all(path_, none);
    close(lock_);
  }
  const fs::path& path() const { return path_; }

 private:
  static void remove_unless_locked(const fs::path& folder) {
    const int lock = open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) return;  // somebody else's
    std::error_code none;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0 && fs::file_size(folder / "lock", none) > 0) fs::remove_all(folder, none);
    close(lock);
  }

  fs::path path_;
  int lock_ = -1;
};

// The attack of --cloaked or --attack.
Json cloak_of(const std::string& attack, const std::string& cloaked) {
  if (!cloaked.empty())
    return {{"preset", "files"}, {"name", "your cloaked files"}, {"folder", fs::canonical(cloaked).string()}};
  return attack.empty() ? Json() : Json(attack);
}

}  // namespace

Action audit_command(CLI::App& app) {
  struct Options {
    OwnPhotos own;
    std::string photos, crowd, attack, cloaked, keep_store;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("PHOTOS", o->photos, "a folder with photos of one person, 6 or more")->required();
  auto* attack = app.add_option("--attack", o->attack, "cloak the photos with this attack, and search again");
  app.add_option("--cloaked", o->cloaked, "the same photos, cloaked by another tool, with the same file names")
      ->check(CLI::ExistingDirectory)
      ->excludes(attack);
  app.add_option("--crowd", o->crowd, "other people: a data set, or a folder of photos (default: the rendered people)");
  app.add_option("-e,--extractor", o->own.extractors, "recognisers by name or card (default: all on this machine)")
      ->delimiter(',');
  app.add_flag("--with-photos", o->own.with_photos, "show the photos and their file names on the page");
  app.add_option("--keep-store", o->keep_store,
                 "keep computed results in this folder, so that the next audit of the same photos is faster");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  app.get_option("--output")
      ->description("FILE.html: a page with answers, figures and tables; another FILE: the table");
  return [o, device, output] {
    output->check({o->photos});
    o->own.photos = o->photos;
    o->own.crowd = o->crowd;
    o->own.cloak = cloak_of(o->attack, o->cloaked);
    o->own.device = device->device;
    o->own.precision = device->precision;
    o->own.trust_model = device->trust_model;
    const WorkFolder work;
    ArtifactStore store(o->keep_store.empty() ? work.path() / "store" : fs::absolute(o->keep_store));
    const auto searched = search_for(o->own, work.path() / "work", store);
    if (const fs::path page = output->file; page.extension() == ".html") {
      write_file(page, page_of(searched.findings, searched.photos, project_home()));
      output->file.clear();  // the table goes to stdout
    }
    output->write(searched.findings.found);
    for (const auto& [id, question, answer] : answers_of(searched.findings))
      log_info(concat(question, question.ends_with('?') ? " " : ": ", answer));
    return Exit::ok;
  };
}

}  // namespace facepoison
