#include "tensor/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tensor/arena.h"
#include "tensor/bf16.h"
#include "tensor/device_memory.h"

namespace nativo::tensor {
namespace {

TEST(Device, NamesAreReadAsTheyAreWritten) {
  for (const Device& device : {Device::cpu(), Device::cuda(0), Device::cuda(7)}) {
    EXPECT_EQ(device_from_name(device_name(device)), device);
  }
  EXPECT_EQ(device_from_name("cuda"), Device::cuda(0));
  for (const char* bad : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999", "CPU"}) {
    EXPECT_FALSE(device_from_name(bad)) << bad;
  }
}

TEST(Device, AGpuThatIsNotThereIsNamedWithTheReason) {
  EXPECT_NO_THROW(require_device(Device::cpu()));
  EXPECT_EQ(gpu_count() == 0, !why_no_gpu().empty());
  try {
    Arena arena(Device::cuda(63));
    arena.reserve(1024, "weights");
    FAIL() << "there is no such GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), testing::HasSubstr("cuda:63"));
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(Device, AViewKeepsItThroughConversionsAndParts) {
  float memory[6] = {};
  const View<float> view(memory, {3, 2}, Device::cuda(1));
  EXPECT_EQ(View<const float>(view).device(), Device::cuda(1));
  EXPECT_EQ(view.rows(1, 2).device(), Device::cuda(1));
  EXPECT_EQ(View<float>(memory, {6}).device(), Device::cpu());
}

TEST(DeviceMemory, GoesThereAndBack) {
  if (gpu_count() == 0) GTEST_SKIP() << "no memory of a GPU was tested: " << why_no_gpu();
  ArenaPlan plan;
  const auto slot = plan.add<bf16>("numbers", {1000});
  Arena arena(Device::cuda(0));
  arena.reserve(plan, "a test");
  arena.zero();
  std::vector<bf16> values(1000, to_bf16(3.0F));
  const View<bf16> host(values.data(), {1000});
  copy(arena.view<bf16>(slot), host);
  EXPECT_EQ(values[999], to_bf16(0.0F));
  values[999] = to_bf16(7.0F);
  copy(host, arena.view<bf16>(slot));
  // On a stream of its own, from pinned memory, in order by an event.
  PinnedMemory pinned(2000, "a test");
  Stream stream(Device::cuda(0));
  Event done(Device::cuda(0));
  done.record(compute_stream(Device::cuda(0)));
  done.block(stream.handle());
  copy_bytes_async(pinned.data(), arena.view<bf16>(slot).data(), 2000, stream.handle());
  done.record(stream.handle());
  done.wait();
  EXPECT_EQ(reinterpret_cast<const bf16*>(pinned.data())[999], to_bf16(7.0F));
  EXPECT_THROW(DeviceMemory(Device::cuda(0), std::size_t{1} << 50, "too much"), Error);
}

}  // namespace
}  // namespace nativo::tensor
