#include "io/zip.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/strings.h"

namespace nativo::io {
namespace {

constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxDepth = 16;
constexpr std::uint64_t kSmall = std::uint64_t{1} << 20;  // no bomb, whatever its ratio
constexpr std::size_t kChunk = std::size_t{1} << 18;
constexpr const char* kHint = "get the file again from where it comes from";

struct Closer {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string message(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

std::string lower(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

/// Why a name must not become a path below a folder; "" when it may.
std::string_view fault_of_name(std::string_view name) {
  if (name.empty()) return "has no name";
  if (name.size() > kMaxName) return "has too long a name";
  if (!is_valid_utf8(name) || printable(name) != name || name.find_first_of("\n\t") != name.npos) {
    return "has a name with control characters, or not in UTF-8";
  }
  if (name.find_first_of("\\:") != name.npos) return "has a backslash or a colon in its name";
  if (name.front() == '/') return "has an absolute name";
  if (name.ends_with('/')) name.remove_suffix(1);
  const std::vector<std::string_view> parts = split(name, '/');
  if (parts.size() > kMaxDepth) return "lies in too many folders";
  for (const std::string_view part : parts) {
    if (part.empty() || part == "." || part == "..") return "leaves its folder";
    if (part.size() > 255) return "has too long a name";
  }
  return {};
}

/// Which paths are taken, without regard to case.
class Names {
 public:
  /// Why `name` cannot stand beside those before; "" when it can, and it is taken from now on.
  std::string_view add(std::string_view name, bool folder) {
    if (folder) name.remove_suffix(1);
    for (std::size_t slash = name.find('/'); slash != name.npos;
         slash = name.find('/', slash + 1)) {
      const auto [at, is_new] = taken_.try_emplace(lower(name.substr(0, slash)), Kind::kImplied);
      if (!is_new && at->second == Kind::kFile) return "lies below another file";
    }
    const auto [at, is_new] = taken_.try_emplace(lower(name), folder ? Kind::kFolder : Kind::kFile);
    if (is_new) return {};
    if (folder && at->second == Kind::kImplied) {
      at->second = Kind::kFolder;
      return {};
    }
    return at->second == Kind::kFile || at->second == Kind::kFolder
               ? "has the name of another entry (case does not count)"
               : "has the name of a folder";
  }

 private:
  enum class Kind { kImplied, kFolder, kFile };
  std::map<std::string, Kind> taken_;
};

}  // namespace

struct ZipArchive::State {
  std::string name;
  std::string bytes;  ///< when in memory
  std::unique_ptr<zip_t, Closer> archive;
  std::vector<ZipEntry> files;

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ExitCode::kData, fmt::format("{}: {}", printable(name), what), kHint);
  }
  [[noreturn]] void fail(std::string_view entry, std::string_view what) const {
    fail(fmt::format("\"{}\" {}", printable(utf8_prefix(entry, 200)), what));
  }

  void open(zip_source_t* source, std::uint64_t archive_bytes, const ZipLimits& limits) {
    zip_error_t error;
    zip_error_init(&error);
    archive.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
    if (archive == nullptr) {
      zip_source_free(source);
      if (zip_error_code_zip(&error) == ZIP_ER_EXISTS) fail("has two entries of one name");
      fail(fmt::format("not a usable zip archive: {}", printable(message(error))));
    }
    zip_error_fini(&error);
    check(archive_bytes, limits);
  }

  void check(std::uint64_t archive_bytes, const ZipLimits& limits) {
    const zip_int64_t count = zip_get_num_entries(archive.get(), ZIP_FL_UNCHANGED);
    if (count < 0 || static_cast<std::uint64_t>(count) > limits.entries) {
      fail(fmt::format("has {} entries, more than {}", count, limits.entries));
    }
    Names names;
    std::uint64_t unpacked = 0;
    std::uint64_t packed = 0;
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      zip_stat_t status;
      zip_stat_init(&status);
      constexpr zip_flags_t kRaw = ZIP_FL_ENC_RAW | ZIP_FL_UNCHANGED;
      const char* raw = zip_get_name(archive.get(), i, kRaw);
      constexpr zip_uint64_t kNeeded =
          ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
      if (raw == nullptr || zip_stat_index(archive.get(), i, kRaw, &status) != 0 ||
          (status.valid & kNeeded) != kNeeded) {
        fail(fmt::format("entry {} cannot be read", i + 1));
      }
      const std::string entry = raw;
      if (const std::string_view fault = fault_of_name(entry); !fault.empty()) fail(entry, fault);
      const bool folder = entry.ends_with('/');
      if (const std::string_view fault = names.add(entry, folder); !fault.empty()) {
        fail(entry, fault);
      }
      if (status.encryption_method != ZIP_EM_NONE) fail(entry, "is encrypted");
      if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
        fail(entry, fmt::format("is packed by method {}, not by deflate", status.comp_method));
      }
      check_kind(entry, i, folder);
      if (folder) {
        if (status.size != 0) fail(entry, "is a folder with content");
        continue;
      }
      if (status.size > limits.bytes - unpacked) {
        fail(fmt::format("has more than {} when unpacked",
                         human_bytes(static_cast<double>(limits.bytes))));
      }
      if (status.comp_size > archive_bytes - packed) fail("its entries lie over one another");
      if (status.size > kSmall && status.size / limits.ratio > status.comp_size) {
        fail(entry, fmt::format("unpacks to more than {} times its size", limits.ratio));
      }
      unpacked += status.size;
      packed += status.comp_size;
      files.push_back({entry, status.size, i});
    }
    if (files.empty()) fail("holds no file");  // so does an empty file, for the library
  }

  /// Archives made on Unix say in the upper half of an attribute what stat(2) said.
  void check_kind(const std::string& entry, zip_uint64_t index, bool folder) const {
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    if (zip_file_get_external_attributes(archive.get(), index, ZIP_FL_UNCHANGED, &system,
                                         &attributes) != 0) {
      fail(entry, "cannot be read");
    }
    const mode_t kind = (attributes >> 16) & S_IFMT;
    if (kind == S_IFLNK) fail(entry, "is a symbolic link");
    if (kind != 0 && kind != (folder ? S_IFDIR : S_IFREG)) fail(entry, "is no plain file");
  }

  /// Gives all of an entry's bytes to `take`, a piece at a time.
  template <class Take>
  void read(const ZipEntry& entry, const Take& take) const {
    const std::unique_ptr<zip_file_t, FileCloser> file(
        zip_fopen_index(archive.get(), entry.index, ZIP_FL_UNCHANGED));
    if (file == nullptr) {
      fail(entry.name, fmt::format("cannot be read: {}", zip_strerror(archive.get())));
    }
    std::string chunk(kChunk, '\0');
    std::uint64_t have = 0;
    for (;;) {
      const zip_int64_t got = zip_fread(file.get(), chunk.data(), chunk.size());
      if (got < 0) fail(entry.name, fmt::format("is damaged: {}", zip_file_strerror(file.get())));
      if (got == 0) break;
      have += static_cast<std::uint64_t>(got);
      if (have > entry.size) fail(entry.name, "is longer than it says");
      take(std::string_view(chunk.data(), static_cast<std::size_t>(got)));
    }
    if (have != entry.size) fail(entry.name, "is shorter than it says");
  }
};

ZipArchive::ZipArchive(const fs::path& path, const ZipLimits& limits)
    : state_(std::make_unique<State>()) {
  state_->name = path.native();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw errno_error(errno, "open", path.native());
  if (!S_ISREG(status.st_mode)) state_->fail("is no file");
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_file_create(path.c_str(), 0, -1, &error);
  if (source == nullptr) state_->fail(printable(message(error)));
  zip_error_fini(&error);
  state_->open(source, static_cast<std::uint64_t>(status.st_size), limits);
}

ZipArchive::ZipArchive(std::string bytes, std::string_view name, const ZipLimits& limits)
    : state_(std::make_unique<State>()) {
  state_->name = name;
  state_->bytes = std::move(bytes);
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source =
      zip_source_buffer_create(state_->bytes.data(), state_->bytes.size(), 0, &error);
  if (source == nullptr) state_->fail(printable(message(error)));
  zip_error_fini(&error);
  state_->open(source, state_->bytes.size(), limits);
}

ZipArchive::~ZipArchive() = default;
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&&) noexcept = default;

const std::vector<ZipEntry>& ZipArchive::files() const { return state_->files; }

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = std::find_if(state_->files.begin(), state_->files.end(),
                                  [&](const ZipEntry& entry) { return entry.name == name; });
  return found == state_->files.end() ? nullptr : &*found;
}

std::string ZipArchive::read(const ZipEntry& entry, std::uint64_t limit) const {
  if (entry.size > limit) {
    state_->fail(entry.name, fmt::format("has {} bytes, more than {}", entry.size, limit));
  }
  std::string bytes;
  state_->read(entry, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

void ZipArchive::verify() const {
  for (const ZipEntry& entry : state_->files) {
    state_->read(entry, [](std::string_view) { stop_if_interrupted(); });
  }
}

bool ZipArchive::unpack(const fs::path& folder, const Target& target, const OnBytes& on_bytes,
                        Disk& disk) const {
  const fs::path temporary = temporary_name(folder);
  disk.remove_all(temporary);
  disk.make_folders(temporary);
  try {
    for (const ZipEntry& entry : state_->files) {
      const std::string name = target(entry);
      if (name.empty()) continue;
      NATIVO_CHECK(fault_of_name(name).empty(), "a target leaves the folder");
      const fs::path path = temporary / name;
      disk.make_folders(path.parent_path());
      const std::unique_ptr<WritableFile> file = disk.create(path);
      state_->read(entry, [&](std::string_view piece) {
        stop_if_interrupted();
        file->write(piece);
        if (on_bytes) on_bytes(piece.size());
      });
      file->close();
    }
    return commit_new_folder(temporary, folder, disk);
  } catch (...) {
    std::error_code ignored;  // the first failure is the one to report
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace nativo::io
