#include "tensor/any_view.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "tensor/device_memory.h"

namespace nativo::tensor {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 22;  ///< numbers converted at a time

template <class T>
View<T> piece_of(const View<T>& view, std::size_t first, std::size_t count) {
  return {view.data() + first, {static_cast<std::int64_t>(count)}, view.device()};
}

/// Calls body(first, count) for pieces of `count` numbers.
template <class Body>
void for_pieces(std::size_t count, const Body& body) {
  for (std::size_t at = 0; at < count; at += kPiece) body(at, std::min(kPiece, count - at));
}

void read_typed(const View<float>& from, std::span<float> to) {
  copy_bytes({}, to.data(), from.device(), from.data(), to.size_bytes());
}
void read_typed(const View<bf16>& from, std::span<float> to) {
  std::vector<bf16> staged(std::min(kPiece, to.size()));
  for_pieces(to.size(), [&](std::size_t at, std::size_t count) {
    copy_bytes({}, staged.data(), from.device(), from.data() + at, count * sizeof(bf16));
    std::transform(staged.begin(), staged.begin() + static_cast<std::ptrdiff_t>(count),
                   to.begin() + static_cast<std::ptrdiff_t>(at), to_f32);
  });
}

void write_typed(std::span<const float> from, const View<float>& to) {
  copy_bytes(to.device(), to.data(), {}, from.data(), from.size_bytes());
}
void write_typed(std::span<const float> from, const View<bf16>& to) {
  std::vector<bf16> staged(std::min(kPiece, from.size()));
  for_pieces(from.size(), [&](std::size_t at, std::size_t count) {
    std::transform(from.begin() + static_cast<std::ptrdiff_t>(at),
                   from.begin() + static_cast<std::ptrdiff_t>(at + count), staged.begin(), to_bf16);
    copy_bytes(to.device(), to.data() + at, {}, staged.data(), count * sizeof(bf16));
  });
}

}  // namespace

std::size_t elements(const AnyView& view) {
  return std::visit(
      [](const auto& typed) {
        return typed.data() == nullptr ? std::size_t{0}
                                       : static_cast<std::size_t>(typed.elements());
      },
      view);
}

Device device(const AnyView& view) {
  return std::visit([](const auto& typed) { return typed.device(); }, view);
}

std::byte* bytes(const AnyView& view) {
  return std::visit([](const auto& typed) { return reinterpret_cast<std::byte*>(typed.data()); },
                    view);
}

AnyView part(const AnyView& view, std::size_t first, std::size_t count) {
  NATIVO_CHECK(first + count <= elements(view), "a part is inside the whole");
  return std::visit([&](const auto& typed) { return AnyView(piece_of(typed, first, count)); },
                    view);
}

void read(const AnyView& from, std::span<float> to) {
  NATIVO_CHECK(elements(from) == to.size(), "read: sizes differ");
  if (to.empty()) return;
  std::visit([&](const auto& typed) { read_typed(typed, to); }, from);
}

void write(std::span<const float> from, const AnyView& to) {
  NATIVO_CHECK(elements(to) == from.size(), "write: sizes differ");
  if (from.empty()) return;
  std::visit([&](const auto& typed) { write_typed(from, typed); }, to);
}

std::span<float> host_span(const AnyView& view) {
  const auto* f32 = std::get_if<View<float>>(&view);
  if (f32 == nullptr || f32->data() == nullptr || f32->device().is_cuda()) return {};
  return f32->span();
}

}  // namespace nativo::tensor
