// Blocks one after the other, their threads as fibres. See emulation/cuda_runtime.h.
#include <cuda_runtime.h>
#include <setjmp.h>  // NOLINT(modernize-deprecated-headers): _setjmp is POSIX
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

uint3 threadIdx{};
uint3 blockIdx{};
dim3 blockDim;
dim3 gridDim;

namespace nativo::emulation {
namespace {

constexpr std::size_t kStack = std::size_t{64} << 10;

enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

struct Thread {
  ucontext_t begin{};  ///< where it starts; from then on jumps, which make no system call
  jmp_buf at{};
  bool started = false;
  std::unique_ptr<char[]> stack;
  State state = State::kReady;
  uint3 index{};
  unsigned exchanges = 0;  ///< warp operations so far: two in a row use different memory
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

void run_block() {
  std::size_t done = 0;
  for (Thread& thread : block->threads) {
    thread.state = State::kReady;
    thread.exchanges = 0;
    thread.started = false;
    getcontext(&thread.begin);
    thread.begin.uc_stack.ss_sp = thread.stack.get();
    thread.begin.uc_stack.ss_size = kStack;
    thread.begin.uc_link = nullptr;
    makecontext(&thread.begin, run_thread, 0);
  }
  while (done < block->threads.size()) {
    bool moved = false;
    for (std::size_t i = 0; i < block->threads.size(); ++i) {
      Thread& thread = block->threads[i];
      if (thread.state != State::kReady) continue;
      moved = true;
      block->current = i;
      threadIdx = thread.index;
      resume(thread);
      if (thread.state == State::kDone) ++done;
    }
    // A warp passes when all its lanes that live have come, a block likewise.
    for (std::size_t first = 0; first < block->threads.size(); first += 32) {
      const std::size_t end = std::min(first + 32, block->threads.size());
      bool all = true;
      for (std::size_t i = first; i < end; ++i) {
        const State state = block->threads[i].state;
        all = all && (state == State::kAtWarpBarrier || state == State::kDone);
      }
      for (std::size_t i = first; all && i < end; ++i) {
        if (block->threads[i].state == State::kDone) continue;
        block->threads[i].state = State::kReady;
        moved = true;
      }
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
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block();
      }
    }
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

void block_barrier() { yield(State::kAtBlockBarrier); }

int block_count(int predicate) {
  block->count += predicate != 0 ? 1 : 0;
  yield(State::kAtBlockBarrier);
  return block->last_count;
}

}  // namespace nativo::emulation
