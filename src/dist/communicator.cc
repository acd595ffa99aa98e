// Collectives in order, blocking or from a thread of their own; the communicator of one. See the
// header.
#include "dist/communicator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/parallel.h"
#include "tensor/arena.h"

namespace nativo::dist {

Values::Values(tensor::DType element, void* memory, std::size_t elements)
    : type(element), data(static_cast<std::byte*>(memory)), count(elements) {}
Values::Values(std::span<float> values)
    : Values(tensor::DType::kF32, values.data(), values.size()) {}
Values::Values(std::span<double> values)
    : Values(tensor::DType::kF64, values.data(), values.size()) {}
Values::Values(std::span<std::int64_t> values)
    : Values(tensor::DType::kI64, values.data(), values.size()) {}
Values::Values(std::span<std::byte> values)
    : Values(tensor::DType::kU8, values.data(), values.size()) {}
Values Values::bf16(std::span<std::uint16_t> bits) {
  return {tensor::DType::kBf16, bits.data(), bits.size()};
}
Values Values::crossing_as_bf16(std::span<float> values) {
  Values crossing(values);
  crossing.crosses_as_bf16 = true;
  return crossing;
}
Values::Values(const tensor::AnyView& values)
    : type(std::holds_alternative<tensor::View<tensor::bf16>>(values) ? tensor::DType::kBf16
                                                                      : tensor::DType::kF32),
      data(tensor::bytes(values)),
      count(tensor::elements(values)),
      device(tensor::device(values)) {}
std::size_t Values::bytes() const { return count * tensor::dtype_size(type); }

std::vector<Part> even_parts(std::size_t count, int parts) {
  std::vector<Part> all;
  const auto n = static_cast<std::size_t>(parts);
  for (std::size_t i = 0, begin = 0; i < n; ++i) {
    const std::size_t size = count / n + (i < count % n ? 1 : 0);
    all.push_back({begin, size});
    begin += size;
  }
  return all;
}

/// Seconds by kind; of the communicator and of what it has started.
struct Waits {
  std::array<std::atomic<double>, 5> seconds{};
  void add(OperationKind kind, double more) {
    seconds[static_cast<std::size_t>(kind)].fetch_add(more, std::memory_order_relaxed);
  }
};

void Pending::wait() {
  if (!state_) return;
  const std::shared_ptr<State> state = std::move(state_);
  state->wait();
}

/// An operation in a queue.
struct Queued final : Pending::State {
  Queued(Operation what, std::shared_ptr<Waits> where)
      : operation(std::move(what)), waits(std::move(where)) {}

  void wait() override {
    std::unique_lock lock(mutex);
    if (!done) {
      const double begun = monotonic_seconds();
      changed.wait(lock, [&] { return done; });
      waits->add(operation.kind, monotonic_seconds() - begun);
    }
    if (failure) std::rethrow_exception(failure);
  }

  Operation operation;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr failure;
  std::shared_ptr<Waits> waits;
};

/// Runs operations one after the other on a thread of its own. After a failure all that follow
/// fail with it.
class OperationQueue {
 public:
  explicit OperationQueue(std::function<void(const Operation&)> run)
      : run_(std::move(run)), thread_([this] { serve(); }) {}
  ~OperationQueue() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  OperationQueue(const OperationQueue&) = delete;
  OperationQueue& operator=(const OperationQueue&) = delete;

  Pending add(Operation operation, const std::shared_ptr<Waits>& waits) {
    const auto queued = std::make_shared<Queued>(std::move(operation), waits);
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(queued);
      ++unfinished_;
    }
    changed_.notify_all();
    return Pending(queued);
  }

  [[nodiscard]] bool is_idle() {
    const std::lock_guard lock(mutex_);
    return unfinished_ == 0;
  }

 private:
  void serve() {
    set_thread_count(1);  // of this thread's loops: the others are computing
    std::exception_ptr failure;
    while (true) {
      std::shared_ptr<Queued> item;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        item = std::move(waiting_.front());
        waiting_.pop_front();
      }
      try {
        if (!failure) run_(item->operation);
      } catch (...) {
        failure = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        --unfinished_;
      }
      {
        const std::lock_guard lock(item->mutex);
        item->done = true;
        item->failure = failure;
      }
      item->changed.notify_all();
    }
  }

  std::function<void(const Operation&)> run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Queued>> waiting_;
  std::size_t unfinished_ = 0;
  bool ending_ = false;
  std::thread thread_;  // last: it uses the others
};

Communicator::Communicator(const Place& place) : place_(place), waits_(std::make_shared<Waits>()) {}
Communicator::~Communicator() = default;

double Communicator::waited(OperationKind kind) const {
  return waits_->seconds[static_cast<std::size_t>(kind)];
}

void Communicator::stop_queue() { queue_.reset(); }

namespace {

void require_host(const Operation& operation) {
  NATIVO_CHECK(!operation.values.device.is_cuda(), "values of a GPU are for ranks on GPUs");
}

}  // namespace

Pending Communicator::start(Operation operation) {
  if (place_.size == 1) return {};
  require_host(operation);
  if (!queue_) queue_ = std::make_unique<OperationQueue>([this](const Operation& of) { run(of); });
  return queue_->add(std::move(operation), waits_);
}

void Communicator::submit(Operation operation) {
  if (place_.size == 1) return;
  require_host(operation);
  if (queue_ && !queue_->is_idle()) {
    queue_->add(std::move(operation), std::make_shared<Waits>()).wait();
  } else {
    run(operation);
  }
}

void Communicator::submit_to(Communicator& other, Operation operation) {
  other.submit(std::move(operation));
}
Pending Communicator::start_on(Communicator& other, Operation operation) {
  return other.start(std::move(operation));
}

namespace {

bool can_be_summed(const Values& values) { return values.type != tensor::DType::kU8; }

std::vector<Part> checked(const Values& values, std::span<const Part> parts, int size) {
  NATIVO_CHECK(static_cast<int>(parts.size()) == size, "one part a rank");
  for (const Part& part : parts) {
    NATIVO_CHECK(part.begin + part.count <= values.count, "parts lie inside the values");
  }
  return {parts.begin(), parts.end()};
}

}  // namespace

std::vector<Part> Communicator::only(const Values& values, int root) const {
  NATIVO_CHECK(root >= 0 && root < place_.size, "the root is a rank");
  std::vector<Part> parts(static_cast<std::size_t>(place_.size));
  parts[static_cast<std::size_t>(root)] = {0, values.count};
  return parts;
}

void Communicator::all_reduce(const Values& values) {
  NATIVO_CHECK(can_be_summed(values), "bytes have no sum");
  submit({OperationKind::kAllReduce, "all_reduce", values});
}
void Communicator::reduce_scatter(const Values& values, std::span<const Part> parts) {
  NATIVO_CHECK(can_be_summed(values), "bytes have no sum");
  submit({OperationKind::kReduceScatter, "reduce_scatter", values,
          checked(values, parts, place_.size)});
}
void Communicator::all_gather(const Values& values, std::span<const Part> parts) {
  submit({OperationKind::kAllGather, "all_gather", values, checked(values, parts, place_.size)});
}
void Communicator::broadcast(const Values& values, int root) {
  submit({OperationKind::kAllGather, "broadcast", values, only(values, root)});
}
void Communicator::barrier() { submit({}); }
void Communicator::send_receive(const Values& mine, int to, const Values& theirs, int from) {
  NATIVO_CHECK(to < place_.size && from < place_.size, "both are ranks");
  Operation operation{OperationKind::kSendReceive, "send_receive", mine};
  operation.theirs = theirs;
  operation.to = to;
  operation.from = from;
  submit(std::move(operation));
}

Pending Communicator::start_all_reduce(const Values& values) {
  NATIVO_CHECK(can_be_summed(values), "bytes have no sum");
  return start({OperationKind::kAllReduce, "all_reduce", values});
}
Pending Communicator::start_reduce_scatter(const Values& values, std::span<const Part> parts) {
  NATIVO_CHECK(can_be_summed(values), "bytes have no sum");
  return start({OperationKind::kReduceScatter, "reduce_scatter", values,
                checked(values, parts, place_.size)});
}
Pending Communicator::start_all_gather(const Values& values, std::span<const Part> parts) {
  return start(
      {OperationKind::kAllGather, "all_gather", values, checked(values, parts, place_.size)});
}
Pending Communicator::start_broadcast(const Values& values, int root) {
  return start({OperationKind::kAllGather, "broadcast", values, only(values, root)});
}

namespace {

class SelfCommunicator final : public Communicator {
 public:
  SelfCommunicator() : Communicator(Place{}) {}

  std::span<std::byte> allocate(std::size_t bytes, std::string_view what) override {
    tensor::Arena& arena = *arenas_.emplace_back(std::make_unique<tensor::Arena>());
    tensor::ArenaPlan plan;
    const auto slot = plan.add<std::byte>("", {static_cast<std::int64_t>(bytes)});
    arena.reserve(plan, what);
    arena.zero();
    return arena.view<std::byte>(slot).span();
  }

  std::span<std::byte> allocate_shared(std::size_t bytes, std::string_view what) override {
    return allocate(bytes, what);
  }

  std::unique_ptr<Communicator> split(int /*color*/, int /*key*/) override { return make_self(); }
  void abandon() override {}

 protected:
  void run(const Operation& /*operation*/) override {}

 private:
  std::vector<std::unique_ptr<tensor::Arena>> arenas_;
};

}  // namespace

std::unique_ptr<Communicator> make_self() { return std::make_unique<SelfCommunicator>(); }

std::string broadcast_text(Communicator& communicator, std::string_view text, int root) {
  auto size = static_cast<std::int64_t>(communicator.rank() == root ? text.size() : 0);
  communicator.broadcast(std::span(&size, 1), root);
  std::string result(static_cast<std::size_t>(size), '\0');
  if (communicator.rank() == root) result = text;
  communicator.broadcast(std::as_writable_bytes(std::span(result)), root);
  return result;
}

std::vector<std::string> all_gather_text(Communicator& communicator, std::string_view text) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const auto mine = static_cast<std::size_t>(communicator.rank());
  std::vector<std::int64_t> sizes(ranks);
  sizes[mine] = static_cast<std::int64_t>(text.size());
  communicator.all_reduce(std::span(sizes));
  std::vector<Part> parts;
  std::size_t total = 0;
  for (const std::int64_t size : sizes) {
    parts.push_back({total, static_cast<std::size_t>(size)});
    total += static_cast<std::size_t>(size);
  }
  std::string all(total, '\0');
  text.copy(all.data() + parts[mine].begin, text.size());
  communicator.all_gather(std::as_writable_bytes(std::span(all)), parts);
  std::vector<std::string> texts;
  for (const Part& part : parts) texts.push_back(all.substr(part.begin, part.count));
  return texts;
}

std::vector<double> all_gather_numbers(Communicator& communicator, std::span<const double> mine) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<double> all(ranks * mine.size());
  std::vector<Part> parts;
  for (std::size_t r = 0; r < ranks; ++r) parts.push_back({r * mine.size(), mine.size()});
  std::ranges::copy(mine,
                    all.begin() + static_cast<std::ptrdiff_t>(
                                      parts[static_cast<std::size_t>(communicator.rank())].begin));
  communicator.all_gather(std::span(all), parts);
  return all;
}

bool any_rank(Communicator& communicator, bool mine) {
  std::int64_t count = mine ? 1 : 0;
  communicator.all_reduce(std::span(&count, 1));
  return count > 0;
}

}  // namespace nativo::dist
