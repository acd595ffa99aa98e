#include "model/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

// A whole file, mapped read-only.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    const std::string name = path.string();
    const int file = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw errno_error(errno, "cannot open", name);
    struct stat status {};
    if (::fstat(file, &status) != 0) {
      const int code = errno;
      ::close(file);
      throw errno_error(code, "cannot read", name);
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(file);
      throw Error(ExitCode::kData, printable(name) + ": not a regular file");
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
      if (data_ == MAP_FAILED) {
        const int code = errno;
        ::close(file);
        throw errno_error(code, "cannot map", name);
      }
    }
    ::close(file);
  }
  ~MappedFile() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::string_view view() const { return {static_cast<const char*>(data_), size_}; }

  /// Gives back the memory of the pages that lie wholly in `part`; they are read again if needed.
  void release(std::string_view part) const {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = static_cast<std::size_t>(part.data() - static_cast<const char*>(data_));
    const std::size_t first = (begin + page - 1) / page * page;
    const std::size_t last = (begin + part.size()) / page * page;
    if (first < last) {
      static_cast<void>(::madvise(static_cast<char*>(data_) + first, last - first, MADV_DONTNEED));
    }
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

SafetensorsHeader read_header(std::string_view file, const std::filesystem::path& path) {
  const std::string where = printable(path.string());
  const std::uint64_t length = safetensors_header_length(file.substr(0, 8), file.size(), where);
  return parse_safetensors_header(file.substr(8, length), file.size(), where);
}

}  // namespace

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& file_path)
      : path(file_path), map(file_path), header(read_header(map.view(), file_path)) {
    for (const TensorEntry& entry : header.tensors) by_name.emplace(entry.name, &entry);
  }

  std::filesystem::path path;
  MappedFile map;
  SafetensorsHeader header;
  std::unordered_map<std::string_view, const TensorEntry*> by_name;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : state_(std::make_unique<State>(path)) {}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const std::filesystem::path& SafetensorsFile::path() const { return state_->path; }
const SafetensorsHeader& SafetensorsFile::header() const { return state_->header; }

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : found->second;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& entry) const {
  const std::string_view file = state_->map.view();
  NATIVO_CHECK(entry.offset <= file.size() && entry.bytes <= file.size() - entry.offset,
               "the entry is this file's");
  const std::string_view part = file.substr(entry.offset, entry.bytes);
  return std::as_bytes(std::span(part.data(), part.size()));
}

void SafetensorsFile::read(const TensorEntry& entry, std::span<float> values) const {
  NATIVO_CHECK(static_cast<std::int64_t>(values.size()) == entry.elements,
               "the values have its size");
  read(entry, 0, values);
}

void SafetensorsFile::read(const TensorEntry& entry, std::size_t first,
                           std::span<float> values) const {
  if (!is_floating_point(entry.type)) {
    throw Error(ExitCode::kData,
                fmt::format("{}: \"{}\" holds {}, which are no weights without what quantised them",
                            printable(path().string()), printable(entry.name),
                            safetensors_name(entry.type)),
                "give weights in F32, F16 or BF16");
  }
  // Piece by piece, each given back behind it: the file is never in memory beside the values.
  constexpr std::size_t kPiece = std::size_t{4} << 20;  // values
  const std::span<const std::byte> all =
      bytes(entry).subspan(first * bytes_of(entry.type), values.size() * bytes_of(entry.type));
  for (std::size_t at = 0; at < values.size(); at += kPiece) {
    const std::size_t count = std::min(kPiece, values.size() - at);
    const auto part = all.subspan(at * bytes_of(entry.type), count * bytes_of(entry.type));
    decode_values(entry.type, part, values.subspan(at, count));
    state_->map.release({reinterpret_cast<const char*>(part.data()), part.size()});
  }
}

namespace {

std::int64_t elements_of(const std::vector<std::int64_t>& shape) {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  return elements;
}

// The place of a type in a file; that of the format's library, which puts wide ones first.
int rank_of(StorageType type) {
  switch (type) {
    case StorageType::kF32:
      return 0;
    case StorageType::kBf16:
      return 1;
    case StorageType::kF16:
      return 2;
    case StorageType::kI8:
      return 3;
    case StorageType::kU8:
      break;
  }
  return 4;
}

StorageType type_of(const TensorToWrite& tensor, StorageType otherwise) {
  return tensor.stored ? tensor.stored->type : otherwise;
}

bool is_whole(const TensorToWrite& tensor) {
  const auto elements = static_cast<std::size_t>(elements_of(tensor.shape));
  if (tensor.stored) return tensor.stored->bytes.size() == elements * bytes_of(tensor.stored->type);
  return tensor.make || tensor.values.size() == elements;
}

}  // namespace

SafetensorsLayout safetensors_layout(
    std::span<const TensorToWrite> tensors, StorageType type,
    const std::vector<std::pair<std::string, std::string>>& metadata) {
  SafetensorsLayout layout;
  for (const TensorToWrite& tensor : tensors) layout.order.push_back(&tensor);
  std::ranges::sort(layout.order, [&](const TensorToWrite* a, const TensorToWrite* b) {
    const int a_rank = rank_of(type_of(*a, type));
    const int b_rank = rank_of(type_of(*b, type));
    return a_rank != b_rank ? a_rank < b_rank : a->name < b->name;
  });

  Json json = Json::object();
  if (!metadata.empty()) {
    for (const auto& [key, value] : metadata) json["__metadata__"][key] = value;
  }
  std::uint64_t offset = 0;
  for (const TensorToWrite* tensor : layout.order) {
    NATIVO_CHECK(!json.contains(tensor->name), "tensor names are unique");
    const StorageType stored_as = type_of(*tensor, type);
    const std::uint64_t end =
        offset + static_cast<std::uint64_t>(elements_of(tensor->shape)) * bytes_of(stored_as);
    json[tensor->name] = {{"dtype", safetensors_name(stored_as)},
                          {"shape", tensor->shape},
                          {"data_offsets", {offset, end}}};
    layout.offsets[tensor->name] = offset;
    offset = end;
  }
  std::string text = dump_json(json);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  layout.head.assign(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    layout.head[i] = static_cast<char>((std::uint64_t{text.size()} >> (8 * i)) & 0xFF);
  }
  layout.head += text;
  for (auto& [name, begin] : layout.offsets) begin += layout.head.size();
  layout.bytes = layout.head.size() + offset;
  return layout;
}

std::string write_safetensors(const std::filesystem::path& path,
                              std::span<const TensorToWrite> tensors, StorageType type,
                              const std::vector<std::pair<std::string, std::string>>& metadata,
                              io::Disk& disk) {
  const SafetensorsLayout layout = safetensors_layout(tensors, type, metadata);
  io::AtomicFile file(path, disk);
  Sha256 digest;
  const auto write = [&](std::string_view bytes) {
    digest.update(bytes);
    file.write(bytes);
  };
  write(layout.head);
  constexpr std::size_t kChunk = std::size_t{1} << 20;  // values
  std::vector<char> buffer;
  std::vector<float> made;
  for (const TensorToWrite* tensor : layout.order) {
    NATIVO_CHECK(is_whole(*tensor), "a tensor has as many values as its shape says");
    if (tensor->stored) {
      const auto bytes = tensor->stored->bytes;
      for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
        const auto part = bytes.subspan(at, std::min(kChunk, bytes.size() - at));
        write({reinterpret_cast<const char*>(part.data()), part.size()});
      }
      continue;
    }
    std::span<const float> all = tensor->values;
    if (tensor->make) {
      made.resize(static_cast<std::size_t>(elements_of(tensor->shape)));
      tensor->make(made);
      all = made;
    }
    for (std::size_t at = 0; at < all.size(); at += kChunk) {
      const auto values = all.subspan(at, std::min(kChunk, all.size() - at));
      buffer.resize(values.size() * bytes_of(type));
      encode_values(type, values, std::as_writable_bytes(std::span(buffer)));
      write({buffer.data(), buffer.size()});
    }
  }
  file.commit();
  return digest.hex();
}

void help_write_safetensors(std::span<const TensorToWrite> tensors, StorageType type) {
  std::vector<float> values;
  for (const TensorToWrite* tensor : safetensors_layout(tensors, type).order) {
    if (!tensor->make) continue;
    values.resize(static_cast<std::size_t>(elements_of(tensor->shape)));
    tensor->make(values);
  }
}

}  // namespace nativo::model
