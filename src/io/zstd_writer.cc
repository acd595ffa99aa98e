#include "io/zstd_writer.h"

#include <zstd.h>

#include "base/error.h"
#include "base/hash.h"

namespace nativo::io {
namespace {

// The encoder always sees pieces of this size, so that its output does not depend on the sizes of
// the caller's writes.
constexpr std::size_t kPieceBytes = std::size_t{1} << 17;
constexpr int kLevel = 3;

}  // namespace

struct ZstdWriter::State {
  State(const fs::path& path, Disk& disk)
      : name(path.filename().native()),
        file(path, disk),
        context(::ZSTD_createCCtx()),
        output(::ZSTD_CStreamOutSize(), '\0') {
    NATIVO_CHECK(context != nullptr, "ZSTD_createCCtx");
    set(ZSTD_c_compressionLevel, kLevel);
    set(ZSTD_c_checksumFlag, 1);
  }
  ~State() { ::ZSTD_freeCCtx(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void set(ZSTD_cParameter parameter, int value) {
    NATIVO_CHECK(::ZSTD_isError(::ZSTD_CCtx_setParameter(context, parameter, value)) == 0,
                 "ZSTD_CCtx_setParameter");
  }

  void compress(ZSTD_EndDirective directive) {
    ZSTD_inBuffer from{piece.data(), piece.size(), 0};
    for (;;) {
      ZSTD_outBuffer to{output.data(), output.size(), 0};
      const std::size_t left = ::ZSTD_compressStream2(context, &to, &from, directive);
      if (::ZSTD_isError(left) != 0) {
        throw Error(ExitCode::kIo, name + ": cannot compress: " + ::ZSTD_getErrorName(left));
      }
      const std::string_view bytes(output.data(), to.pos);
      digest.update(bytes);
      written += bytes.size();
      file.write(bytes);
      if (directive == ZSTD_e_end ? left == 0 : from.pos == from.size) break;
    }
    piece.clear();
  }

  std::string name;
  AtomicFile file;
  ZSTD_CCtx* context;
  std::string output;
  std::string piece;
  Sha256 digest;
  std::uint64_t written = 0;
  bool committed = false;
};

ZstdWriter::ZstdWriter(const fs::path& path, Disk& disk)
    : state_(std::make_unique<State>(path, disk)) {}
ZstdWriter::~ZstdWriter() = default;
ZstdWriter::ZstdWriter(ZstdWriter&&) noexcept = default;
ZstdWriter& ZstdWriter::operator=(ZstdWriter&&) noexcept = default;

void ZstdWriter::write(std::string_view bytes) {
  NATIVO_CHECK(!state_->committed, "write after commit");
  while (!bytes.empty()) {
    const std::string_view taken = bytes.substr(0, kPieceBytes - state_->piece.size());
    state_->piece.append(taken);
    bytes.remove_prefix(taken.size());
    if (state_->piece.size() == kPieceBytes) state_->compress(ZSTD_e_continue);
  }
}

WrittenFile ZstdWriter::commit() {
  NATIVO_CHECK(!state_->committed, "committed twice");
  state_->compress(ZSTD_e_end);
  state_->file.commit();
  state_->committed = true;
  return {state_->name, state_->written, state_->digest.hex()};
}

}  // namespace nativo::io
