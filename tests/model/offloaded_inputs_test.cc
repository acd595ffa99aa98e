// Layers' inputs on the host between the passes, in the order in which DecoderPass moves them, on a
// GPU or an emulated one (tests/cuda/emulation), whose streams run apart as far as they may.
#include "model/offloaded_inputs.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace nativo::model {
namespace {

using tensor::copy_bytes_async;
using tensor::Device;
using tensor::PinnedMemory;

constexpr std::size_t kBytes = 4096;

std::vector<Device> gpus() {
  return tensor::gpu_count() == 0 ? std::vector<Device>() : std::vector<Device>{Device::cuda(0)};
}

class OffloadedInputsTest : public testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OffloadedInputsTest);
INSTANTIATE_TEST_SUITE_P(Devices, OffloadedInputsTest, testing::ValuesIn(gpus()),
                         [](const auto&) { return "gpu_0"; });

TEST_P(OffloadedInputsTest, EveryLayerGetsItsOwnBack) {
  constexpr std::int64_t kPasses = 3;
  const Device device = GetParam();
  const tensor::StreamHandle compute = tensor::compute_stream(device);
  for (const std::int64_t layers : {1, 2, 5}) {
    const auto count = static_cast<std::size_t>(layers);
    const auto number = [&](std::int64_t pass, std::int64_t layer) {
      return static_cast<std::size_t>(pass * layers + layer);
    };
    PinnedMemory computed(kPasses * count * kBytes, "what ops compute");
    PinnedMemory seen(kPasses * count * kBytes, "what ops find");
    for (std::size_t i = 0; i < kPasses * count; ++i) {
      std::memset(computed.data() + i * kBytes, static_cast<int>(i) + 1, kBytes);
    }
    OffloadedInputs inputs(device, count * kBytes);
    const tensor::DeviceMemory memory(device, 2 * kBytes, "two inputs");
    const auto place_of = [&](std::int64_t layer) {
      return memory.data() + static_cast<std::size_t>(layer % 2) * kBytes;
    };
    for (std::int64_t pass = 0; pass < kPasses; ++pass) {
      inputs.begin(0, kBytes);
      // Up: the input of a layer takes the place of the one two below.
      for (std::int64_t layer = 0; layer < layers; ++layer) {
        copy_bytes_async(place_of(layer), computed.data() + number(pass, layer) * kBytes, kBytes,
                         compute);
        if (layer > 0) inputs.settle();
        inputs.send(layer, place_of(layer));
      }
      inputs.settle();
      // Ops use the places for something else.
      tensor::zero_bytes_async(memory.data(), 2 * kBytes, compute);
      // Down: while one is used, the next comes.
      inputs.fetch(layers - 1, place_of(layers - 1));
      for (std::int64_t layer = layers - 1; layer >= 0; --layer) {
        if (layer > 0) inputs.fetch(layer - 1, place_of(layer - 1));
        inputs.await(layer);
        copy_bytes_async(seen.data() + number(pass, layer) * kBytes, place_of(layer), kBytes,
                         compute);
      }
    }
    tensor::Event end(device);
    end.record(compute);
    end.wait();
    for (std::size_t i = 0; i < kPasses * count; ++i) {
      EXPECT_EQ(std::memcmp(seen.data() + i * kBytes, computed.data() + i * kBytes, kBytes), 0)
          << "pass " << i / count << ", layer " << i % count << " of " << layers;
    }
  }
}

}  // namespace
}  // namespace nativo::model
