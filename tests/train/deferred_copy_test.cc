// Copies made beside work that changes what is copied: they have the bytes of the beginning,
// whoever made them, and only what is about to change is waited for.
#include "train/deferred_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/bf16.h"

namespace nativo::train {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
  return bytes;
}

struct Memory {
  explicit Memory(std::size_t count) : bytes(random_bytes(count, count)), copy(count) {}
  [[nodiscard]] std::span<std::byte> part(std::size_t begin, std::size_t count) {
    return std::span(bytes).subspan(begin, count);
  }
  void begin(DeferredCopy& copies) { copies.begin({{.from = bytes, .to = copy.data()}}); }

  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
};

TEST(DeferredCopy, ReadsNothingBeforeItHasTo) {
  Memory memory(5 * kMiB + 77);
  const std::vector<std::byte> before = memory.bytes;
  DeferredCopy copies;
  memory.begin(copies);
  EXPECT_EQ(std::ranges::count(memory.copy, std::byte{0}), std::ssize(memory.copy));
  copies.before_change(memory.part(2 * kMiB + 5, 10));
  EXPECT_TRUE(std::ranges::equal(std::span(memory.copy).subspan(2 * kMiB, kMiB),
                                 std::span(before).subspan(2 * kMiB, kMiB)));
  EXPECT_EQ(std::ranges::count(std::span(memory.copy).first(2 * kMiB), std::byte{0}), 2 * kMiB);
  copies.finish();
  EXPECT_TRUE(memory.copy == before);
}

// Parts that begin and end anywhere, of any size, before the copying has begun.
TEST(DeferredCopy, WhatChangesWasCopiedBefore) {
  Rng rng(3);
  for (int round = 0; round < 50; ++round) {
    Memory memory(1 + rng.below(4 * kMiB));
    const std::vector<std::byte> before = memory.bytes;
    DeferredCopy copies;
    memory.begin(copies);
    for (int i = 0; i < 5; ++i) {
      const std::size_t begin = rng.below(memory.bytes.size());
      const std::span<std::byte> part =
          memory.part(begin, rng.below(memory.bytes.size() - begin + 1));
      copies.before_change(part);
      std::ranges::fill(part, std::byte{0xEE});
    }
    copies.finish();
    ASSERT_TRUE(memory.copy == before) << round;
  }
}

TEST(DeferredCopy, WhatIsJustBeingCopiedIsWaitedFor) {
  set_thread_count(2);
  Memory memory(24 * kMiB);
  for (int round = 0; round < 20; ++round) {
    const std::vector<std::byte> before = memory.bytes;
    DeferredCopy copies;
    memory.begin(copies);
    std::thread background([&] { copies.finish(); });
    for (std::size_t at = 0; at < memory.bytes.size(); at += 3 * kMiB / 2) {
      const std::span<std::byte> part = memory.part(at, 3 * kMiB / 2);
      copies.before_change(part);
      std::memset(part.data(), round + 1, part.size());
    }
    background.join();
    ASSERT_TRUE(memory.copy == before) << round;
  }
  set_thread_count(1);
}

TEST(DeferredCopy, OtherMemoryIsNotItsBusiness) {
  Memory memory(2 * kMiB);
  Memory other(kMiB);
  DeferredCopy copies;
  copies.before_change(other.bytes);
  memory.begin(copies);
  copies.before_change(other.bytes);
  copies.before_change(memory.part(0, 0));
  EXPECT_EQ(std::ranges::count(memory.copy, std::byte{0}), std::ssize(memory.copy));
}

TEST(DeferredCopy, Bf16BecomesF32) {
  std::vector<tensor::bf16> narrow(kMiB);
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    narrow[i] = tensor::to_bf16(static_cast<float>(i % 1000) * 0.37F - 55.0F);
  }
  std::vector<float> wide(narrow.size());
  DeferredCopy copies;
  const std::span<tensor::bf16> from(narrow);
  copies.begin({{.from = std::as_bytes(from),
                 .to = reinterpret_cast<std::byte*>(wide.data()),
                 .widens = true}});
  copies.before_change(std::as_bytes(from.subspan(900000, 10)));
  copies.finish();
  EXPECT_TRUE(std::ranges::equal(narrow, wide, {}, tensor::to_f32));
}

TEST(DeferredCopy, BeginsAgain) {
  Memory memory(3 * kMiB);
  DeferredCopy copies;
  memory.begin(copies);
  copies.before_change(memory.part(0, 1));
  memory.begin(copies);  // the first one was given up
  std::ranges::fill(memory.copy, std::byte{0});
  copies.finish();
  EXPECT_TRUE(memory.copy == memory.bytes);
}

}  // namespace
}  // namespace nativo::train
