// Copies that wait: what they promise holds for pinned memory, too, which the driver copies beside
// its caller. On machines without a GPU an emulated one (tests/cuda/emulation).
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tensor/device_memory.h"

namespace nativo::tensor {
namespace {

std::vector<Device> gpus() {
  return gpu_count() == 0 ? std::vector<Device>() : std::vector<Device>{Device::cuda(0)};
}

class DeviceCopyTest : public testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceCopyTest);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceCopyTest, testing::ValuesIn(gpus()),
                         [](const auto&) { return "gpu_0"; });

TEST_P(DeviceCopyTest, TheCallerMayGoOnWithBothEnds) {
  constexpr std::size_t kBytes = 4096;
  const Device device = GetParam();
  PinnedMemory host(kBytes, "a test");
  PinnedMemory back(kBytes, "a test");
  const DeviceMemory there(device, kBytes, "a test");
  for (int round = 1; round <= 4; ++round) {
    std::memset(host.data(), round, kBytes);
    copy_bytes(device, there.data(), Device::cpu(), host.data(), kBytes);
    std::memset(host.data(), 0, kBytes);
    copy_bytes(Device::cpu(), back.data(), device, there.data(), kBytes);
    EXPECT_EQ(static_cast<int>(back.data()[kBytes - 1]), round);
  }
}

}  // namespace
}  // namespace nativo::tensor
