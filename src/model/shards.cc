#include "model/shards.h"

#include <algorithm>

#include "ops/adamw.h"
#include "ops/global_norm.h"

namespace nativo::model {

static_assert(ops::kNormPiece % ops::kMomentBlock == 0, "a piece of the norm is whole blocks");

std::vector<Slice> whole_slices(std::span<const Parameter> parameters) {
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    slices.push_back({i, 0, parameters[i].elements()});
  }
  return slices;
}

std::vector<dist::Part> Bucket::parts_inside() const {
  std::vector<dist::Part> inside = parts;
  for (dist::Part& part : inside) part.begin -= begin;
  return inside;
}

Shards::Shards(std::span<const Parameter> parameters, int ranks)
    : slices_(static_cast<std::size_t>(ranks)) {
  const auto n = static_cast<std::size_t>(ranks);
  std::size_t at = 0;  // in all trained numbers
  for (std::size_t first = 0; first < parameters.size();) {
    Bucket bucket{
        .layer = parameters[first].layer, .parameter = first, .begin = at, .count = 0, .parts = {}};
    std::size_t last = first;
    for (; last < parameters.size() && parameters[last].layer == bucket.layer; ++last) {
      bucket.count += parameters[last].elements();
    }
    bucket.parts.resize(n);
    // A piece belongs to the rank in whose even share it begins.
    for (std::size_t p = first; p < last; ++p) {
      const std::size_t size = parameters[p].elements();
      for (std::size_t begin = 0; begin < size; begin += ops::kNormPiece) {
        const std::size_t count = std::min(ops::kNormPiece, size - begin);
        const std::size_t rank = std::min(n - 1, (at - bucket.begin) * n / bucket.count);
        dist::Part& part = bucket.parts[rank];
        if (part.count == 0) part.begin = at;
        part.count += count;
        std::vector<Slice>& slices = slices_[rank];
        if (!slices.empty() && slices.back().parameter == p) {
          slices.back().count += count;
        } else {
          slices.push_back({p, begin, count});
        }
        at += count;
      }
    }
    for (dist::Part& part : bucket.parts) {
      if (part.count == 0) part.begin = bucket.begin;
    }
    buckets_.push_back(std::move(bucket));
    first = last;
  }
}

}  // namespace nativo::model
