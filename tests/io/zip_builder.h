// Makes zip archives byte by byte, so that each field can lie (APPNOTE.TXT 6.3.10, section 4).
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::io {

/// An entry; what is not set is the truth.
struct ZipPart {
  std::string name = {};
  std::string data = {};
  bool deflate = false;
  std::uint16_t flags = 0;
  std::uint32_t mode = 0100644;  ///< as stat(2) has it
  std::optional<std::uint16_t> method = {};
  std::optional<std::uint32_t> crc = {};
  std::optional<std::uint32_t> size = {};         ///< unpacked
  std::optional<std::uint32_t> packed_size = {};  ///< in the archive
  std::optional<std::string> local_name = {};
  std::optional<std::uint32_t> offset = {};  ///< of the local header
  std::string extra = {};                    ///< extra field of the central directory
};

class ZipBuilder {
 public:
  ZipBuilder& add(ZipPart part) {
    const std::string body = part.deflate ? deflated(part.data) : part.data;
    const auto crc = part.crc.value_or(static_cast<std::uint32_t>(::crc32(
        0, reinterpret_cast<const Bytef*>(part.data.data()), static_cast<uInt>(part.data.size()))));
    const auto size = part.size.value_or(static_cast<std::uint32_t>(part.data.size()));
    const auto packed = part.packed_size.value_or(static_cast<std::uint32_t>(body.size()));
    const std::uint16_t method = part.method.value_or(part.deflate ? 8 : 0);
    const auto offset = part.offset.value_or(static_cast<std::uint32_t>(bytes_.size()));
    const auto common = [&](std::string& out) {
      put(out, 20, 2);
      put(out, part.flags, 2);
      put(out, method, 2);
      put(out, 0x21 << 16, 4);  // 1 January 1980
      put(out, crc, 4);
      put(out, packed, 4);
      put(out, size, 4);
    };
    const std::string local = part.local_name.value_or(part.name);
    put(bytes_, 0x04034b50, 4);
    common(bytes_);
    put(bytes_, local.size(), 2);
    put(bytes_, 0, 2);
    bytes_ += local + body;
    put(central_, 0x02014b50, 4);
    put(central_, 0x0314, 2);  // made on Unix
    common(central_);
    put(central_, part.name.size(), 2);
    put(central_, part.extra.size(), 2);
    put(central_, 0, 6);  // comment, disk, internal attributes
    put(central_, std::uint64_t{part.mode} << 16, 4);
    put(central_, offset, 4);
    central_ += part.name + part.extra;
    ++count_;
    return *this;
  }
  ZipBuilder& add(std::string name, std::string data) {
    return add(ZipPart{.name = std::move(name), .data = std::move(data)});
  }

  /// The whole archive; `count` is what it says of its entries.
  [[nodiscard]] std::string bytes(std::optional<std::size_t> count = {}) const {
    std::string all = bytes_ + central_;
    put(all, 0x06054b50, 4);
    put(all, 0, 4);
    put(all, count.value_or(count_), 2);
    put(all, count.value_or(count_), 2);
    put(all, central_.size(), 4);
    put(all, bytes_.size(), 4);
    put(all, 0, 2);
    return all;
  }

  /// `value` in `size` bytes, the least first.
  static void put(std::string& out, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFF);
  }

 private:
  static std::string deflated(const std::string& data) {
    z_stream stream = {};
    deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, data.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    ::deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
  }

  std::string bytes_;
  std::string central_;
  std::size_t count_ = 0;
};

}  // namespace nativo::io
