#include "train/gradient_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/strings.h"
#include "ops/elementwise.h"

namespace nativo::train {
namespace {

using tensor::AnyView;

constexpr std::size_t kLine = tensor::kAlignment / sizeof(float);

constexpr std::size_t whole_lines(std::size_t count) { return (count + kLine - 1) / kLine * kLine; }

void set_zero(const AnyView& values) {
  if (tensor::elements(values) == 0) return;
  std::visit([](const auto& typed) { ops::set_zero(typed); }, values);
}

/// to += from.
void add(const AnyView& from, const AnyView& to) {
  if (tensor::elements(to) == 0) return;
  std::visit(
      [&]<class T>(const tensor::View<T>& sum) {
        ops::add(sum, std::get<tensor::View<T>>(from), sum);
      },
      to);
}

/// to = from, of two types.
void convert(const AnyView& from, const AnyView& to) {
  if (tensor::elements(to) == 0) return;
  std::visit(
      []<class From, class To>(const tensor::View<From>& source, const tensor::View<To>& target) {
        if constexpr (!std::is_same_v<From, To>) ops::convert(source, target);
      },
      from, to);
}

}  // namespace

AnyView bucket_of(const AnyView& first, std::size_t count) {
  return std::visit(
      [&]<class T>(const tensor::View<T>& view) {
        return AnyView(
            tensor::View<T>(view.data(), {static_cast<std::int64_t>(count)}, view.device()));
      },
      first);
}

GradientCrossing gradient_crossing_from_option(const std::string& name) {
  if (name == "auto") return GradientCrossing::kOwn;
  if (name == "f32") return GradientCrossing::kF32;
  if (name == "bf16") return GradientCrossing::kBf16;
  throw Error(
      ExitCode::kConfig,
      fmt::format("dist.gradient_type: \"{}\" is none of auto, f32, bf16", printable(name)));
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

const dist::Part& GradientSums::own_part(std::size_t bucket) const {
  return shards_.buckets()[bucket].parts[static_cast<std::size_t>(ranks_.rank())];
}

void GradientSums::enable(model::GradientMemory memory) {
  if (ranks_.size() == 1) return decoder_.enable_gradients(memory);
  const tensor::DType type = decoder_.numbers().type;
  const tensor::Device device = decoder_.numbers().device;
  const std::span<const model::Bucket> buckets = shards_.buckets();
  if (lends_) {
    decoder_.enable_gradients(model::GradientMemory::kLent);
    lay_out(type, device);
    name_slices();
  } else {
    std::size_t count = 0;
    for (const model::Bucket& bucket : buckets) count += bucket.count;
    const std::span<std::byte> in_common =
        device.is_cuda() ? std::span<std::byte>()
                         : ranks_.allocate(whole_lines(count) * sizeof(float), "the gradients");
    decoder_.enable_gradients(model::GradientMemory::kApart, in_common);
    for (const model::Bucket& bucket : buckets) {
      const model::Parameter& first = std::as_const(decoder_).trainable()[bucket.parameter];
      whole_.push_back(train::bucket_of(first.stored_gradient, bucket.count));
    }
  }
  if (device.is_cuda()) lay_out_crossings(type, device);
}

/// One view after the other: of the host in memory that the node shares.
std::vector<AnyView> GradientSums::reserve(const std::vector<std::size_t>& counts,
                                           tensor::DType type, const tensor::Device& device,
                                           tensor::Arena& memory) {
  std::vector<AnyView> views;
  const auto shape_of = [](std::size_t count) {
    return tensor::Shape{static_cast<std::int64_t>(count)};
  };
  if (!device.is_cuda()) {
    std::size_t total = 0;
    for (const std::size_t count : counts) total += whole_lines(count);
    bytes_ += total * sizeof(float);
    auto* next =
        reinterpret_cast<float*>(ranks_.allocate(total * sizeof(float), "the gradients").data());
    for (const std::size_t count : counts) {
      views.emplace_back(tensor::View<float>(next, shape_of(count)));
      next += whole_lines(count);
    }
    return views;
  }
  const bool is_bf16 = type == tensor::DType::kBf16;
  tensor::ArenaPlan plan;
  std::vector<tensor::ArenaPlan::Slot> slots;
  for (const std::size_t count : counts) {
    slots.push_back(is_bf16 ? plan.add<tensor::bf16>("gradients", shape_of(count))
                            : plan.add<float>("gradients", shape_of(count)));
  }
  memory = tensor::Arena(device);
  memory.reserve(plan, "the gradients");
  bytes_ += memory.capacity();
  for (const auto& slot : slots) {
    views.push_back(is_bf16 ? AnyView(memory.view<tensor::bf16>(slot))
                            : AnyView(memory.view<float>(slot)));
  }
  return views;
}

void GradientSums::lay_out(tensor::DType type, const tensor::Device& device) {
  const std::span<const model::Bucket> buckets = shards_.buckets();
  std::vector<std::size_t> counts;
  std::size_t most = 0;
  std::size_t own = 0;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    if (passes(buckets[b])) {
      most = std::max(most, buckets[b].count);
      own += own_part(b).count;
    } else {
      counts.push_back(buckets[b].count);
    }
  }
  counts.insert(counts.end(), buffers_.size(), most);
  const std::vector<AnyView> views = reserve(counts, type, device, passing_memory_);
  auto view = views.begin();
  for (const model::Bucket& bucket : buckets) {
    whole_.push_back(passes(bucket) ? AnyView() : *view++);
  }
  for (Buffer& buffer : buffers_) buffer.memory = *view++;

  own_memory_ = tensor::Arena(device);
  tensor::ArenaPlan plan;
  const tensor::Shape shape{static_cast<std::int64_t>(own)};
  const bool is_bf16 = type == tensor::DType::kBf16;
  const auto slot =
      is_bf16 ? plan.add<tensor::bf16>("gradients", shape) : plan.add<float>("gradients", shape);
  own_memory_.reserve(plan, "the gradients");
  bytes_ += own_memory_.capacity();
  const AnyView all = is_bf16 ? AnyView(own_memory_.view<tensor::bf16>(slot))
                              : AnyView(own_memory_.view<float>(slot));
  std::size_t next = 0;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const std::size_t size = passes(buckets[b]) ? own_part(b).count : 0;
    own_parts_.push_back(size == 0 ? AnyView() : tensor::part(all, next, size));
    next += size;
  }
}

void GradientSums::name_slices() {
  const std::span<const model::Bucket> buckets = shards_.buckets();
  const auto parameters = std::as_const(decoder_).trainable();
  own_slices_.resize(parameters.size());
  std::vector<std::size_t> taken(buckets.size());
  for (const model::Slice& slice : shards_.slices(ranks_.rank())) {
    const std::size_t b = bucket_of(parameters[slice.parameter].layer);
    own_slices_[slice.parameter] =
        passes(buckets[b])
            ? tensor::part(own_parts_[b], taken[b], slice.count)
            : tensor::part(whole_[b], own_part(b).begin - buckets[b].begin + taken[b], slice.count);
    taken[b] += slice.count;
  }
}

/// Of a GPU's.
void GradientSums::lay_out_crossings(tensor::DType type, const tensor::Device& device) {
  const tensor::DType crossing =
      crossing_ == GradientCrossing::kBf16 ? tensor::DType::kBf16 : tensor::DType::kF32;
  if (crossing_ == GradientCrossing::kOwn || crossing == type) return;
  std::size_t most = 0;
  for (const model::Bucket& bucket : shards_.buckets()) most = std::max(most, bucket.count);
  const std::vector<AnyView> views = reserve(std::vector<std::size_t>(crossings_.size(), most),
                                             crossing, device, crossing_memory_);
  for (std::size_t i = 0; i < crossings_.size(); ++i) crossings_[i].memory = views[i];
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
  for (const AnyView& whole : whole_) set_zero(whole);
  for (const AnyView& own : own_parts_) set_zero(own);
}

void GradientSums::observe(model::StepOptions& options, bool is_last) {
  if (ranks_.size() == 1) return;
  if (lends_) options.layer_gradients = [this](std::int64_t layer) { return lend(layer); };
  if (!lends_ && !is_last) return;
  options.layer_done = [this, is_last](std::int64_t layer) { start_down_to(layer, is_last); };
}

AnyView GradientSums::lend(std::int64_t layer) {
  const std::size_t b = bucket_of(layer);
  const model::Bucket& bucket = shards_.buckets()[b];
  return passes(bucket) ? tensor::part(fill(b).memory, 0, bucket.count) : whole_[b];
}

/// A buffer of zeros for the bucket. Its neighbours have the other one.
GradientSums::Buffer& GradientSums::fill(std::size_t bucket) {
  Buffer& buffer = buffers_[bucket % buffers_.size()];
  settle(buffer);
  set_zero(tensor::part(buffer.memory, 0, shards_.buckets()[bucket].count));
  buffer.bucket = bucket;
  return buffer;
}

/// What was summed goes to this rank's own parts.
void GradientSums::settle(Buffer& buffer) {
  if (!buffer.is_started) return;
  buffer.sum.wait();
  for (Crossing& crossing : crossings_) {
    if (crossing.bucket == buffer.bucket) settle(crossing);
  }
  const std::size_t b = *buffer.bucket;
  const dist::Part& part = own_part(b);
  if (part.count > 0) {
    add(tensor::part(buffer.memory, part.begin - shards_.buckets()[b].begin, part.count),
        own_parts_[b]);
  }
  buffer.bucket.reset();
  buffer.is_started = false;
}

/// What was summed goes back to where it came from: this rank's part, or without stages all of it.
void GradientSums::settle(Crossing& crossing) {
  if (!crossing.bucket) return;
  crossing.sum.wait();
  const model::Bucket& bucket = shards_.buckets()[*crossing.bucket];
  const dist::Part own = own_part(*crossing.bucket);
  const dist::Part part =
      zero_ >= 1 ? dist::Part{own.begin - bucket.begin, own.count} : dist::Part{0, bucket.count};
  crossing.bucket.reset();
  if (part.count == 0) return;
  convert(tensor::part(crossing.memory, part.begin, part.count),
          tensor::part(crossing.gradients, part.begin, part.count));
}

dist::Pending GradientSums::start_sum(const model::Bucket& bucket, const dist::Values& values) {
  return zero_ >= 1 ? ranks_.start_reduce_scatter(values, bucket.parts_inside())
                    : ranks_.start_all_reduce(values);
}

void GradientSums::start(std::size_t bucket, const AnyView& gradients, dist::Pending& sum) {
  const model::Bucket& of = shards_.buckets()[bucket];
  const std::span<float> on_host = tensor::host_span(gradients);
  if (!on_host.empty() && crossing_ == GradientCrossing::kBf16) {
    sum = start_sum(of, dist::Values::crossing_as_bf16(on_host));
    return;
  }
  if (tensor::elements(crossings_.front().memory) == 0) {
    sum = start_sum(of, gradients);
    return;
  }
  Crossing& crossing = crossings_[crossing_turn_++ % crossings_.size()];
  settle(crossing);
  const AnyView memory = tensor::part(crossing.memory, 0, of.count);
  convert(gradients, memory);
  crossing.bucket = bucket;
  crossing.gradients = gradients;
  crossing.sum = start_sum(of, memory);
}

/// The order is the same on all ranks, whatever each has computed.
void GradientSums::start_down_to(std::int64_t layer, bool is_last) {
  const std::span<const model::Bucket> buckets = shards_.buckets();
  while (next_ > 0 && buckets[next_ - 1].layer >= layer) {
    const std::size_t b = --next_;
    if (passes(buckets[b])) {
      Buffer& buffer = buffers_[b % buffers_.size()];
      if (buffer.bucket != b || buffer.is_started) static_cast<void>(fill(b));
      start(b, tensor::part(buffer.memory, 0, buckets[b].count), buffer.sum);
      buffer.is_started = true;
    } else if (is_last) {
      start(b, whole_[b], sums_.emplace_back());
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
  for (Crossing& crossing : crossings_) settle(crossing);
}

AnyView GradientSums::of(const model::Slice& slice) const {
  if (lends_) return own_slices_[slice.parameter];
  return tensor::part(std::as_const(decoder_).trainable()[slice.parameter].stored_gradient,
                      slice.begin, slice.count);
}

std::size_t passing_gradient_bytes(std::int64_t layer, std::int64_t layers, std::int64_t others,
                                   std::int64_t ranks) {
  const std::int64_t buffers = std::min<std::int64_t>(layers, 2);
  return static_cast<std::size_t>(others + buffers * layer + (layers * layer + ranks - 1) / ranks) *
         sizeof(float);
}

}  // namespace nativo::train
