// N processes as one: collectives over numbers in memory of the host or of a GPU each, blocking or
// in the background, each with a time limit. Not here: what connects the processes (dist/fabric.h,
// dist/nccl.h), who starts them (launch/).
// Rule: all ranks call the same collectives in the same order with the same shapes; a sum's order
// follows from the ranks' places alone, so that equal places give equal bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/any_view.h"
#include "tensor/dtype.h"

namespace nativo::dist {

/// Numbers in memory that somebody else owns.
struct Values {
  tensor::DType type = tensor::DType::kF32;
  std::byte* data = nullptr;
  std::size_t count = 0;  ///< elements
  bool crosses_as_bf16 = false;
  tensor::Device device = {};  ///< where they lie

  Values(std::span<float> values);         // NOLINT: implicit by design
  Values(std::span<double> values);        // NOLINT
  Values(std::span<std::int64_t> values);  // NOLINT
  Values(std::span<std::byte> values);     // NOLINT: can be moved, not summed
  Values(const tensor::AnyView& values);   // NOLINT: on the view's device
  template <class T>
  Values(const tensor::View<T>& values)  // NOLINT
      : Values(tensor::AnyView(values)) {}
  /// Bits of bfloat16; summed in f32 and rounded once, to nearest.
  [[nodiscard]] static Values bf16(std::span<std::uint16_t> bits);

  /// f32 in memory, bf16 on the way from node to node, which halves what crosses: a node's sums
  /// are rounded once, to nearest, and added in f32, in the nodes' order; gathered values are
  /// rounded on all ranks, their owner's too. On one node nothing is rounded. Of the host alone.
  [[nodiscard]] static Values crossing_as_bf16(std::span<float> values);

  [[nodiscard]] std::size_t bytes() const;

 private:
  Values(tensor::DType element, void* memory, std::size_t elements);
};

/// Elements begin .. begin + count - 1.
struct Part {
  std::size_t begin = 0;
  std::size_t count = 0;
  bool operator==(const Part&) const = default;
};

/// `count` elements in `parts` consecutive parts whose sizes differ by one at most, the larger
/// first.
[[nodiscard]] std::vector<Part> even_parts(std::size_t count, int parts);

/// Where a rank is. Nodes are numbered in the order of their lowest rank.
struct Place {
  int rank = 0;  ///< 0 .. size - 1
  int size = 1;  ///< N
  int node = 0;
  int nodes = 1;
  int node_rank = 0;  ///< among the ranks of its node, in their order
  int node_size = 1;
};

enum class OperationKind { kAllReduce, kReduceScatter, kAllGather, kBarrier, kSendReceive };
struct Operation;
struct Waits;
class OperationQueue;

/// A collective under way.
class Pending {
 public:
  /// What a communicator knows of it.
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
  };

  Pending() = default;  ///< one that is over
  explicit Pending(std::shared_ptr<State> state) : state_(std::move(state)) {}
  /// Returns when it is done; throws what it failed with. Of values on a GPU: returns at once, and
  /// what the GPU's compute stream is given from now on comes after it.
  void wait();

 private:
  std::shared_ptr<State> state_;
};

/// One rank's end of it. One thread at a time uses it. Every collective throws Error(kTryAgain),
/// naming the operation and, where that can be known, the ranks that did not come, when it takes
/// longer than the time limit; after that the communicator is of no use any more.
///
/// Values may lie on the rank's GPU where the communicator is one of GPUs (dist/nccl.h). The host
/// never waits for such a collective: it comes after all that the GPU's compute stream was given
/// before it was started, and before what that is given when a blocking one has returned, or
/// Pending::wait(). One that fails is given up, in time; the values are then undefined, and the
/// next call of any function throws. Collectives of the host's values and of GPUs' do not wait for
/// each other.
class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] const Place& place() const { return place_; }
  [[nodiscard]] int rank() const { return place_.rank; }
  [[nodiscard]] int size() const { return place_.size; }
  [[nodiscard]] bool is_root() const { return place_.rank == 0; }

  /// Seconds that this rank has waited for background collectives of a kind (Pending::wait): what
  /// of them its other work has not hidden. Of a GPU what its compute stream has stood still for,
  /// blocking ones too.
  [[nodiscard]] virtual double waited(OperationKind kind) const;

  /// Throws what a collective on a GPU has failed with, if one has. After the host has waited for
  /// the compute stream: all that was computed with collectives' results up to there is true.
  virtual void check() {}

  /// Seconds that a collective may take; 0 = as long as it likes.
  virtual void set_timeout(double seconds) { timeout_ = seconds; }
  [[nodiscard]] double timeout() const { return timeout_; }

  /// values = the sum over all ranks: within a node in the order of its ranks, then over the nodes
  /// in their order. NaN and infinities sum as they do.
  void all_reduce(const Values& values);

  /// The same sums, but each rank gets those of its part alone; what it holds in the other parts
  /// is undefined then. One part a rank, inside `values`, without overlap.
  void reduce_scatter(const Values& values, std::span<const Part> parts);

  /// Every rank gets all parts from those who own them; outside the parts nothing changes.
  void all_gather(const Values& values, std::span<const Part> parts);

  /// values = those of `root`.
  void broadcast(const Values& values, int root);

  /// Returns when all ranks have come.
  void barrier();

  /// `mine` go to rank `to`, which calls this with as many bytes to come from here; `theirs` come
  /// from rank `from`. -1 = none go, none come. All ranks call it.
  void send_receive(const Values& mine, int to, const Values& theirs, int from);

  /// From now on nothing waits for other ranks: what would have to fails, in whichever thread. Any
  /// thread.
  virtual void abandon() = 0;

  /// The collectives in the background. `values` belong to the operation until wait() has returned.
  /// They run one after the other in the order in which they were started; a blocking collective
  /// comes behind all of them.
  [[nodiscard]] Pending start_all_reduce(const Values& values);
  [[nodiscard]] Pending start_reduce_scatter(const Values& values, std::span<const Part> parts);
  [[nodiscard]] Pending start_all_gather(const Values& values, std::span<const Part> parts);
  [[nodiscard]] Pending start_broadcast(const Values& values, int root);

  /// Zeroed memory that the node's ranks read from each other: collectives on it copy nothing when
  /// every rank's values lie at the same offset of its own. Collective, the same size on all ranks;
  /// lives as long as the communicator. Throws Error(kTryAgain) when it does not suffice.
  [[nodiscard]] virtual std::span<std::byte> allocate(std::size_t bytes, std::string_view what) = 0;

  /// Zeroed memory that all ranks of the node have in common, each at an address of its own; the
  /// rest as allocate(). It may be gathered into (each rank writes its own part first), not summed
  /// in.
  [[nodiscard]] virtual std::span<std::byte> allocate_shared(std::size_t bytes,
                                                             std::string_view what) = 0;

  /// The ranks of one colour as a communicator of their own, in the order of their keys (then of
  /// their ranks). Collective over all. It must not outlive this one.
  [[nodiscard]] virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

 protected:
  explicit Communicator(const Place& place);
  /// One operation on values of the host, whole; on any thread, one at a time.
  virtual void run(const Operation& operation) = 0;
  /// Of several ranks: run() in its turn, here or on the queue's thread.
  virtual void submit(Operation operation);
  virtual Pending start(Operation operation);
  /// The same of another communicator.
  static void submit_to(Communicator& other, Operation operation);
  static Pending start_on(Communicator& other, Operation operation);
  /// For destructors of derived classes: nothing runs in the background any more.
  void stop_queue();

 private:
  [[nodiscard]] std::vector<Part> only(const Values& values, int root) const;

  Place place_;
  double timeout_ = 300.0;
  std::shared_ptr<Waits> waits_;
  std::unique_ptr<OperationQueue> queue_;  ///< from the first background operation on
};

/// What run() gets.
struct Operation {
  OperationKind kind = OperationKind::kBarrier;
  const char* name = "barrier";  ///< for messages
  Values values{std::span<std::byte>()};
  std::vector<Part> parts = {};  ///< one a rank; of kReduceScatter and kAllGather
  /// Of kSendReceive, where `values` go to.
  Values theirs{std::span<std::byte>()};
  int to = -1;
  int from = -1;
};

/// The communicator of a process that is alone: its collectives change nothing.
[[nodiscard]] std::unique_ptr<Communicator> make_self();

/// Text of `root` on every rank; of any length.
[[nodiscard]] std::string broadcast_text(Communicator& communicator, std::string_view text,
                                         int root);
/// The texts of all ranks, by rank, on every rank.
[[nodiscard]] std::vector<std::string> all_gather_text(Communicator& communicator,
                                                       std::string_view text);
/// The numbers of all ranks, by rank; as many of each.
[[nodiscard]] std::vector<double> all_gather_numbers(Communicator& communicator,
                                                     std::span<const double> mine);
/// True when it is on any rank.
[[nodiscard]] bool any_rank(Communicator& communicator, bool mine);

}  // namespace nativo::dist
