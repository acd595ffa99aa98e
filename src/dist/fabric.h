// What connects the ranks of a communicator: their places, memory that a node shares, messages
// between nodes. Not here: collectives (dist/node_communicator.h).
// Rule: nothing waits in here but the collective share() and split(); who waits, counts the time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace nativo::dist {

/// A message under way. Destroying one that is not done gives it up; its memory must then stay
/// until the process ends.
class Message {
 public:
  virtual ~Message() = default;
  [[nodiscard]] virtual bool is_done() = 0;
};

class Fabric {
 public:
  virtual ~Fabric() = default;

  [[nodiscard]] virtual int rank() const = 0;
  /// The node of every rank, by rank; numbered from 0 in the order of their lowest ranks.
  [[nodiscard]] virtual const std::vector<int>& nodes() const = 0;

  /// `bytes` of zeroed memory for each rank of this rank's node, in their order: all can read and
  /// write all of it. At least 64-byte aligned; lives as long as the fabric. Collective over the
  /// node. Throws Error(kTryAgain) when there is not enough.
  [[nodiscard]] virtual std::vector<std::byte*> share(std::size_t bytes, std::string_view what) = 0;

  /// The same, but one block for all ranks of the node.
  [[nodiscard]] virtual std::byte* share_one(std::size_t bytes, std::string_view what) = 0;

  /// Messages from one rank to another arrive in the order in which they were sent. Any thread may
  /// call these two.
  [[nodiscard]] virtual std::unique_ptr<Message> send(int to, std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual std::unique_ptr<Message> receive(int from, std::span<std::byte> bytes) = 0;

  /// See Communicator::split. Collective.
  [[nodiscard]] virtual std::unique_ptr<Fabric> split(int color, int key) = 0;

  /// The communicator has failed: nothing collective may be done any more, not even at the end.
  virtual void give_up() = 0;
};

}  // namespace nativo::dist
