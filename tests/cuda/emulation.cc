// Blocks one after the other, their threads as fibres. See emulation/cuda_runtime.h.
#include <cuda_runtime.h>
#include <setjmp.h>  // NOLINT(modernize-deprecated-headers): _setjmp is POSIX
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

uint3 threadIdx{};
uint3 blockIdx{};
dim3 blockDim;
dim3 gridDim;

namespace nativo::emulation {
namespace {

constexpr std::size_t kStack = std::size_t{64} << 10;

struct Copy {
  void* to;
  const void* from;  ///< null = zeros
  std::size_t bytes;

  void arrive() const {
    from == nullptr ? std::memset(to, 0, bytes) : std::memcpy(to, from, bytes);
  }
};

enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

struct Thread {
  ucontext_t begin{};  ///< where it starts; from then on jumps, which make no system call
  jmp_buf at{};
  bool started = false;
  std::unique_ptr<char[]> stack;
  State state = State::kReady;
  uint3 index{};
  unsigned exchanges = 0;  ///< warp operations so far: two in a row use different memory
  /// Copies that are on their way, and the number of each one's group.
  std::vector<std::pair<Copy, unsigned>> copies;
  unsigned groups = 0;  ///< that were ended
};

struct Lane {
  std::array<std::uint64_t, 32> bits[2];
  std::uint32_t words[2][32][8];
};

struct Block {
  std::span<Thread> threads;  ///< of threads_of_all_blocks()
  std::vector<Lane> warps;
  std::vector<unsigned char> shared;
  unsigned char* shared_begin = nullptr;
  jmp_buf scheduler{};
  std::size_t current = 0;
  int count = 0;       ///< predicates of the barrier that is being reached
  int last_count = 0;  ///< of the one that was passed
  const std::function<void()>* body = nullptr;
};

Block* block = nullptr;

/// In which order blocks run, and a block's warps and lanes between barriers; and how far a warp
/// goes before another one: to its next warp operation (ascending), to the block's next barrier
/// (descending; asynchronous copies arrive at once then, else as late as they may), or by chance. A
/// kernel whose result depends on it has a race.
struct Order {
  enum class Kind { kAscending, kDescending, kShuffled };
  Kind kind = Kind::kAscending;
  std::uint64_t state = 0x9E3779B97F4A7C15;

  Order() {
    const char* name = std::getenv("NATIVO_EMULATED_ORDER");
    if (name == nullptr) return;
    kind = std::strcmp(name, "descending") == 0 ? Kind::kDescending
           : std::strcmp(name, "shuffled") == 0 ? Kind::kShuffled
                                                : Kind::kAscending;
  }
  /// That a warp goes at a time.
  int steps() {
    if (kind == Kind::kAscending) return 1;
    if (kind == Kind::kDescending) return INT_MAX;
    return random() % 4 == 0 ? INT_MAX : 1 + static_cast<int>(random() % 8);
  }
  std::uint64_t random() {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return state >> 33;
  }
  /// 0 .. count - 1 in that order, another one at each call when shuffled.
  const std::vector<std::uint32_t>& of(std::size_t count, std::vector<std::uint32_t>& places) {
    if (places.size() == count && kind != Kind::kShuffled) return places;
    places.resize(count);
    std::iota(places.begin(), places.end(), 0U);
    if (kind == Kind::kDescending) std::ranges::reverse(places);
    for (std::size_t i = count; kind == Kind::kShuffled && i > 1; --i) {
      std::swap(places[i - 1], places[random() % i]);
    }
    return places;
  }
};

Order& order() {
  static Order one;
  return one;
}

/// At least `count`; their stacks are kept from launch to launch.
std::span<Thread> threads_of_all_blocks(std::size_t count) {
  static std::vector<std::unique_ptr<Thread[]>> kept;  // the last are the most
  static std::size_t size = 0;
  if (count > size) {
    kept.push_back(std::make_unique<Thread[]>(count));
    size = count;
    for (std::size_t i = 0; i < count; ++i) {
      kept.back()[i].stack = std::make_unique_for_overwrite<char[]>(kStack);
    }
  }
  return {kept.back().get(), count};
}

void yield(State state) {
  Thread& thread = block->threads[block->current];
  thread.state = state;
  if (_setjmp(thread.at) == 0) _longjmp(block->scheduler, 1);
}

void resume(Thread& thread) {
  if (_setjmp(block->scheduler) != 0) return;
  if (thread.started) _longjmp(thread.at, 1);
  thread.started = true;
  setcontext(&thread.begin);
}

void run_thread() {
  (*block->body)();
  yield(State::kDone);
}

[[noreturn]] void stuck() {
  std::fprintf(stderr, "emulation: threads of a block wait for each other at different barriers\n");
  std::abort();
}

/// Lets the lanes of a warp run to their next barrier; false when none could.
bool step(std::size_t warp, std::size_t& done) {
  static std::vector<std::uint32_t> lanes;
  const auto threads = block->threads.subspan(
      32 * warp, std::min<std::size_t>(32, block->threads.size() - 32 * warp));
  bool moved = false;
  for (const std::uint32_t lane : order().of(threads.size(), lanes)) {
    Thread& thread = threads[lane];
    if (thread.state != State::kReady) continue;
    moved = true;
    block->current = 32 * warp + lane;
    threadIdx = thread.index;
    resume(thread);
    if (thread.state == State::kDone) ++done;
  }
  // The warp passes when all its lanes that live have come.
  const bool all = std::ranges::all_of(threads, [](const Thread& thread) {
    return thread.state == State::kAtWarpBarrier || thread.state == State::kDone;
  });
  for (Thread& thread : threads) {
    if (!all || thread.state == State::kDone) continue;
    thread.state = State::kReady;
    moved = true;
  }
  return moved;
}

void run_block() {
  std::size_t done = 0;
  for (Thread& thread : block->threads) {
    thread.state = State::kReady;
    thread.exchanges = 0;
    thread.copies.clear();
    thread.groups = 0;
    thread.started = false;
    getcontext(&thread.begin);
    thread.begin.uc_stack.ss_sp = thread.stack.get();
    thread.begin.uc_stack.ss_size = kStack;
    thread.begin.uc_link = nullptr;
    makecontext(&thread.begin, run_thread, 0);
  }
  std::vector<std::uint32_t> warps;
  while (done < block->threads.size()) {
    bool moved = false;
    for (const std::uint32_t warp : order().of((block->threads.size() + 31) / 32, warps)) {
      for (int steps = order().steps(); steps > 0 && step(warp, done); --steps) moved = true;
    }
    bool all = done < block->threads.size();
    for (const Thread& thread : block->threads) {
      all = all && (thread.state == State::kAtBlockBarrier || thread.state == State::kDone);
    }
    if (all) {
      block->last_count = block->count;
      block->count = 0;
      for (Thread& thread : block->threads) {
        if (thread.state == State::kAtBlockBarrier) thread.state = State::kReady;
      }
      moved = true;
    }
    if (!moved) stuck();
  }
}

std::size_t parity_after_arrival() {
  Thread& thread = block->threads[block->current];
  return thread.exchanges++ % 2;
}

}  // namespace

void run_grid(dim3 grid, dim3 threads, std::size_t shared, const std::function<void()>& body) {
  Block own;
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  own.threads = threads_of_all_blocks(count);
  own.warps.resize((count + 31) / 32);
  own.shared.assign(shared + 128, 0xA5);
  const auto address = reinterpret_cast<std::uintptr_t>(own.shared.data());
  own.shared_begin = own.shared.data() + (128 - address % 128) % 128;
  own.body = &body;
  for (std::size_t i = 0; i < count; ++i) {
    own.threads[i].index = {static_cast<unsigned>(i % threads.x),
                            static_cast<unsigned>(i / threads.x % threads.y),
                            static_cast<unsigned>(i / threads.x / threads.y)};
  }
  block = &own;
  blockDim = threads;
  gridDim = grid;
  std::vector<std::uint32_t> places;
  for (const std::uint32_t place : order().of(std::size_t{grid.x} * grid.y * grid.z, places)) {
    blockIdx = {place % grid.x, place / grid.x % grid.y, place / grid.x / grid.y};
    run_block();
  }
  block = nullptr;
}

unsigned char* shared_memory() { return block->shared_begin; }

const std::uint64_t* exchange(std::uint64_t bits) {
  const std::size_t warp = block->current / 32;
  const std::size_t parity = parity_after_arrival();
  block->warps[warp].bits[parity][block->current % 32] = bits;
  yield(State::kAtWarpBarrier);
  return block->warps[warp].bits[parity].data();
}

const std::uint32_t (*exchange_words(const std::uint32_t* words))[8] {
  const std::size_t warp = block->current / 32;
  const std::size_t parity = parity_after_arrival();
  std::memcpy(block->warps[warp].words[parity][block->current % 32], words, 32);
  yield(State::kAtWarpBarrier);
  return block->warps[warp].words[parity];
}

void copy_later(void* to, const void* from, std::size_t bytes) {
  const Copy copy{to, from, bytes};
  if (order().kind == Order::Kind::kDescending) return copy.arrive();
  Thread& thread = block->threads[block->current];
  thread.copies.emplace_back(copy, thread.groups);
}

void end_copy_group() { ++block->threads[block->current].groups; }

void await_copies(unsigned pending) {
  Thread& thread = block->threads[block->current];
  std::erase_if(thread.copies, [&](const auto& copy) {
    const bool is_due = copy.second + pending < thread.groups;
    if (is_due) copy.first.arrive();
    return is_due;
  });
}

void block_barrier() { yield(State::kAtBlockBarrier); }

int block_count(int predicate) {
  block->count += predicate != 0 ? 1 : 0;
  yield(State::kAtBlockBarrier);
  return block->last_count;
}

}  // namespace nativo::emulation
