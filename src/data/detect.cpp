// The MTCNN cascade: "Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks", Zhang et
// al., IEEE SPL 2016. A small network proposes boxes at every place and scale, a second and a third one look at each
// proposal again, and the third one gives the landmarks.
//
// Deviations from the authors' code. It rounds boxes to whole pixels after each step; here a box keeps its fractions
// and only the crop that a network sees is rounded, so the result depends as little as possible on the picture's scale.
// Large pictures are shrunk first, and the smallest face grows with the picture, which bounds the cost.
#include "facepoison/detect.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <utility>

#include "facepoison/error.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {
namespace {

constexpr int longest_side = 1024;              // larger pictures are searched at this size
constexpr double smallest_face = 20;            // pixels of the searched picture …
constexpr double smallest_face_share = .04;     // … and share of its shorter side
constexpr double pyramid_factor = .709;         // about 1/√2: half the area a step
constexpr int cell_side = 12, cell_stride = 2;  // what one output of the proposal network looks at
constexpr std::array thresholds{.6, .7, .8};
constexpr std::size_t block_size = 128;  // crops in one call: bounds the memory

struct Candidate {
  Box box;  // edges: the picture is [0, width] × [0, height]
  double score = 0;
  std::array<double, 4> shift{};    // of the box's edges, in widths and heights
  std::array<double, 10> points{};  // five x, five y, in widths and heights
};
using Candidates = std::vector<Candidate>;

double intersection(const Box& a, const Box& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}

double overlap_of_smaller(const Box& a, const Box& b) {
  const double smaller = std::min(a.area(), b.area());
  return smaller > 0 ? intersection(a, b) / smaller : 0;
}

// Keeps the best of each group of overlapping boxes, best first; of equals the earlier one. Cells that lie four pixels
// apart overlap by exactly one half, the limit: with the slack, rounding does not decide.
Candidates suppress(Candidates candidates, double limit, double (*measure)(const Box&, const Box&) = overlap) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  Candidates kept;
  for (const Candidate& candidate : candidates) {
    const auto covers = [&](const Candidate& better) { return measure(better.box, candidate.box) > limit + 1e-6; };
    if (std::none_of(kept.begin(), kept.end(), covers)) kept.push_back(candidate);
  }
  return kept;
}

void apply_shifts(Candidates& candidates) {
  for (auto& [box, score, shift, points] : candidates) {
    const double width = box.x2 - box.x1, height = box.y2 - box.y1;
    box = {box.x1 + shift[0] * width, box.y1 + shift[1] * height, box.x2 + shift[2] * width,
           box.y2 + shift[3] * height};
  }
}

// The square around a box, on whole pixels: what the next network looks at.
Box square_around(const Box& box) {
  const double side = std::max({box.x2 - box.x1, box.y2 - box.y1, 1.});
  const double x = std::floor((box.x1 + box.x2 - side) / 2 + .5), y = std::floor((box.y1 + box.y2 - side) / 2 + .5);
  const double whole_side = std::floor(side + .5);
  return {x, y, x + whole_side, y + whole_side};
}

// Pictures of one size → N×3×H×W, scaled as the networks were trained.
torch::Tensor network_input(const std::vector<Image>& images) {
  const Image& first = images.front();
  torch::Tensor bytes =
      torch::empty({static_cast<std::int64_t>(images.size()), first.height, first.width, 3}, torch::kUInt8);
  auto* out = bytes.data_ptr<std::uint8_t>();
  for (const Image& image : images) out = std::copy(image.rgb.begin(), image.rgb.end(), out);
  return bytes.permute({0, 3, 1, 2}).to(torch::kFloat32).sub_(127.5).div_(128);
}

class Cascade {
 public:
  Cascade(const torch::jit::Module& network, const Image& image) : network_(network), image_(image) {}

  Candidates run() const {
    Candidates found = suppress(propose(), .7);
    apply_shifts(found);
    found = suppress(look("rnet", 24, thresholds[1], std::move(found)), .7);
    apply_shifts(found);
    found = look("onet", 48, thresholds[2], std::move(found));
    // Landmarks are relative to the square that the network looked at, so they are placed before its box moves.
    for (auto& [box, score, shift, points] : found)
      for (std::size_t i = 0; i < 5; ++i) {
        points[i] = box.x1 + points[i] * (box.x2 - box.x1);
        points[i + 5] = box.y1 + points[i + 5] * (box.y2 - box.y1);
      }
    apply_shifts(found);
    return suppress(std::move(found), .7, overlap_of_smaller);
  }

 private:
  std::vector<torch::Tensor> call(const char* method, const std::vector<Image>& images) const {
    const auto results = network_.get_method(method)({network_input(images)});
    std::vector<torch::Tensor> tensors;
    for (const auto& element : results.toTupleRef().elements()) tensors.push_back(element.toTensor().contiguous());
    return tensors;
  }

  // Runs the proposal network at each scale at which its cell is the size of a face. Scales start at the picture's own
  // size, not at the smallest face, so that a picture and an enlarged copy are treated alike.
  Candidates propose() const {
    const double shorter = std::min(image_.width, image_.height);
    Candidates all;
    for (double face = shorter; face >= std::max(smallest_face, smallest_face_share * shorter);
         face *= pyramid_factor) {
      const int width = static_cast<int>(std::lround(image_.width * cell_side / face));
      const int height = static_cast<int>(std::lround(image_.height * cell_side / face));
      const Candidates some = suppress(propose_at(width, height), .5);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

  Candidates propose_at(int width, int height) const {
    const auto results = call("pnet", {resize_image(image_, width, height)});
    const auto scores = results[0].accessor<float, 3>();
    const auto shifts = results[1].accessor<float, 4>();
    const double step_x = double(image_.width) / width, step_y = double(image_.height) / height;
    Candidates found;
    for (int y = 0; y < scores.size(1); ++y)
      for (int x = 0; x < scores.size(2); ++x) {
        if (!(scores[0][y][x] >= thresholds[0])) continue;
        Candidate& candidate = found.emplace_back();
        candidate.box = {cell_stride * x * step_x, cell_stride * y * step_y, (cell_stride * x + cell_side) * step_x,
                         (cell_stride * y + cell_side) * step_y};
        candidate.score = scores[0][y][x];
        for (int i = 0; i < 4; ++i) candidate.shift[i] = shifts[0][i][y][x];
      }
    return found;
  }

  // Runs a later network on the squares around the candidates; drops those that it rejects.
  Candidates look(const char* method, int side, double threshold, Candidates candidates) const {
    Candidates kept;
    for (std::size_t start = 0; start < candidates.size(); start += block_size) {
      const std::size_t end = std::min(start + block_size, candidates.size());
      std::vector<Image> crops;
      for (std::size_t i = start; i < end; ++i) {
        const Box& box = candidates[i].box = square_around(candidates[i].box);
        const int whole_side = static_cast<int>(box.x2 - box.x1);
        const Image crop =
            crop_image(image_, static_cast<int>(box.x1), static_cast<int>(box.y1), whole_side, whole_side);
        crops.push_back(resize_image(crop, side, side));
      }
      const auto results = call(method, crops);
      for (std::size_t i = start; i < end; ++i) {
        Candidate& candidate = candidates[i];
        const auto row = static_cast<std::int64_t>(i - start);
        candidate.score = results[0].data_ptr<float>()[row];
        std::copy_n(results[1].data_ptr<float>() + row * 4, 4, candidate.shift.begin());
        if (results.size() > 2) std::copy_n(results[2].data_ptr<float>() + row * 10, 10, candidate.points.begin());
        if (candidate.score >= threshold) kept.push_back(candidate);
      }
    }
    return kept;
  }

  const torch::jit::Module& network_;
  const Image& image_;
};

// Uses one thread: last bits of LibTorch's sums depend on the number of threads, a photo's landmarks must not. Small
// networks gain nothing from a second one, and lose much on a busy machine (2 busy cores: 0.3 s a photo instead of
// 0.01). Turns off this thread's graph optimiser, which would compile every new size.
class SameBitsEverywhere {
 public:
  SameBitsEverywhere() { set_threads(1); }
  ~SameBitsEverywhere() { set_threads(threads_); }
  SameBitsEverywhere(const SameBitsEverywhere&) = delete;
  SameBitsEverywhere& operator=(const SameBitsEverywhere&) = delete;

 private:
  // A single thread does not set LibTorch's number, which later threads would get too.
  void set_threads(int count) const {
    if (threads_ > 1) at::set_num_threads(count);
  }

  const int threads_ = at::get_num_threads();
  const torch::jit::GraphOptimizerEnabledGuard optimizer_{false};
  const c10::InferenceMode inference_;
};

ModelFile find_network() {
  const fs::path card_path = project_home() / "configs" / "detectors" / "mtcnn.json";
  const Json card = read_json(card_path);
  if (!card.is_object() || !card.contains("file") || !card["file"].is_string())
    throw Error(Exit::model, concat(card_path.string(), ": \"file\" must name the detector's network"));
  return verify_model(card["file"], card_path.parent_path(), card.value("sha256", ""), false,
                      "scripts/fetch_models.py " + card_path.stem().string());
}

}  // namespace

double overlap(const Box& a, const Box& b) {
  const double shared = intersection(a, b);
  return shared > 0 ? shared / (a.area() + b.area() - shared) : 0;
}

struct FaceDetector::Impl {
  ModelFile file = find_network();
  std::once_flag once;
  torch::jit::Module network;
};

FaceDetector::FaceDetector() : impl_(std::make_unique<Impl>()) {}
FaceDetector::~FaceDetector() = default;

const std::string& FaceDetector::sha256() const { return impl_->file.sha256; }

std::vector<Detection> FaceDetector::detect(const Image& image) const {
  if (image.width <= 0 || image.height <= 0) return {};
  std::call_once(impl_->once, [&] { impl_->network = load_model(impl_->file, torch::kCPU); });
  const SameBitsEverywhere guard;
  const double shrink = std::min(1., double(longest_side) / std::max(image.width, image.height));
  const auto shrunk = [&](int length) { return std::max(1, static_cast<int>(std::lround(length * shrink))); };
  const Image small = shrink < 1 ? resize_image(image, shrunk(image.width), shrunk(image.height)) : Image{};
  const Image& searched = shrink < 1 ? small : image;
  const double x = double(image.width) / searched.width, y = double(image.height) / searched.height;

  std::vector<Detection> detections;
  for (const Candidate& face : Cascade(impl_->network, searched).run()) {
    Detection& detection = detections.emplace_back();
    detection.box = {face.box.x1 * x, face.box.y1 * y, face.box.x2 * x, face.box.y2 * y};
    detection.score = face.score;
    // Half a pixel: from edges to the centres of pixels, where landmarks are counted from.
    for (std::size_t i = 0; i < 5; ++i) detection.landmarks[i] = {face.points[i] * x - .5, face.points[i + 5] * y - .5};
  }
  return detections;
}

}  // namespace facepoison
