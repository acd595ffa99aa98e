#include "model/decoder_ranks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "dist/communicator.h"

namespace nativo::model {
namespace {

std::size_t elements_of(const std::vector<std::int64_t>& shape) {
  std::size_t elements = 1;
  for (const std::int64_t size : shape) elements *= static_cast<std::size_t>(size);
  return elements;
}

}  // namespace

DecoderConfig tensor_part(const DecoderConfig& config, std::int64_t ranks) {
  DecoderConfig part = config;
  const auto cut = [&](std::int64_t& size, const char* what) {
    if (size % ranks != 0) {
      throw Error(ExitCode::kConfig,
                  fmt::format("dist.tensor = {}: the model's {} {} cannot be cut in {} parts",
                              ranks, size, what, ranks),
                  "choose a number that divides its heads, key/value heads and the width of its "
                  "feed-forward");
    }
    size /= ranks;
  };
  cut(part.heads, "heads");
  cut(part.kv_heads, "key/value heads");
  cut(part.intermediate_size, "features of the feed-forward");
  return part;
}

TensorPart row_part(const std::vector<std::int64_t>& shape, std::int64_t rank, std::int64_t ranks) {
  if (ranks == 1) return {};
  TensorPart part{.whole = shape};
  part.whole[0] *= ranks;
  part.run = elements_of(shape);
  part.begin = static_cast<std::size_t>(rank) * part.run;
  return part;
}

TensorPart column_part(const std::vector<std::int64_t>& shape, std::int64_t rank,
                       std::int64_t ranks) {
  if (ranks == 1) return {};
  TensorPart part{.whole = shape};
  part.whole[1] *= ranks;
  part.run = static_cast<std::size_t>(shape[1]);
  part.stride = static_cast<std::size_t>(part.whole[1]);
  part.begin = static_cast<std::size_t>(rank) * part.run;
  return part;
}

void gather_whole(dist::Communicator& ranks, const TensorPart& part, std::span<const float> mine,
                  std::span<float> whole) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // numbers of a rank at a time
  const auto count = static_cast<std::size_t>(ranks.size());
  const auto me = static_cast<std::size_t>(ranks.rank());
  const std::size_t run = part.is_rows() ? 1 : part.run;
  const std::size_t most = std::max<std::size_t>(1, kPiece / run) * run;
  std::vector<float> pieces;
  for (std::size_t at = 0; at < mine.size(); at += most) {
    const std::size_t size = std::min(most, mine.size() - at);
    pieces.resize(count * size);
    std::vector<dist::Part> parts;
    for (std::size_t r = 0; r < count; ++r) parts.push_back({r * size, size});
    std::ranges::copy(mine.subspan(at, size),
                      pieces.begin() + static_cast<std::ptrdiff_t>(me * size));
    ranks.all_gather(std::span(pieces), parts);
    for (std::size_t r = 0; r < count; ++r) {
      TensorPart its = part;
      its.begin = r * part.run;
      for_runs(its, at, size, [&](std::size_t here, std::size_t there, std::size_t length) {
        std::copy_n(pieces.data() + r * size + (here - at), length, whole.data() + there);
      });
    }
  }
}

}  // namespace nativo::model
