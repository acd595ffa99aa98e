// Barriers, rounds and their sums. See the header.
#include "dist/node_communicator.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "dist/sums.h"
#include "dist/watch.h"

namespace nativo::dist {
namespace {

constexpr std::size_t kSmall = 512;  ///< elements that every rank sums for itself

Place place_of(const Fabric& fabric) {
  const std::vector<int>& nodes = fabric.nodes();
  const int rank = fabric.rank();
  Place place{.rank = rank, .size = static_cast<int>(nodes.size())};
  place.node = nodes[static_cast<std::size_t>(rank)];
  place.nodes = *std::max_element(nodes.begin(), nodes.end()) + 1;
  place.node_size = 0;
  for (int r = 0; r < place.size; ++r) {
    if (nodes[static_cast<std::size_t>(r)] != place.node) continue;
    if (r == rank) place.node_rank = place.node_size;
    ++place.node_size;
  }
  return place;
}

/// Of nothing, too, which may lie nowhere.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

std::string waiting_for(const Communicator& ranks, std::string_view what) {
  return fmt::format("rank {} gives up sharing memory for {}", ranks.rank(), what);
}

std::uint64_t signature_of(const Operation& operation) {
  std::string text =
      fmt::format("{} {} {} {}", operation.name, static_cast<int>(operation.values.type),
                  operation.values.count, operation.values.crosses_as_bf16);
  for (const Part& part : operation.parts) text += fmt::format(" {}+{}", part.begin, part.count);
  return xxh64(text);
}

/// For as long as the process lives: a message that nobody waits for any more may still come in.
void keep(std::unique_ptr<std::byte[]> memory) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<std::unique_ptr<std::byte[]>>;
  const std::lock_guard lock(mutex);
  kept.push_back(std::move(memory));
}

}  // namespace

NodeCommunicator::NodeCommunicator(std::unique_ptr<Fabric> fabric, const NodeSettings& settings)
    : Communicator(place_of(*fabric)),
      fabric_(std::move(fabric)),
      settings_(settings),
      members_(static_cast<std::size_t>(place().nodes)),
      node_of_(fabric_->nodes()) {
  const Watch watch(waiting_for(*this, "collectives"), timeout());
  for (int r = 0; r < size(); ++r) {
    std::vector<int>& members =
        members_[static_cast<std::size_t>(node_of_[static_cast<std::size_t>(r)])];
    node_rank_of_.push_back(static_cast<int>(members.size()));
    members.push_back(r);
  }
  for (int r = 0; r < size(); ++r) {
    if (server(r, place().node) == rank()) served_.push_back(r);
  }
  for (std::byte* line : fabric_->share(sizeof(Line), "the ranks' barriers")) {
    lines_.push_back(reinterpret_cast<Line*>(line));  // zeroed, which is a valid beginning
  }
  for (Views& stage : stages_) stage = fabric_->share(settings_.stage_bytes, "the ranks' exchange");
}

NodeCommunicator::~NodeCommunicator() {
  is_ending_ = true;
  stop_queue();
}

int NodeCommunicator::server(int rank, int node) const {
  const std::vector<int>& members = members_[static_cast<std::size_t>(node)];
  const auto place = static_cast<std::size_t>(node_rank_of_[static_cast<std::size_t>(rank)]);
  return members[place % members.size()];
}

std::span<std::byte> NodeCommunicator::allocate(std::size_t bytes, std::string_view what) {
  Window& window = windows_.emplace_back();
  window.bytes = bytes;
  const Watch watch(waiting_for(*this, what), timeout());
  window.bases = fabric_->share(bytes, what);
  return {window.bases[static_cast<std::size_t>(place().node_rank)], bytes};
}

std::span<std::byte> NodeCommunicator::allocate_shared(std::size_t bytes, std::string_view what) {
  Window& window = windows_.emplace_back();
  window.bytes = bytes;
  const Watch watch(waiting_for(*this, what), timeout());
  window.bases.assign(lines_.size(), fabric_->share_one(bytes, what));
  return {window.bases.front(), bytes};
}

std::unique_ptr<Communicator> NodeCommunicator::split(int color, int key) {
  const Watch watch(waiting_for(*this, "a grid"), timeout());
  auto part = std::make_unique<NodeCommunicator>(fabric_->split(color, key), settings_);
  part->set_timeout(timeout());
  return part;
}

// --- waiting -------------------------------------------------------------------------------------

void NodeCommunicator::begin(const Operation& operation) {
  if (broken_) {
    throw Error(ExitCode::kTryAgain,
                fmt::format("{}: the ranks have lost each other", operation.name));
  }
  name_ = operation.name;
  signature_ = signature_of(operation);
  deadline_ = timeout() > 0.0 ? monotonic_seconds() + timeout() : 0.0;
}

void NodeCommunicator::fail(const std::vector<int>& missing) {
  broken_ = true;
  fabric_->give_up();
  keep(std::move(scratch_));
  throw Error(ExitCode::kTryAgain,
              fmt::format("{}: rank {} waited {} s for rank{} {}", name_, rank(), timeout(),
                          missing.size() == 1 ? "" : "s", fmt::join(missing, ", ")),
              "look at what these ranks were doing; dist.timeout says how long the others wait");
}

/// Spins for a moment, then gives way to others, then sleeps between two looks.
template <class Ready, class Missing>
void NodeCommunicator::wait(const Ready& is_ready, const Missing& missing) {
  for (std::int64_t look = 0; !is_ready(); ++look) {
    if (look < 64) continue;
    if (look < 2048) {
      sched_yield();
      continue;
    }
    const timespec nap{0, 50'000};
    nanosleep(&nap, nullptr);
    const bool is_late = deadline_ > 0.0 && monotonic_seconds() > deadline_;
    if ((is_late || is_ending_) && !is_ready()) fail(missing());
  }
}

void NodeCommunicator::node_barrier() {
  const std::uint64_t number = ++sequence_;
  Line& mine = *lines_[static_cast<std::size_t>(place().node_rank)];
  mine.signature[number % 2].store(signature_, std::memory_order_relaxed);
  mine.arrived.store(number, std::memory_order_release);
  const std::vector<int>& members = members_[static_cast<std::size_t>(place().node)];
  const auto has_come = [&](std::size_t i) {
    return lines_[i]->arrived.load(std::memory_order_acquire) >= number;
  };
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    wait([&] { return has_come(i); },
         [&] {
           std::vector<int> missing;
           for (std::size_t j = 0; j < lines_.size(); ++j) {
             if (!has_come(j)) missing.push_back(members[j]);
           }
           return missing;
         });
    NATIVO_CHECK(lines_[i]->signature[number % 2].load(std::memory_order_relaxed) == signature_,
                 "all ranks are in the same collective");
  }
}

void NodeCommunicator::wait_for(std::vector<std::unique_ptr<Message>>& messages,
                                const std::vector<int>& peers) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    wait([&] { return messages[i]->is_done(); },
         [&] {
           std::vector<int> missing;
           for (std::size_t j = i; j < messages.size(); ++j) {
             if (!messages[j]->is_done()) missing.push_back(peers[j]);
           }
           std::sort(missing.begin(), missing.end());
           missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
           return missing;
         });
  }
}

std::span<std::byte> NodeCommunicator::scratch(std::size_t bytes) {
  if (bytes > scratch_bytes_) {
    scratch_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    scratch_bytes_ = bytes;
  }
  return {scratch_.get(), bytes};
}

// --- one round -----------------------------------------------------------------------------------

/// Each rank's part becomes, in its own view, the sum over all ranks.
void NodeCommunicator::reduce_round(const Values& values, const Views& views, const Round& round) {
  with_numbers(values, [&]<class Number, class Crossing>(Number, Crossing) {
    using Stored = typename Number::Stored;
    using Sum = typename Crossing::Stored;
    const auto me = static_cast<std::size_t>(rank());
    const auto views_at = [&](std::size_t at) {
      std::vector<const Stored*> from;
      for (const std::byte* view : views)
        from.push_back(reinterpret_cast<const Stored*>(view) + at);
      return from;
    };
    auto* result = reinterpret_cast<Stored*>(views[static_cast<std::size_t>(place().node_rank)]) +
                   round.at[me];
    const std::size_t count = round.count[me];
    if (place().nodes == 1) {
      sum_stored<Number>(views_at(round.at[me]), count, result);
      return;
    }
    // This node's sums of all parts that this rank serves, then what other nodes send of its own.
    std::size_t total = static_cast<std::size_t>(place().nodes - 1) * count;
    for (const int r : served_) total += round.count[static_cast<std::size_t>(r)];
    auto* next = reinterpret_cast<Sum*>(scratch(total * sizeof(Sum)).data());
    std::vector<std::unique_ptr<Message>> messages;
    std::vector<int> peers;
    std::vector<const Sum*> sums(static_cast<std::size_t>(place().nodes));
    for (int node = 0; node < place().nodes; ++node) {
      if (node == place().node || count == 0) continue;
      sums[static_cast<std::size_t>(node)] = next;
      peers.push_back(server(rank(), node));
      messages.push_back(
          fabric_->receive(peers.back(), std::as_writable_bytes(std::span(next, count))));
      next += count;
    }
    for (const int r : served_) {
      const auto index = static_cast<std::size_t>(r);
      const std::size_t size = round.count[index];
      if (size == 0) continue;
      sum_stored<Number, Crossing>(views_at(round.at[index]), size, next);
      if (r == rank()) {
        sums[static_cast<std::size_t>(place().node)] = next;
      } else {
        peers.push_back(r);
        messages.push_back(fabric_->send(r, std::as_bytes(std::span(next, size))));
      }
      next += size;
    }
    wait_for(messages, peers);
    sum_stored<Crossing, Number>(sums, count, result);
  });
}

/// Between nodes: each rank's part comes into the view of its server on every node.
void NodeCommunicator::exchange_parts(const Values& values, const Views& views,
                                      const Round& round) {
  std::byte* mine = views[static_cast<std::size_t>(place().node_rank)];
  if (values.crosses_as_bf16) return exchange_rounded(reinterpret_cast<float*>(mine), round);
  const std::size_t element = tensor::dtype_size(values.type);
  send_parts([&](int r) {
    const auto index = static_cast<std::size_t>(r);
    return std::span<std::byte>(mine + round.at[index] * element, round.count[index] * element);
  });
}

/// The same of f32 that crosses as bf16; who has it rounds its own, too.
void NodeCommunicator::exchange_rounded(float* view, const Round& round) {
  using Stored = Bf16Number::Stored;
  std::size_t total = 0;
  for (const int r : served_) total += round.count[static_cast<std::size_t>(r)];
  auto* next = reinterpret_cast<Stored*>(scratch(total * sizeof(Stored)).data());
  std::vector<std::span<Stored>> crossing(static_cast<std::size_t>(size()));  // of those served
  for (const int r : served_) {
    const auto index = static_cast<std::size_t>(r);
    crossing[index] = {next, round.count[index]};
    next += round.count[index];
  }
  const auto me = static_cast<std::size_t>(rank());
  convert<PlainNumber<float>, Bf16Number>(view + round.at[me], round.count[me],
                                          crossing[me].data());
  send_parts([&](int r) { return std::as_writable_bytes(crossing[static_cast<std::size_t>(r)]); });
  for (const int r : served_) {
    const auto index = static_cast<std::size_t>(r);
    convert<Bf16Number, PlainNumber<float>>(crossing[index].data(), round.count[index],
                                            view + round.at[index]);
  }
}

/// bytes_of(r) of every rank that this one serves comes from it; its own go to its servers.
template <class BytesOf>
void NodeCommunicator::send_parts(const BytesOf& bytes_of) {
  std::vector<std::unique_ptr<Message>> messages;
  std::vector<int> peers;
  for (const int r : served_) {
    if (r == rank() || bytes_of(r).empty()) continue;
    peers.push_back(r);
    messages.push_back(fabric_->receive(r, bytes_of(r)));
  }
  for (int node = 0; node < place().nodes; ++node) {
    if (node == place().node || bytes_of(rank()).empty()) continue;
    peers.push_back(server(rank(), node));
    messages.push_back(fabric_->send(peers.back(), bytes_of(rank())));
  }
  wait_for(messages, peers);
}

/// The parts of all others, out of the views of those who have them on this node.
void NodeCommunicator::copy_parts(const Values& values, const Views& views,
                                  const Round& round) const {
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  const std::size_t element = tensor::dtype_size(values.type);
  struct Copy {
    std::byte* to;
    const std::byte* from;
    std::size_t bytes;
  };
  std::vector<Copy> copies;
  for (int r = 0; r < size(); ++r) {
    const auto index = static_cast<std::size_t>(r);
    const int holder = server(r, place().node);
    const std::byte* from =
        views[static_cast<std::size_t>(node_rank_of_[static_cast<std::size_t>(holder)])] +
        round.at[index] * element;
    std::byte* to = values.data + round.from[index] * element;
    const std::size_t bytes = round.count[index] * element;
    for (std::size_t at = 0; at < bytes && to != from; at += kPiece) {
      copies.push_back({to + at, from + at, std::min(kPiece, bytes - at)});
    }
  }
  parallel_for(copies.size(),
               [&](std::size_t i) { std::memcpy(copies[i].to, copies[i].from, copies[i].bytes); });
}

NodeCommunicator::Round NodeCommunicator::round_of(std::span<const Part> parts, std::size_t most,
                                                   std::size_t index, bool packed) const {
  Round round;
  std::size_t next = 0;
  for (const Part& part : parts) {
    const std::size_t begin = std::min(index * most, part.count);
    const std::size_t count = std::min(most, part.count - begin);
    round.from.push_back(part.begin + begin);
    round.at.push_back(packed ? next : part.begin + begin);
    round.count.push_back(count);
    next += count;
  }
  return round;
}

// --- operations ----------------------------------------------------------------------------------

namespace {

std::size_t rounds_of(std::span<const Part> parts, std::size_t most) {
  std::size_t rounds = 0;
  for (const Part& part : parts) rounds = std::max(rounds, (part.count + most - 1) / most);
  return rounds;
}

}  // namespace

std::vector<Part> NodeCommunicator::parts_of(const Operation& operation) const {
  if (!operation.parts.empty()) return operation.parts;
  return even_parts(operation.values.count, size());
}

NodeCommunicator::Views NodeCommunicator::find_views(const Values& values) const {
  Views views;
  for (const Window& window : windows_) {
    const std::byte* base = window.bases[static_cast<std::size_t>(place().node_rank)];
    if (values.data < base || values.data + values.bytes() > base + window.bytes) continue;
    for (std::byte* other : window.bases) views.push_back(other + (values.data - base));
    break;
  }
  return views;
}

void NodeCommunicator::run(const Operation& operation) {
  begin(operation);
  const Values& values = operation.values;
  if (operation.kind == OperationKind::kSendReceive) return run_send_receive(operation);
  if (operation.kind == OperationKind::kBarrier) {
    if (place().nodes == 1) return node_barrier();
    std::int64_t one = 1;
    Operation count{OperationKind::kAllReduce, operation.name, std::span(&one, 1)};
    return run_staged(count);
  }
  if (operation.kind == OperationKind::kAllReduce && place().nodes == 1 &&
      values.count <= std::min(kSmall, settings_.stage_bytes / sizeof(double))) {
    return all_reduce_small(operation);
  }
  const Views views = find_views(values);
  views.empty() ? run_staged(operation) : run_in_place(operation, views);
}

void NodeCommunicator::run_send_receive(const Operation& operation) {
  const auto bytes_of = [](const Values& values, int peer) {
    return peer < 0 ? std::span<std::byte>() : std::span(values.data, values.bytes());
  };
  const std::span<std::byte> mine = bytes_of(operation.values, operation.to);
  const std::span<std::byte> theirs = bytes_of(operation.theirs, operation.from);
  const std::size_t most = settings_.message_bytes;
  for (std::size_t at = 0; at < std::max(mine.size(), theirs.size()); at += most) {
    std::vector<std::unique_ptr<Message>> messages;
    std::vector<int> peers;
    if (at < theirs.size()) {
      peers.push_back(operation.from);
      messages.push_back(
          fabric_->receive(operation.from, theirs.subspan(at, std::min(most, theirs.size() - at))));
    }
    if (at < mine.size()) {
      peers.push_back(operation.to);
      messages.push_back(
          fabric_->send(operation.to, mine.subspan(at, std::min(most, mine.size() - at))));
    }
    wait_for(messages, peers);
  }
}

/// One barrier instead of two.
void NodeCommunicator::all_reduce_small(const Operation& operation) {
  const Values& values = operation.values;
  const Views& stage = stages_[stage_];
  stage_ ^= 1;
  copy_bytes(stage[static_cast<std::size_t>(place().node_rank)], values.data, values.bytes());
  node_barrier();
  with_numbers(values, [&]<class Number>(Number, auto) {
    using Stored = typename Number::Stored;
    std::vector<const Stored*> from;
    for (const std::byte* view : stage) from.push_back(reinterpret_cast<const Stored*>(view));
    sum_stored<Number>(from, values.count, reinterpret_cast<Stored*>(values.data));
  });
}

/// A stage is written again two rounds later: by then every rank has come to the barrier of the
/// round between, and has read it.
void NodeCommunicator::run_staged(const Operation& operation) {
  const Values& values = operation.values;
  const std::size_t element = tensor::dtype_size(values.type);
  const std::vector<Part> parts = parts_of(operation);
  const auto used = static_cast<std::size_t>(
      std::ranges::count_if(parts, [](const Part& part) { return part.count > 0; }));
  const bool reduces = operation.kind != OperationKind::kAllGather;
  const bool gathers = operation.kind != OperationKind::kReduceScatter;
  const std::size_t most =
      std::max<std::size_t>(1, settings_.stage_bytes / element / std::max<std::size_t>(used, 1));
  const auto me = static_cast<std::size_t>(rank());
  for (std::size_t index = 0; index < rounds_of(parts, most); ++index) {
    const Round round = round_of(parts, most, index, /*packed=*/true);
    const Views& stage = stages_[stage_];
    stage_ ^= 1;
    std::byte* mine = stage[static_cast<std::size_t>(place().node_rank)];
    for (std::size_t r = 0; r < parts.size(); ++r) {
      if (!reduces && r != me) continue;
      copy_bytes(mine + round.at[r] * element, values.data + round.from[r] * element,
                 round.count[r] * element);
    }
    node_barrier();
    if (reduces) reduce_round(values, stage, round);
    if (!gathers) {
      copy_bytes(values.data + round.from[me] * element, mine + round.at[me] * element,
                 round.count[me] * element);
      continue;
    }
    if (place().nodes > 1) exchange_parts(values, stage, round);
    if (reduces || place().nodes > 1) node_barrier();
    copy_parts(values, stage, round);
  }
}

void NodeCommunicator::run_in_place(const Operation& operation, const Views& views) {
  const Values& values = operation.values;
  const std::size_t element = tensor::dtype_size(values.type);
  const std::vector<Part> parts = parts_of(operation);
  const std::size_t most = place().nodes == 1
                               ? std::max<std::size_t>(values.count, 1)
                               : std::max<std::size_t>(1, settings_.message_bytes / element);
  const std::size_t rounds = rounds_of(parts, most);
  NATIVO_CHECK(operation.kind == OperationKind::kAllGather || views.size() == 1 ||
                   views.front() != views.back(),
               "memory in common is not summed in");
  node_barrier();  // all have what is to be read
  if (operation.kind != OperationKind::kAllGather) {
    for (std::size_t index = 0; index < rounds; ++index) {
      reduce_round(values, views, round_of(parts, most, index, /*packed=*/false));
    }
    node_barrier();
  }
  if (operation.kind == OperationKind::kReduceScatter) return;
  if (place().nodes > 1) {
    for (std::size_t index = 0; index < rounds; ++index) {
      exchange_parts(values, views, round_of(parts, most, index, /*packed=*/false));
    }
    node_barrier();
  }
  copy_parts(values, views, round_of(parts, std::max<std::size_t>(values.count, 1), 0, false));
  node_barrier();  // nobody reads any more
}

}  // namespace nativo::dist
