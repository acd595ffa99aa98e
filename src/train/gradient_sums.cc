#include "train/gradient_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "tensor/arena.h"

namespace nativo::train {
namespace {

constexpr std::size_t kTile = std::size_t{1} << 18;  ///< numbers that a thread does at a time
constexpr std::size_t kLine = tensor::kAlignment / sizeof(float);

constexpr std::size_t whole_lines(std::size_t count) { return (count + kLine - 1) / kLine * kLine; }

/// Calls body(begin, count) for parts of `count` numbers, on all threads.
template <class Body>
void for_tiles(std::size_t count, const Body& body) {
  parallel_for((count + kTile - 1) / kTile, [&](std::size_t tile) {
    body(tile * kTile, std::min(kTile, count - tile * kTile));
  });
}

void set_zero(std::span<float> values) {
  for_tiles(values.size(), [&](std::size_t begin, std::size_t count) {
    std::ranges::fill(values.subspan(begin, count), 0.0F);
  });
}

void add(std::span<const float> from, std::span<float> to) {
  for_tiles(to.size(), [&](std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count; ++i) to[i] += from[i];
  });
}

}  // namespace

GradientCrossing gradient_crossing_from_option(const std::string& name) {
  if (name == "f32") return GradientCrossing::kF32;
  if (name == "bf16") return GradientCrossing::kBf16;
  throw Error(ExitCode::kConfig,
              fmt::format("dist.gradient_type: \"{}\" is none of f32, bf16", printable(name)));
}

GradientSums::GradientSums(dist::Communicator& ranks, model::Decoder& decoder,
                           const model::Shards& shards, std::int64_t zero,
                           GradientCrossing crossing)
    : ranks_(ranks),
      decoder_(decoder),
      shards_(shards),
      zero_(zero),
      crossing_(crossing),
      lends_(zero >= 2 && ranks.size() > 1 && decoder.lora() == nullptr) {}

bool GradientSums::passes(const model::Bucket& bucket) const {
  return lends_ && bucket.layer >= 0 && bucket.layer < decoder_.config().layers;
}

void GradientSums::enable(model::GradientMemory memory) {
  if (ranks_.size() == 1) return decoder_.enable_gradients(memory);
  const std::span<const model::Bucket> buckets = shards_.buckets();
  std::size_t whole = 0;
  std::size_t buffer = 0;
  std::size_t own = 0;
  const auto me = static_cast<std::size_t>(ranks_.rank());
  for (const model::Bucket& bucket : buckets) {
    if (passes(bucket)) {
      buffer = std::max(buffer, whole_lines(bucket.count));
      own += bucket.parts[me].count;
    } else {
      whole += lends_ ? whole_lines(bucket.count) : bucket.count;
    }
  }
  const std::size_t count = whole_lines(whole) + buffers_.size() * buffer;
  const std::span<std::byte> memory_of_all =
      ranks_.allocate(count * sizeof(float), "the gradients");
  auto* next = reinterpret_cast<float*>(memory_of_all.data());
  for (const model::Bucket& bucket : buckets) {
    if (passes(bucket)) {
      whole_.emplace_back();
      continue;
    }
    whole_.emplace_back(next, bucket.count);
    next += lends_ ? whole_lines(bucket.count) : bucket.count;
  }
  if (!lends_) return decoder_.enable_gradients(model::GradientMemory::kApart, memory_of_all);

  decoder_.enable_gradients(model::GradientMemory::kLent);
  for (Buffer& of : buffers_) {
    of.memory = {next, buffer};
    next += buffer;
  }
  own_.resize(own);
  std::span<float> rest(own_);
  for (const model::Bucket& bucket : buckets) {
    const std::size_t size = passes(bucket) ? bucket.parts[me].count : 0;
    own_parts_.push_back(rest.first(size));
    rest = rest.subspan(size);
  }
  own_slices_.resize(std::as_const(decoder_).trainable().size());
  std::vector<std::size_t> taken(buckets.size());
  for (const model::Slice& slice : shards_.slices(ranks_.rank())) {
    const std::size_t b = bucket_of(std::as_const(decoder_).trainable()[slice.parameter].layer);
    const std::span<float> part =
        passes(buckets[b]) ? own_parts_[b]
                           : whole_[b].subspan(buckets[b].parts[me].begin - buckets[b].begin,
                                               buckets[b].parts[me].count);
    own_slices_[slice.parameter] = part.subspan(taken[b], slice.count);
    taken[b] += slice.count;
  }
}

std::size_t GradientSums::bucket_of(std::int64_t layer) const {
  const auto found = std::ranges::find(shards_.buckets(), layer, &model::Bucket::layer);
  NATIVO_CHECK(found != shards_.buckets().end(), "a layer that is trained");
  return static_cast<std::size_t>(found - shards_.buckets().begin());
}

void GradientSums::zero() {
  next_ = shards_.buckets().size();
  decoder_.zero_gradients();
  if (!lends_) return;
  for (const std::span<float> whole : whole_) set_zero(whole);
  set_zero(own_);
}

void GradientSums::observe(model::StepOptions& options, bool is_last) {
  if (ranks_.size() == 1) return;
  if (lends_) options.layer_gradients = [this](std::int64_t layer) { return lend(layer); };
  if (!lends_ && !is_last) return;
  options.layer_done = [this, is_last](std::int64_t layer) { start_down_to(layer, is_last); };
}

std::span<float> GradientSums::lend(std::int64_t layer) {
  const std::size_t b = bucket_of(layer);
  const model::Bucket& bucket = shards_.buckets()[b];
  return passes(bucket) ? fill(b).memory.first(bucket.count) : whole_[b];
}

/// A buffer of zeros for the bucket. Its neighbours have the other one.
GradientSums::Buffer& GradientSums::fill(std::size_t bucket) {
  Buffer& buffer = buffers_[bucket % buffers_.size()];
  settle(buffer);
  set_zero(buffer.memory.first(shards_.buckets()[bucket].count));
  buffer.bucket = bucket;
  return buffer;
}

/// What was summed goes to this rank's own parts.
void GradientSums::settle(Buffer& buffer) {
  if (!buffer.is_started) return;
  buffer.sum.wait();
  const model::Bucket& bucket = shards_.buckets()[*buffer.bucket];
  const dist::Part& part = bucket.parts[static_cast<std::size_t>(ranks_.rank())];
  add(buffer.memory.subspan(part.begin - bucket.begin, part.count), own_parts_[*buffer.bucket]);
  buffer.bucket.reset();
  buffer.is_started = false;
}

void GradientSums::start(const model::Bucket& bucket, std::span<float> gradients,
                         dist::Pending& sum) {
  const dist::Values values = crossing_ == GradientCrossing::kBf16
                                  ? dist::Values::crossing_as_bf16(gradients)
                                  : dist::Values(gradients);
  sum = zero_ >= 1 ? ranks_.start_reduce_scatter(values, bucket.parts_inside())
                   : ranks_.start_all_reduce(values);
}

/// The order is the same on all ranks, whatever each has computed.
void GradientSums::start_down_to(std::int64_t layer, bool is_last) {
  const std::span<const model::Bucket> buckets = shards_.buckets();
  while (next_ > 0 && buckets[next_ - 1].layer >= layer) {
    const std::size_t b = --next_;
    if (passes(buckets[b])) {
      Buffer& buffer = buffers_[b % buffers_.size()];
      if (buffer.bucket != b || buffer.is_started) static_cast<void>(fill(b));
      start(buckets[b], buffer.memory.first(buckets[b].count), buffer.sum);
      buffer.is_started = true;
    } else if (is_last) {
      start(buckets[b], whole_[b], sums_.emplace_back());
    }
  }
}

void GradientSums::end_round(bool is_last) {
  if (ranks_.size() == 1) return;
  start_down_to(-1, is_last);
  if (!is_last) next_ = shards_.buckets().size();
}

void GradientSums::finish() {
  for (Buffer& buffer : buffers_) settle(buffer);
  for (dist::Pending& sum : sums_) sum.wait();
  sums_.clear();
}

std::span<float> GradientSums::of(const model::Slice& slice) const {
  if (lends_) return own_slices_[slice.parameter];
  return decoder_.trainable()[slice.parameter].gradient.subspan(slice.begin, slice.count);
}

std::size_t passing_gradient_bytes(std::int64_t layer, std::int64_t layers, std::int64_t others,
                                   std::int64_t ranks) {
  const std::int64_t buffers = std::min<std::int64_t>(layers, 2);
  return static_cast<std::size_t>(others + buffers * layer + (layers * layer + ranks - 1) / ranks) *
         sizeof(float);
}

}  // namespace nativo::train
