// Ranks that are threads of one process, on as many nodes as a test likes.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <span>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "dist/fabric.h"
#include "dist/node_communicator.h"

namespace nativo::dist::threads {

/// What the ranks of one fabric share.
class Hub {
 public:
  explicit Hub(std::vector<int> nodes) : nodes_(std::move(nodes)) {}

  [[nodiscard]] const std::vector<int>& nodes() const { return nodes_; }
  /// Bytes that have crossed between nodes, in parts of this world, too.
  [[nodiscard]] std::size_t sent() const { return *sent_; }

  /// The `call`-th share() of a node.
  std::vector<std::byte*> share(int node, std::size_t call, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    std::vector<std::vector<Cell>>& memory = shared_[{node, call}];
    std::vector<std::byte*> views;
    for (std::size_t r = 0; r < nodes_.size(); ++r) {
      if (nodes_[r] != node) continue;
      if (memory.size() <= views.size()) memory.emplace_back(bytes / sizeof(Cell) + 1);
      views.push_back(memory[views.size()].data()->bytes);
    }
    return views;
  }

  void put(int from, int to, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    *sent_ += bytes.size();
    mail_[{from, to}].emplace_back(bytes.begin(), bytes.end());
  }
  std::size_t take_ticket(int from, int to) {
    const std::lock_guard lock(mutex_);
    return tickets_[{from, to}]++;
  }
  bool fetch(int from, int to, std::size_t ticket, std::span<std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    const auto& mail = mail_[{from, to}];
    if (mail.size() <= ticket) return false;
    if (mail[ticket].size() != bytes.size()) std::abort();
    std::ranges::copy(mail[ticket], bytes.begin());
    return true;
  }

  /// The hub of `rank`'s colour in the `call`-th split, and its rank there.
  std::pair<std::shared_ptr<Hub>, int> split(std::size_t call, int rank, int color, int key) {
    std::unique_lock lock(mutex_);
    auto& choices = splits_[call];
    choices[{color, key, rank}] = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [&] { return choices.size() == nodes_.size(); });
    std::vector<int> members;
    std::shared_ptr<Hub> hub;
    for (auto& [choice, made] : choices) {
      if (std::get<0>(choice) != color) continue;
      members.push_back(std::get<2>(choice));
      if (made) hub = made;
    }
    if (!hub) {
      std::vector<int> nodes;
      std::map<int, int> numbers;
      for (const int member : members) {
        const int node = nodes_[static_cast<std::size_t>(member)];
        nodes.push_back(numbers.emplace(node, static_cast<int>(numbers.size())).first->second);
      }
      hub = std::make_shared<Hub>(nodes);
      hub->sent_ = sent_;
      for (auto& [choice, made] : choices) {
        if (std::get<0>(choice) == color) made = hub;
      }
    }
    const auto at = std::find(members.begin(), members.end(), rank) - members.begin();
    return {hub, static_cast<int>(at)};
  }

 private:
  struct alignas(64) Cell {
    std::byte bytes[64] = {};
  };
  std::vector<int> nodes_;
  /// Bytes of all messages, those of its parts among them.
  std::shared_ptr<std::atomic<std::size_t>> sent_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, std::size_t>, std::vector<std::vector<Cell>>> shared_;
  std::map<std::pair<int, int>, std::vector<std::vector<std::byte>>> mail_;
  std::map<std::pair<int, int>, std::size_t> tickets_;
  std::map<std::size_t, std::map<std::tuple<int, int, int>, std::shared_ptr<Hub>>> splits_;
};

class ThreadFabric final : public Fabric {
 public:
  ThreadFabric(std::shared_ptr<Hub> hub, int rank) : hub_(std::move(hub)), rank_(rank) {}

  int rank() const override { return rank_; }
  const std::vector<int>& nodes() const override { return hub_->nodes(); }
  std::vector<std::byte*> share(std::size_t bytes, std::string_view /*what*/) override {
    return hub_->share(nodes()[static_cast<std::size_t>(rank_)], shares_++, bytes);
  }
  std::byte* share_one(std::size_t bytes, std::string_view what) override {
    return share(bytes, what).front();
  }
  std::unique_ptr<Message> send(int to, std::span<const std::byte> bytes) override {
    hub_->put(rank_, to, bytes);
    return std::make_unique<Sent>();
  }
  std::unique_ptr<Message> receive(int from, std::span<std::byte> bytes) override {
    return std::make_unique<Incoming>(*hub_, from, rank_, bytes);
  }
  std::unique_ptr<Fabric> split(int color, int key) override {
    auto [hub, rank] = hub_->split(splits_++, rank_, color, key);
    return std::make_unique<ThreadFabric>(hub, rank);
  }
  void give_up() override {}

 private:
  struct Sent final : Message {
    bool is_done() override { return true; }
  };
  class Incoming final : public Message {
   public:
    Incoming(Hub& hub, int from, int to, std::span<std::byte> bytes)
        : hub_(hub), from_(from), to_(to), ticket_(hub.take_ticket(from, to)), bytes_(bytes) {}
    bool is_done() override {
      done_ = done_ || hub_.fetch(from_, to_, ticket_, bytes_);
      return done_;
    }

   private:
    Hub& hub_;
    int from_;
    int to_;
    std::size_t ticket_;
    std::span<std::byte> bytes_;
    bool done_ = false;
  };

  std::shared_ptr<Hub> hub_;
  int rank_;
  std::size_t shares_ = 0;
  std::size_t splits_ = 0;
};

using Body = std::function<void(Communicator&)>;

/// Calls `body` on a thread a rank, `nodes[r]` the node of rank r; rethrows the first failure.
/// Returns the bytes that have crossed between nodes.
inline std::size_t run_ranks(const std::vector<int>& nodes, const Body& body,
                             const NodeSettings& settings = {}) {
  const auto hub = std::make_shared<Hub>(nodes);
  std::vector<std::exception_ptr> failures(nodes.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    threads.emplace_back([&, r] {
      set_thread_count(1);
      try {
        NodeCommunicator communicator(std::make_unique<ThreadFabric>(hub, static_cast<int>(r)),
                                      settings);
        communicator.set_timeout(60.0);
        body(communicator);
      } catch (...) {
        failures[r] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return hub->sent();
}

/// `ranks` on one node.
inline void run_ranks(int ranks, const Body& body) {
  run_ranks(std::vector<int>(static_cast<std::size_t>(ranks), 0), body);
}

}  // namespace nativo::dist::threads
