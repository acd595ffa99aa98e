// NCCL's communicator: what can be seen of it with one GPU, or none.
#include "dist/nccl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tensor/device_memory.h"

namespace nativo::dist {
namespace {

TEST(Nccl, WhereThereIsNoGpuItSaysSo) {
  const auto host = make_self();
  EXPECT_THROW(static_cast<void>(connect_nccl(*host, tensor::Device::cpu())), Error);
  try {
    static_cast<void>(connect_nccl(*host, tensor::Device::cuda(63)));
    FAIL() << "there is no such GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), testing::HasSubstr("cuda:63"));
  }
}

TEST(Nccl, OneRankConnectsToItself) {
  if (tensor::gpu_count() == 0) {
    GTEST_SKIP() << "NCCL was not tested: " << tensor::why_no_gpu();
  }
  const auto host = make_self();
  const auto gpus = connect_nccl(*host, tensor::Device::cuda(0));
  EXPECT_EQ(gpus->size(), 1);
  const auto memory = gpus->allocate(1024, "a test");
  EXPECT_EQ(memory.size(), 1024U);
  gpus->barrier();
  EXPECT_EQ(gpus->split(0, 0)->size(), 1);
}

}  // namespace
}  // namespace nativo::dist
