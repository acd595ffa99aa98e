// Pieces of host memory through a GPU: what comes there, what comes back. On machines without a GPU
// an emulated one (tests/cuda/emulation), whose streams run apart as far as they may.
#include "tensor/host_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace nativo::tensor {
namespace {

constexpr std::size_t kPiece = 4096;

std::vector<Device> gpus() {
  return gpu_count() == 0 ? std::vector<Device>() : std::vector<Device>{Device::cuda(0)};
}

class HostWindowTest : public testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HostWindowTest);
INSTANTIATE_TEST_SUITE_P(Devices, HostWindowTest, testing::ValuesIn(gpus()),
                         [](const auto&) { return "gpu_0"; });

// Each round, ops read every piece and put the next round's bytes in its place.
TEST_P(HostWindowTest, PiecesComeAndGoInOrder) {
  constexpr std::size_t kRounds = 4;
  const Device device = GetParam();
  for (const std::size_t pieces : {1U, 2U, 5U}) {
    const std::size_t bytes = pieces * kPiece;
    PinnedMemory host(bytes, "a test");
    PinnedMemory new_bytes(kRounds * bytes, "what ops make of it");
    PinnedMemory seen(kRounds * bytes, "what ops have seen");
    const auto byte_of = [](std::size_t round, std::size_t piece) {
      return static_cast<int>(1 + 10 * round + piece);
    };
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      std::memset(host.data() + piece * kPiece, byte_of(0, piece), kPiece);
      for (std::size_t round = 0; round < kRounds; ++round) {
        std::memset(new_bytes.data() + round * bytes + piece * kPiece, byte_of(round + 1, piece),
                    kPiece);
      }
    }
    StreamHandle compute = compute_stream(device);
    HostWindow window(device, kPiece, "a test");
    for (std::size_t round = 0; round < kRounds; ++round) {
      for (std::size_t piece = 0; piece < pieces; ++piece) {
        const std::size_t at = round * bytes + piece * kPiece;
        std::span<std::byte> range(host.data() + piece * kPiece, kPiece);
        std::byte* place = nullptr;
        window.open(std::span(&range, 1), std::span(&place, 1));
        copy_bytes_async(seen.data() + at, place, kPiece, compute);
        copy_bytes_async(place, new_bytes.data() + at, kPiece, compute);
        window.close();
      }
      window.finish();
    }
    // The device's ops come after what goes back.
    DeviceMemory there(device, bytes, "a test");
    PinnedMemory at_the_end(bytes, "a test");
    copy_bytes_async(there.data(), host.data(), bytes, compute);
    copy_bytes_async(at_the_end.data(), there.data(), bytes, compute);
    Event end(device);
    end.record(compute);
    end.wait();
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      for (std::size_t round = 0; round < kRounds; ++round) {
        EXPECT_EQ(static_cast<int>(seen.data()[round * bytes + piece * kPiece]),
                  byte_of(round, piece))
            << "piece " << piece << " of " << pieces << ", round " << round;
      }
      EXPECT_EQ(static_cast<int>(at_the_end.data()[piece * kPiece]), byte_of(kRounds, piece))
          << "piece " << piece << " of " << pieces;
    }
  }
}

}  // namespace
}  // namespace nativo::tensor
