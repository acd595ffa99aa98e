// Says once why the tests on a GPU did not run.
#include <gtest/gtest.h>

#include "ops/device_test_tools.h"
#include "ops/elementwise.h"

namespace nativo::ops {
namespace {

TEST(Gpu, IsTested) {
  if (tensor::gpu_count() == 0) {
    GTEST_SKIP() << "no op was tested on a GPU: " << tensor::why_no_gpu();
  }
  const tensor::GpuFacts facts = tensor::gpu_facts(Device::cuda(0));
  EXPECT_GE(facts.capability, 80) << facts.name << ": bf16 needs compute capability 8.0";
}

TEST(Gpu, TensorsOfAnOpLieOnOneDevice) {
  std::vector<float> values(4);
  const View<float> here(values.data(), {4});
  const View<float> there(values.data(), {4}, Device::cuda(3));
  EXPECT_DEATH(add(here, there, here), "different devices");
  const View<bf16> bits(reinterpret_cast<bf16*>(values.data()), {4});
  EXPECT_DEATH(add(bits, bits, bits), "a GPU's");
}

}  // namespace
}  // namespace nativo::ops
