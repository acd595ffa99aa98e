// A flat run of numbers whose type and device are known at run time alone: what parameters are to
// those that store, exchange and update them. Not here: arithmetic, which is typed (ops/).
// Rule: whoever looks at single numbers reads them to the host, in f32, first.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::tensor {

/// [elements]; a null View<float> unless said otherwise.
using AnyView = std::variant<View<float>, View<bf16>>;

[[nodiscard]] std::size_t elements(const AnyView& view);
[[nodiscard]] Device device(const AnyView& view);
[[nodiscard]] std::byte* bytes(const AnyView& view);

/// Elements first .. first + count - 1.
[[nodiscard]] AnyView part(const AnyView& view, std::size_t first, std::size_t count);

/// to = from, which has as many elements, after all that its device was given before.
void read(const AnyView& from, std::span<float> to);
/// to = from, rounded to nearest; returns when it is done.
void write(std::span<const float> from, const AnyView& to);

/// The numbers themselves where they are f32 on the host; else none.
[[nodiscard]] std::span<float> host_span(const AnyView& view);

}  // namespace nativo::tensor
