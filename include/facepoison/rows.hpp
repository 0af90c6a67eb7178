// Row numbers of lists. Rows of different lists have different types, so that they are not confused.
#pragma once
#include <compare>
#include <cstdint>

namespace facepoison {

// Converts to std::size_t, to index a vector with it. Name the type to make one: PhotoRow(3).
template <class List>
class RowOf {
 public:
  RowOf() = default;
  template <class Integer>
  explicit constexpr RowOf(Integer number) : number_(static_cast<std::uint32_t>(number)) {}
  constexpr operator std::size_t() const { return number_; }
  constexpr std::strong_ordering operator<=>(const RowOf&) const = default;
  constexpr bool operator==(const RowOf&) const = default;

 private:
  std::uint32_t number_ = 0;
};

using PhotoRow = RowOf<struct PhotosOfDataset>;
using GalleryRow = RowOf<struct RowsOfGallery>;  // of everybody's gallery, before any trial changes it
using TreatmentId = RowOf<struct Treatments>;    // 0: the photo as it is

// A person's place in the sorted list of a data set's people; −1: nobody. A plain number, since tensors hold it.
using Label = std::int64_t;

}  // namespace facepoison
