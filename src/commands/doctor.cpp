// `doctor` describes the machine, for reports of problems, and checks the models on it.
#include <ATen/Parallel.h>

#include "commands/commands.hpp"
#include "facepoison/home.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"
#include "facepoison/perceptual.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

const std::vector<std::string> doctor_columns = {"what", "state", "found"};

void add_machine(Table& table) {
  table.add({"facepoison", "", concat(version(), ", commit ", commit())});
  table.add({"LibTorch", "", libtorch_version()});
  table.add({"OpenCV", "", opencv_version()});
  table.add({"threads", "", static_cast<std::int64_t>(at::get_num_threads())});
  const Json how = arithmetic(torch::kCPU);
  table.add({"instruction set", "", how.at("instructions").get<std::string>()});
  for (const auto& [name, value] : how.at("kernels").items()) table.add({name, "", value.get<std::string>()});
  for (const auto& device : devices()) table.add({concat("device ", device.str()), "", machine(device)});
}

// The free space of the nearest existing folder: the store may not exist yet.
std::string free_space(fs::path folder) {
  std::error_code none;
  while (!fs::exists(folder, none) && folder.has_relative_path()) folder = folder.parent_path();
  const auto space = fs::space(folder, none);
  return none ? "free space is not known" : concat(space.available / 1'000'000, " MB free");
}

void add_folders(Table& table, const fs::path& store) {
  table.add({"home", "", project_home().string()});
  std::string state = "not a store", found = concat(store.string(), ", ", free_space(store));
  try {
    ArtifactStore{store};  // refuses a folder that is not a store
    state = "read only";
    check_writable(store / "claims" / "any");
    state = "ok";
  } catch (const Error& error) {
    found += concat("; ", error.what());
  }
  table.add({"store", state, found});
}

// Adds a model's row; `check` says what was found. Returns whether it is sound or missing.
template <class Check>
bool add_model(Table& table, const std::string& what, const fs::path& file, const std::string& how_to_get,
               const Check& check) {
  if (!fs::exists(file)) {
    table.add(
        {what, "missing", how_to_get.empty() ? "its card does not say how to get it" : "to get it: " + how_to_get});
    return true;
  }
  try {
    const auto [state, found] = check();
    table.add({what, state, found});
    return state == "ok";
  } catch (const Error& error) {
    table.add({what, "broken", error.what()});
    return false;
  }
}

using Finding = std::pair<std::string, std::string>;  // state, and what was found

// A recogniser or a cloak detector.
bool add_carded(Table& table, const Card& card, const RunOptions& options) {
  return add_model(
      table, card.name, model_path(card.file, card.path.parent_path()), card.how_to_get(), [&]() -> Finding {
        const auto check = check_golden(*make_extractor(card, options), options);
        if (check.golden == "none") return {"ok", "its hash; its card names no golden embedding"};
        return {check.golden, concat("its hash; golden embedding: ", off_by(check.cosine, check.difference))};
      });
}

// A detector's or a metric's network, of the card configs/<folder>/<name>.json.
bool add_network(Table& table, const std::string& name, const fs::path& folder) {
  const fs::path path = resolve_named(name, folder);
  const Json card = read_json(path);
  const auto file = card.at("file").get<std::string>(), sha256 = card.value("sha256", ""),
             how_to_get = card.value("get", "scripts/fetch_models.py " + name);
  return add_model(table, name, model_path(file, path.parent_path()), how_to_get, [&]() -> Finding {
    load_model(verify_model(file, path.parent_path(), sha256, false), torch::kCPU);
    return {"ok", "its hash, and it can be loaded"};
  });
}

}  // namespace

Action doctor_command(CLI::App& app) {
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  return [device, store, output] {
    output->check();
    const auto options = device->resolve();
    Table table{doctor_columns, {}, {}};
    add_machine(table);
    add_folders(table, store->path());
    bool sound = true;
    for (const auto* folder : {"configs/detectors", "configs/metrics"})
      for (const auto& name : names_in(folder)) sound = add_network(table, name, folder) && sound;
    for (const auto task : every_task)
      for (const auto& card : all_cards(task)) {
        stop_if_interrupted();
        sound = add_carded(table, card, options) && sound;
      }
    table.notes.push_back(concat("networks were run on ", device_name(options.device), ", ", precision_name(options),
                                 "; only configs that name a missing model need it"));
    output->write(table);
    if (!sound) log_error("a model on this machine is broken or differs from its golden embedding");
    return sound ? Exit::ok : Exit::model;
  };
}

}  // namespace facepoison
