#include "facepoison/model.hpp"

#include <fstream>
#include <sstream>

#include "facepoison/error.hpp"
#include "facepoison/home.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {
namespace {

// The hash that the conversion on this machine wrote beside the file, or "".
std::string converted_hash(const fs::path& model) {
  const auto record = fs::path(model).replace_extension(".json");
  if (!fs::exists(record)) return "";
  const Json json = read_json(record);
  return json.is_object() && json.contains("sha256") && json["sha256"].is_string() ? json["sha256"].get<std::string>()
                                                                                   : "";
}

std::string first_bytes(const fs::path& path) {
  std::string bytes(64, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

// The first line, without LibTorch's C++ stack trace.
std::string brief(const std::string& what) { return what.substr(0, what.find('\n')); }

// What was verified may have been replaced since; what is loaded is what was hashed.
std::string read_verified(const ModelFile& file) {
  std::string bytes = read_file(file.path);
  if (sha256(bytes) != file.sha256)
    throw Error(Exit::model, concat(file.path.string(), " was replaced after its hash was checked"));
  return bytes;
}

}  // namespace

ModelFile verify_model(const std::string& file, const fs::path& card_folder, const std::string& expected, bool trust,
                       const std::string& how_to_get) {
  ModelFile model;
  model.path = model_path(file, card_folder);
  if (!fs::exists(model.path))
    throw Error(Exit::model,
                concat("no such model: ", model.path.string(), how_to_get.empty() ? "" : "; to get it: " + how_to_get));
  const auto start = first_bytes(model.path);
  if (const auto first = start.find_first_not_of(" \t\r\n"); first != std::string::npos && start[first] == '<')
    throw Error(Exit::model, concat(model.path.string(), " is an HTML page, not a model: the download went wrong"));
  model.sha256 = sha256_of_file(model.path);
  const std::string known = expected.empty() ? converted_hash(model.path) : expected;
  model.pinned_by = !expected.empty() ? "card"
                    : !known.empty()  ? fs::path(model.path.filename()).replace_extension(".json").string()
                                      : "nobody";
  if (known.empty() && !trust)
    throw Error(Exit::model, concat(model.path.string(),
                                    ": its card names no sha256 and no conversion left one beside it; a model is code: "
                                    "--trust-model runs it all the same"));
  if (!known.empty() && !same_digest(known, model.sha256))
    throw Error(Exit::model, concat(model.path.string(), " has the sha256 ", model.sha256, ", expected ", known,
                                    ": altered or half fetched; fetch it again"));
  return model;
}

torch::jit::Module load_model(const ModelFile& file, torch::Device device, torch::ScalarType precision) {
  torch::jit::Module module;
  try {
    std::istringstream bytes(read_verified(file));
    module = torch::jit::load(bytes, device);  // its graphs' constants too, which to() leaves where they are
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    throw Error(Exit::resource, concat(file.path.string(), ": out of memory on ", device));
  } catch (const std::exception& error) {  // c10::Error, or what the archive's reader lets through
    throw Error(Exit::model,
                concat(file.path.string(), " is no TorchScript file, or a truncated one: ", brief(error.what())));
  }
  module.eval();
  if (precision != torch::kFloat32) module.to(precision);
  for (auto parameter : module.parameters()) {
    parameter.set_requires_grad(false);
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
  }
  return module;
}

}  // namespace facepoison
