// Planned, aligned memory. See the header.
#include "tensor/arena.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"

namespace nativo::tensor {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPiece = std::size_t{1} << 20;  ///< what one thread zeroes at a time

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/// The number in a file that holds one, or behind `key` in a file of "key number" lines.
std::optional<std::size_t> read_number(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!key.empty()) {
      if (word != key || !(file >> word)) continue;
    }
    char* end = nullptr;
    const unsigned long long value = std::strtoull(word.c_str(), &end, 10);
    if (end == word.c_str() || *end != '\0') return std::nullopt;
    return static_cast<std::size_t>(value);
  }
  return std::nullopt;
}

std::optional<std::size_t> left_in_cgroup(const char* limit, const char* used, const char* stat,
                                          std::string_view file_key) {
  const auto most = read_number(limit, {});
  const auto now = read_number(used, {});
  if (!most || !now) return std::nullopt;
  const std::size_t reclaimable = read_number(stat, file_key).value_or(0);
  const std::size_t held = *now > reclaimable ? *now - reclaimable : 0;
  return *most > held ? *most - held : 0;
}

}  // namespace

ArenaPlan::Slot ArenaPlan::add_bytes(std::string_view purpose, const Shape& shape,
                                     std::size_t element_size) {
  const std::size_t size =
      round_up(static_cast<std::size_t>(shape.elements()) * element_size, kAlignment);
  const Slot slot{bytes_, shape, element_size};
  bytes_ += size;
  const auto found = std::find_if(purposes_.begin(), purposes_.end(),
                                  [&](const Purpose& entry) { return entry.name == purpose; });
  if (found == purposes_.end()) {
    purposes_.push_back({std::string(purpose), size});
  } else {
    found->bytes += size;
  }
  return slot;
}

std::size_t Arena::capacity_for(std::size_t bytes) {
  return round_up(bytes, bytes >= kHugePage ? kHugePage : kAlignment);
}

void Arena::reserve(std::size_t bytes, std::string_view what) {
  if (bytes <= capacity_) return;
  memory_.reset();
  begin_ = nullptr;
  capacity_ = 0;
  if (device_.is_cuda()) {
    device_memory_.reset();
    device_memory_ = DeviceMemory(device_, capacity_for(bytes), what);
    begin_ = device_memory_.data();
    capacity_ = device_memory_.bytes();
    return;
  }
  const bool huge = bytes >= kHugePage;
  const std::size_t unit = huge ? kHugePage : kAlignment;
  const std::size_t size = capacity_for(bytes);
  const std::size_t available = available_memory();
  if (size <= available) {
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(unit, size)));
  }
  if (!memory_) {
    throw Error(ExitCode::kTryAgain,
                fmt::format("not enough memory for {}: {} needed, {} available", what,
                            human_bytes(static_cast<double>(size)),
                            human_bytes(static_cast<double>(available))),
                "close other programs, or choose a smaller batch, sequence length or model");
  }
  // Fewer page-table walks; a refusal changes nothing but speed.
  if (huge) static_cast<void>(madvise(memory_.get(), size, MADV_HUGEPAGE));
  begin_ = memory_.get();
  capacity_ = size;
}

void Arena::zero() {
  if (device_.is_cuda()) {
    zero_bytes_async(begin_, capacity_, compute_stream(device_));
    return;
  }
  parallel_for((capacity_ + kPiece - 1) / kPiece, [this](std::size_t piece) {
    const std::size_t begin = piece * kPiece;
    std::memset(begin_ + begin, 0, std::min(kPiece, capacity_ - begin));
  });
}

std::byte* Arena::at(const ArenaPlan::Slot& slot, std::size_t element_size) const {
  NATIVO_CHECK(slot.element_size == element_size, "a slot is viewed as another type");
  NATIVO_CHECK(
      slot.offset + static_cast<std::size_t>(slot.shape.elements()) * element_size <= capacity_,
      "a slot of another plan");
  return begin_ + slot.offset;
}

void Arena::adopt(std::span<std::byte> memory) {
  NATIVO_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % kAlignment == 0,
               "adopted memory is aligned");
  NATIVO_CHECK(!device_.is_cuda(), "a GPU's arena adopts no host memory");
  memory_.reset();
  begin_ = memory.data();
  capacity_ = memory.size();
}

void Arena::Free::operator()(std::byte* memory) const {
  std::free(memory);  // NOLINT: the counterpart of aligned_alloc
}

std::size_t available_memory() {
  std::size_t least = SIZE_MAX;
  if (const auto kib = read_number("/proc/meminfo", "MemAvailable:")) least = *kib * 1024;
  const auto v2 = left_in_cgroup("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                                 "/sys/fs/cgroup/memory.stat", "inactive_file");
  const auto v1 = left_in_cgroup("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                 "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                                 "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file");
  return std::min({least, v2.value_or(SIZE_MAX), v1.value_or(SIZE_MAX)});
}

}  // namespace nativo::tensor
