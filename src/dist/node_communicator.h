// The communicator of several ranks on any number of nodes. Within a node each rank sums its slice
// of what all have in shared memory; between nodes, ranks of the same number on their nodes
// exchange what their nodes have summed. Not here: processes and messages (dist/fabric.h).
// Rule: who does which part of the work never shows in a sum; its order is the nodes' and the
// ranks' on them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dist/communicator.h"
#include "dist/fabric.h"

namespace nativo::dist {

/// Sizes that decide speed alone.
struct NodeSettings {
  /// What passes through shared memory at a time, of each rank, for values that are not in memory
  /// of allocate(); two such are held.
  std::size_t stage_bytes = std::size_t{2} << 20;
  /// What a rank exchanges with another node at a time, of values in memory of allocate().
  std::size_t message_bytes = std::size_t{1} << 20;
};

class NodeCommunicator final : public Communicator {
 public:
  /// Collective over the fabric's ranks.
  explicit NodeCommunicator(std::unique_ptr<Fabric> fabric, const NodeSettings& settings = {});
  ~NodeCommunicator() override;

  std::span<std::byte> allocate(std::size_t bytes, std::string_view what) override;
  std::span<std::byte> allocate_shared(std::size_t bytes, std::string_view what) override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void abandon() override { is_ending_ = true; }

 protected:
  void run(const Operation& operation) override;

 private:
  /// What the ranks of a node tell each other; each writes its own.
  struct alignas(64) Line {
    std::atomic<std::uint64_t> arrived;       ///< barriers that this rank has come to
    std::atomic<std::uint64_t> signature[2];  ///< of the operation, by barrier modulo 2
  };

  /// Elements at[r] .. at[r] + count[r] - 1 of a view belong to rank r.
  struct Round {
    std::vector<std::size_t> at;
    std::vector<std::size_t> count;
    std::vector<std::size_t> from;  ///< where they begin in the values
  };

  /// The same memory of each rank of the node.
  using Views = std::vector<std::byte*>;

  struct Window {
    Views bases;  ///< all the same of memory in common
    std::size_t bytes = 0;
  };

  void all_reduce_small(const Operation& operation);
  void run_send_receive(const Operation& operation);
  void run_staged(const Operation& operation);
  void run_in_place(const Operation& operation, const Views& views);
  [[nodiscard]] std::vector<Part> parts_of(const Operation& operation) const;
  [[nodiscard]] Views find_views(const Values& values) const;
  /// The `index`-th round in which every part passes `most` elements; `packed`: views hold only
  /// what passes, one behind the other.
  [[nodiscard]] Round round_of(std::span<const Part> parts, std::size_t most, std::size_t index,
                               bool packed) const;

  void reduce_round(const Values& values, const Views& views, const Round& round);
  void exchange_parts(const Values& values, const Views& views, const Round& round);
  void exchange_rounded(float* view, const Round& round);
  template <class BytesOf>
  void send_parts(const BytesOf& bytes_of);
  void copy_parts(const Values& values, const Views& views, const Round& round) const;

  void begin(const Operation& operation);
  void node_barrier();
  template <class Ready, class Missing>
  void wait(const Ready& is_ready, const Missing& missing);
  void wait_for(std::vector<std::unique_ptr<Message>>& messages, const std::vector<int>& peers);
  [[noreturn]] void fail(const std::vector<int>& missing);

  [[nodiscard]] int server(int rank, int node) const;
  [[nodiscard]] std::span<std::byte> scratch(std::size_t bytes);

  std::unique_ptr<Fabric> fabric_;
  NodeSettings settings_;
  std::vector<std::vector<int>> members_;  ///< ranks by node
  std::vector<int> node_of_;               ///< by rank
  std::vector<int> node_rank_of_;
  std::vector<int> served_;  ///< ranks whose parts this one sums on its node; itself among them
  std::vector<Line*> lines_;
  std::array<Views, 2> stages_;
  std::size_t stage_ = 0;  ///< the one to use next
  std::vector<Window> windows_;
  std::unique_ptr<std::byte[]> scratch_;
  std::size_t scratch_bytes_ = 0;
  std::uint64_t sequence_ = 0;  ///< barriers so far
  std::uint64_t signature_ = 0;
  const char* name_ = "";
  double deadline_ = 0.0;
  bool broken_ = false;
  std::atomic<bool> is_ending_ = false;  ///< nothing is worth waiting for
};

}  // namespace nativo::dist
