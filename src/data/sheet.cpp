#include "facepoison/sheet.hpp"

#include <algorithm>
#include <filesystem>
#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/unicode.hpp"

namespace facepoison {
namespace {

constexpr int gap = 4, label_height = 16;

bool labelled(const std::vector<Tile>& row) {
  return std::any_of(row.begin(), row.end(), [](const Tile& tile) { return !tile.label.empty(); });
}

int height_of(const std::vector<Tile>& row, int side) { return gap + (labelled(row) ? label_height : 0) + side; }

void draw_row(cv::Mat& sheet, const std::vector<Tile>& row, int top, int side) {
  if (labelled(row)) top += label_height;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int left = gap + static_cast<int>(i) * (side + gap);
    const Image image = resize_image(row[i].image, side, side);
    matrix(image).copyTo(sheet(cv::Rect(left, top + gap, side, side)));
    cv::putText(sheet, ascii_letters(row[i].label), {left, top}, cv::FONT_HERSHEY_SIMPLEX, 0.36, cv::Scalar(0, 0, 0), 1,
                cv::LINE_AA);
  }
}

}  // namespace

Image contact_sheet(const std::vector<std::vector<Tile>>& rows, int side) {
  std::size_t columns = 1;
  int height = gap;
  for (const auto& row : rows) {
    columns = std::max(columns, row.size());
    height += height_of(row, side);
  }
  cv::Mat sheet(height, gap + static_cast<int>(columns) * (side + gap), CV_8UC3, cv::Scalar(255, 255, 255));
  int top = 0;
  for (const auto& row : rows) {
    stop_if_interrupted();
    draw_row(sheet, row, top, side);
    top += height_of(row, side);
  }
  return image_of(sheet);
}

Image difference_image(const Image& a, const Image& b, double factor) {
  cv::Mat difference;
  cv::subtract(matrix(b), matrix(a), difference, cv::noArray(), CV_16S);
  difference.convertTo(difference, CV_8U, factor, 128);
  return image_of(difference);
}

std::string encode_image(const Image& image, const std::string& file) {
  const std::string ending = std::filesystem::path(file).extension().string();
  if (ending == ".png") return encode_png(image);
  if (ending != ".jpg" && ending != ".jpeg")
    throw Error(Exit::usage, concat(file, ": expected a name that ends in .png, .jpg or .jpeg"));
  if (std::max(image.width, image.height) > 65500)
    throw Error(Exit::usage, concat(file, ": ", image.width, "×", image.height,
                                    " pixels are more than JPEG holds; show fewer people, or write .png"));
  return encode_jpeg(image, 88);
}

}  // namespace facepoison
