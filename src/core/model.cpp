#include "facepoison/model.hpp"

#include <fstream>
#include <sstream>
#include <string_view>

#include "facepoison/error.hpp"
#include "facepoison/home.hpp"
#include "facepoison/digests.hpp"
#include "facepoison/json.hpp"
#include "facepoison/kernels.hpp"

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

constexpr auto torchscript_wanted =
    ", not a TorchScript file: scripts/export/ makes one from a published checkpoint, "
    "torch.jit.script(model).save(FILE) from your own network";

// Describes a file that is not a model, by its first bytes; "" if it may be one.
std::string describe_wrong_file(const std::string& start) {
  if (start.empty()) return " is empty";
  if (start.starts_with("version https://git-lfs"))
    return " is a git-lfs pointer, not the model itself: git lfs pull in the clone fetches it";
  if (start.starts_with("\x80\x02")) return concat(" is a pickle, a state dict or a whole module", torchscript_wanted);
  if (start.size() > 8 && start[7] == '\0' && start[8] == '{')
    return concat(" has only tensors (safetensors)", torchscript_wanted);
  const auto first = start.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  if (start[first] == '<') return " is an HTML page, not a model: the download went wrong";
  if (start[first] == '{') return " is JSON text, not a model: the download went wrong, or it is the model's card";
  return "";
}

// Describes a zip that is not TorchScript; "" if it may be a damaged one.
std::string other_archive(std::string_view bytes) {
  const auto holds = [&](std::string_view name) { return bytes.find(name) != std::string_view::npos; };
  if (!bytes.starts_with("PK") || holds("/code/")) return "";
  if (holds("serialized_exported_program.json") || holds("/archive_format"))
    return concat(" is a program of torch.export (.pt2)", torchscript_wanted);
  if (bytes.substr(0, 512).find("/data.pkl") != std::string_view::npos)  // TorchScript's first record is a tensor
    return concat(" was made by torch.save(): a state dict or a whole module", torchscript_wanted);
  return "";
}

// Converts weights to float32: some networks, as CLIP, are published in half precision; pixels are float32.
void to_float32(torch::jit::Module& module) {
  const auto widen = [](torch::Tensor tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(torch::kFloat32));
  };
  for (const auto& parameter : module.parameters()) widen(parameter);
  for (const auto& buffer : module.buffers()) widen(buffer);
}

// The first line of a message, without LibTorch's C++ stack trace.
std::string brief(const std::string& what) { return what.substr(0, what.find('\n')); }

// Reads a verified file, which may have been replaced since.
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
  if (const auto found = describe_wrong_file(first_bytes(model.path)); !found.empty())
    throw Error(Exit::model, concat(model.path.string(), found));
  model.sha256 = sha256_of_file(model.path);
  const std::string known = expected.empty() ? converted_hash(model.path) : expected;
  model.pinned_by = !expected.empty() ? PinnedBy::card : !known.empty() ? PinnedBy::conversion : PinnedBy::nobody;
  if (known.empty() && !trust)
    throw Error(Exit::model, concat(model.path.string(),
                                    ": its sha256 is neither on its card nor in a conversion's record beside it; a "
                                    "model is code: pass --trust-model to run it anyway"));
  if (!known.empty() && !same_digest(known, model.sha256))
    throw Error(Exit::model, concat(model.path.string(), " has the sha256 ", model.sha256, ", expected ", known,
                                    ": altered or incomplete; fetch it again"));
  return model;
}

torch::jit::Module load_model(const ModelFile& file, torch::Device device, torch::ScalarType precision) {
  use_fast_kernels();
  torch::jit::Module module;
  std::istringstream bytes(read_verified(file));
  try {
    module = torch::jit::load(bytes, device);  // moves its graphs' constants too, as to() does not
  } catch (const c10::OutOfMemoryError&) {
    throw Error(Exit::resource, concat(file.path.string(), ": out of memory on ", device));
  } catch (const std::exception& error) {  // c10::Error, or an error of the archive's reader
    if (is_shortage(error)) throw;         // nothing is wrong with the file
    const auto other = other_archive(bytes.view());
    const auto damaged = concat(" is not a TorchScript file, or is a truncated one: ", brief(error.what()));
    throw Error(Exit::model, concat(file.path.string(), other.empty() ? damaged : other));
  }
  module.eval();
  to_float32(module);
  if (precision != torch::kFloat32) module.to(precision);
  for (auto parameter : module.parameters()) {
    parameter.set_requires_grad(false);
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
  }
  return module;
}

}  // namespace facepoison
