// A view: memory that somebody else owns, with a shape and the device it lies on. Row-major and
// dense, at most 4 dimensions. No arithmetic here. Rule: a view never outlives its memory; passing
// one is free; only ops look into memory of a device that is not the CPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>

#include "base/error.h"
#include "tensor/device.h"

namespace nativo::tensor {

/// Sizes of a dense row-major tensor, outermost first.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 4;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::int64_t> sizes) {  // NOLINT: implicit by design
    NATIVO_CHECK(sizes.size() <= kMaxRank, "a shape has at most 4 dimensions");
    for (const std::int64_t size : sizes) {
      NATIVO_CHECK(size >= 0, "a size is not negative");
      sizes_[rank_++] = size;
    }
  }

  [[nodiscard]] constexpr std::size_t rank() const { return rank_; }
  [[nodiscard]] constexpr std::int64_t operator[](std::size_t axis) const { return sizes_[axis]; }
  [[nodiscard]] constexpr std::int64_t elements() const {
    std::int64_t product = 1;
    for (std::size_t axis = 0; axis < rank_; ++axis) product *= sizes_[axis];
    return product;
  }
  constexpr bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};
  std::size_t rank_ = 0;
};

/// T is float, const float, std::int32_t, ... A View<float> converts to a View<const float>.
template <class T>
class View {
 public:
  using Element = T;

  constexpr View() = default;
  constexpr View(T* data, const Shape& shape, const Device& device = {})
      : data_(data), shape_(shape), device_(device) {}
  /// `memory` must hold exactly the shape's elements.
  constexpr View(std::span<T> memory, const Shape& shape) : data_(memory.data()), shape_(shape) {
    NATIVO_CHECK(static_cast<std::int64_t>(memory.size()) == shape.elements(),
                 "memory does not have the shape's size");
  }
  template <class U>
  requires(std::is_same_v<const U, T>) constexpr View(
      const View<U>& other)  // NOLINT: implicit by design
      : data_(other.data()), shape_(other.shape()), device_(other.device()) {}

  [[nodiscard]] constexpr T* data() const { return data_; }
  [[nodiscard]] constexpr const Shape& shape() const { return shape_; }
  [[nodiscard]] constexpr const Device& device() const { return device_; }
  [[nodiscard]] constexpr std::int64_t size(std::size_t axis) const { return shape_[axis]; }
  [[nodiscard]] constexpr std::int64_t elements() const { return shape_.elements(); }
  [[nodiscard]] constexpr std::span<T> span() const {
    return {data_, static_cast<std::size_t>(shape_.elements())};
  }
  /// Rows [first, first + count) of the outermost dimension.
  [[nodiscard]] constexpr View rows(std::int64_t first, std::int64_t count) const {
    NATIVO_CHECK(shape_.rank() > 0 && first >= 0 && count >= 0 && first + count <= shape_[0],
                 "rows outside the view");
    std::int64_t stride = 1;
    for (std::size_t axis = 1; axis < shape_.rank(); ++axis) stride *= shape_[axis];
    View part = *this;
    part.data_ += first * stride;
    part.shape_ = with_first(count);
    return part;
  }

 private:
  [[nodiscard]] constexpr Shape with_first(std::int64_t count) const {
    switch (shape_.rank()) {
      case 1:
        return {count};
      case 2:
        return {count, shape_[1]};
      case 3:
        return {count, shape_[1], shape_[2]};
      default:
        return {count, shape_[1], shape_[2], shape_[3]};
    }
  }

  T* data_ = nullptr;
  Shape shape_;
  Device device_;
};

}  // namespace nativo::tensor
