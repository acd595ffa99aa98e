#include "base/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

namespace nativo {
namespace {

// FIPS 180-4 examples.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWhole) {
  Sha256 first;
  first.update("a");
  Sha256 hash = std::move(first);
  hash.update(std::array{std::byte{'b'}});
  hash.update("");
  hash.update("c");
  EXPECT_EQ(hash.hex(), sha256_hex("abc"));
}

// The answers of the empty input that xxHash's own specification and tools give.
TEST(Xxh3, KnownAnswers) {
  EXPECT_EQ(xxh128_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh64(""), 0x2d06800538d394c2U);
  EXPECT_NE(xxh64("a", 1), xxh64("a", 2));
  EXPECT_NE(xxh128_hex("a"), xxh128_hex("b"));
}

}  // namespace
}  // namespace nativo
