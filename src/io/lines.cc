#include "io/lines.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/error.h"
#include "io/descriptor.h"

namespace nativo::io {
namespace {

constexpr std::size_t kInputBytes = std::size_t{1} << 17;
constexpr std::size_t kOutputBytes = std::size_t{1} << 18;
constexpr std::string_view kGzipMagic = "\x1f\x8b";          // RFC 1952, 2.3.1
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";  // RFC 8878, 3.1.1
constexpr std::string_view kSkippableMagicEnd =
    "\x2a\x4d\x18";  // RFC 8878, 3.1.2: after 0x50..0x5f
constexpr const char* kFetchAgain =
    "fetch or copy the file again; part of it is missing or damaged";

enum class Format { kPlain, kGzip, kZstd };

bool is_skippable_frame(std::string_view head) {
  return head.size() >= 4 && (static_cast<unsigned char>(head[0]) & 0xF0) == 0x50 &&
         head.substr(1, 3) == kSkippableMagicEnd;
}

Format format_of(std::string_view head) {
  if (head.starts_with(kGzipMagic)) return Format::kGzip;
  if (head.starts_with(kZstdMagic) || is_skippable_frame(head)) return Format::kZstd;
  // The start of a magic number that no text begins with: a compressed file cut almost at once.
  if (head == kGzipMagic.substr(0, 1)) return Format::kGzip;
  if (head.size() >= 2 && kZstdMagic.starts_with(head)) return Format::kZstd;
  return Format::kPlain;
}

}  // namespace

struct ByteReader::State {
  State(std::filesystem::path file_path, Descriptor file)
      : path(std::move(file_path)), descriptor(std::move(file)), input(kInputBytes, '\0') {
    refill();
    format = format_of(in);
    if (format != Format::kPlain) output.resize(kOutputBytes);
    if (format == Format::kGzip) {
      NATIVO_CHECK(::inflateInit2(&gzip, 15 + 16) == Z_OK, "inflateInit2");
    } else if (format == Format::kZstd) {
      zstd = ::ZSTD_createDStream();
      NATIVO_CHECK(zstd != nullptr, "ZSTD_createDStream");
    }
  }
  ~State() {
    if (format == Format::kGzip) ::inflateEnd(&gzip);
    ::ZSTD_freeDStream(zstd);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Reads more behind what is left of `in`; false when the file has no more.
  bool refill() {
    std::copy(in.begin(), in.end(), input.begin());
    const std::size_t kept = in.size();
    const std::size_t got = read_fully(descriptor, std::span(input).subspan(kept), path);
    in = {input.data(), kept + got};
    return got > 0;
  }

  [[nodiscard]] std::string_view name() const { return format == Format::kGzip ? "gzip" : "zstd"; }

  [[noreturn]] void truncated() const {
    throw Error(ExitCode::kData,
                fmt::format("{}: {} stream ends too early (truncated after {} bytes of data)",
                            path.native(), name(), total),
                kFetchAgain);
  }
  [[noreturn]] void damaged(std::string_view why) const {
    throw Error(ExitCode::kData,
                fmt::format("{}: damaged {} stream after {} bytes of data: {}", path.native(),
                            name(), total, why),
                kFetchAgain);
  }

  std::string_view produced(std::size_t bytes) {
    total += bytes;
    return {output.data(), bytes};
  }

  /// Between two gzip members: true when another one begins, false at the end of the file.
  bool next_member() {
    if (in.size() < kGzipMagic.size()) refill();
    if (in.empty()) return false;
    if (in == kGzipMagic.substr(0, 1)) truncated();
    if (!in.starts_with(kGzipMagic)) damaged("something else follows the compressed data");
    NATIVO_CHECK(::inflateReset(&gzip) == Z_OK, "inflateReset");
    inside = true;
    return true;
  }

  std::string_view next_gzip() {
    for (;;) {
      if (!inside && !next_member()) return {};
      if (in.empty()) refill();
      gzip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      gzip.avail_in = static_cast<uInt>(in.size());
      gzip.next_out = reinterpret_cast<Bytef*>(output.data());
      gzip.avail_out = static_cast<uInt>(output.size());
      const int result = ::inflate(&gzip, Z_NO_FLUSH);
      const bool at_end = in.empty();
      in.remove_prefix(in.size() - gzip.avail_in);
      const std::size_t bytes = output.size() - gzip.avail_out;
      if (result == Z_STREAM_END) inside = false;
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      if (result == Z_DATA_ERROR || result == Z_NEED_DICT || result == Z_STREAM_ERROR) {
        total += bytes;
        damaged(gzip.msg != nullptr ? gzip.msg : "not decodable");
      }
      if (bytes > 0) return produced(bytes);
      if (at_end && inside) truncated();
    }
  }

  std::string_view next_zstd() {
    for (;;) {
      if (in.empty()) refill();
      const bool at_end = in.empty();
      if (at_end && !inside) return {};
      ZSTD_inBuffer from{in.data(), in.size(), 0};
      ZSTD_outBuffer to{output.data(), output.size(), 0};
      const std::size_t result = ::ZSTD_decompressStream(zstd, &to, &from);
      if (::ZSTD_isError(result) != 0) damaged(::ZSTD_getErrorName(result));
      in.remove_prefix(from.pos);
      inside = result != 0;
      if (to.pos > 0) return produced(to.pos);
      if (at_end && inside) truncated();
    }
  }

  std::string_view next_plain() {
    if (in.empty()) refill();
    return std::exchange(in, {});
  }

  std::filesystem::path path;
  Descriptor descriptor;
  std::string input;
  std::string output;
  std::string_view in;  ///< the part of `input` that is not yet consumed
  Format format = Format::kPlain;
  z_stream gzip{};
  ZSTD_DStream* zstd = nullptr;
  bool inside = false;      ///< a gzip member or zstd frame has begun and not ended
  std::uint64_t total = 0;  ///< bytes handed out
};

ByteReader::ByteReader(const std::filesystem::path& path)
    : state_(std::make_unique<State>(path, open_to_read(path))) {}
ByteReader::~ByteReader() = default;
ByteReader::ByteReader(ByteReader&&) noexcept = default;
ByteReader& ByteReader::operator=(ByteReader&&) noexcept = default;

std::string_view ByteReader::next() {
  switch (state_->format) {
    case Format::kGzip:
      return state_->next_gzip();
    case Format::kZstd:
      return state_->next_zstd();
    case Format::kPlain:
      break;
  }
  return state_->next_plain();
}

LineReader::LineReader(std::filesystem::path path, std::size_t max_line)
    : path_(std::move(path)), bytes_(path_), max_line_(max_line) {}

bool LineReader::next(std::string& line) {
  line.clear();
  const auto refuse_longer_than = [&](std::size_t limit) {
    if (line.size() <= limit) return;
    throw Error(ExitCode::kData,
                fmt::format("{}:{}: the line has more than {} bytes", path_.native(),
                            line_number_ + 1, max_line_),
                "is this the right file? one record a line is wanted");
  };
  for (;;) {
    if (rest_.empty()) rest_ = bytes_.next();
    if (rest_.empty()) {
      refuse_longer_than(max_line_);
      if (line.empty()) return false;
      break;
    }
    const std::size_t end = rest_.find('\n');
    // One more than fits: enough to know, and a '\r' that is dropped below does not count.
    const std::size_t room = max_line_ + 2 - std::min(line.size(), max_line_ + 2);
    line.append(rest_.substr(0, std::min(end, room)));
    refuse_longer_than(max_line_ + 1);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (end == std::string_view::npos) continue;
    if (line.ends_with('\r')) line.pop_back();
    refuse_longer_than(max_line_);
    break;
  }
  ++line_number_;
  return true;
}

std::string read_decompressed(const std::filesystem::path& path, std::uint64_t limit) {
  ByteReader reader(path);
  std::string bytes;
  for (std::string_view chunk = reader.next(); !chunk.empty(); chunk = reader.next()) {
    if (chunk.size() > limit - bytes.size()) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: holds more than the {} bytes that are accepted here",
                              path.native(), limit));
    }
    bytes.append(chunk);
  }
  return bytes;
}

}  // namespace nativo::io
