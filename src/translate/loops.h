// Texts that go round in a loop, as decoders do when they are lost: "olive olive olive olive".
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::translate {

/// Bytes of the longest stretch of `text` that repeats what stands a fixed distance (at most 256
/// bytes) before it, and does so more than twice: the third round and what follows. White space and
/// rows of one mark ("-----", "....") do not count. 0 = no loop.
[[nodiscard]] std::size_t longest_loop(std::string_view text);

}  // namespace nativo::translate
