// NCCL's communicator and whose GPU is which: what can be seen with one GPU, or none. With several:
// gpu_ranks.cc.
#include "dist/nccl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/own_gpu.h"
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

TEST(Nccl, OneRankIsAlone) {
  if (tensor::gpu_count() == 0) {
    GTEST_SKIP() << "NCCL was not tested: " << tensor::why_no_gpu();
  }
  const auto host = make_self();
  const tensor::Device device = own_gpu(*host);
  EXPECT_EQ(device, tensor::Device::cuda(0));
  const auto gpus = connect_nccl(*host, device);
  EXPECT_EQ(gpus->size(), 1);
  EXPECT_EQ(gpus->allocate(1024, "a test").size(), 1024U);
  gpus->barrier();
  EXPECT_EQ(gpus->split(0, 0)->size(), 1);
}

TEST(OwnGpu, OneRankAGpu) {
  EXPECT_EQ(gpus_refused({"a", "b", "a", "b"}, {0, 0, 1, 1}), "");
  EXPECT_THAT(gpus_refused({"a", "b", "a"}, {0, 0, 0}),
              testing::HasSubstr("ranks 0 and 2, on node 0, would both compute on a"));
  EXPECT_THAT(gpus_refused({"a", "b", ""}, {0, 0, 1}),
              testing::HasSubstr("rank 2, on node 1, sees no GPU"));
}

TEST(OwnGpu, WithoutOneItSaysWhy) {
  if (tensor::gpu_count() > 0) GTEST_SKIP() << "there is a GPU";
  const auto host = make_self();
  try {
    static_cast<void>(own_gpu(*host));
    FAIL() << "there is none";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), testing::HasSubstr(tensor::why_no_gpu()));
  }
}

}  // namespace
}  // namespace nativo::dist
