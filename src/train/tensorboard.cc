#include "train/tensorboard.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/clock.h"
#include "base/crc32c.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFilePrefix = "events.out.tfevents.";

// Protocol Buffers' wire types.
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <class Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i) & 0xFFU));
  }
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80U; value >>= 7U) bytes.push_back(static_cast<char>((value & 0x7FU) | 0x80U));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string tag(std::uint64_t field, Wire wire) {
  return varint(field << 3U | static_cast<std::uint64_t>(wire));
}

std::string field_double(std::uint64_t field, double value) {
  return tag(field, Wire::kFixed64) + little_endian(std::bit_cast<std::uint64_t>(value));
}

std::string field_float(std::uint64_t field, float value) {
  return tag(field, Wire::kFixed32) + little_endian(std::bit_cast<std::uint32_t>(value));
}

std::string field_varint(std::uint64_t field, std::int64_t value) {
  return tag(field, Wire::kVarint) + varint(static_cast<std::uint64_t>(value));
}

std::string field_bytes(std::uint64_t field, std::string_view bytes) {
  return tag(field, Wire::kBytes) + varint(bytes.size()) + std::string(bytes);
}

std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8U;
}

void remove_event_files(const fs::path& folder, io::Disk& disk) {
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().native().starts_with(kFilePrefix)) old.push_back(entry.path());
  }
  for (const fs::path& path : old) disk.remove_all(path);
}

std::string event_of(const Json& line) {
  const Scalars scalars = tensorboard_scalars(line);
  return scalars.empty() ? std::string()
                         : tensorboard_event(line.value("time", 0.0), line.at("step"), scalars);
}

}  // namespace

std::string tensorboard_record(std::string_view message) {
  const std::string length = little_endian(std::uint64_t{message.size()});
  return length + little_endian(masked_crc(length)) + std::string(message) +
         little_endian(masked_crc(message));
}

std::string tensorboard_header(double time) {
  return tensorboard_record(field_double(1, time) + field_bytes(3, "brain.Event:2"));
}

std::string tensorboard_event(double time, std::int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [name, value] : scalars) {
    summary += field_bytes(1, field_bytes(1, name) + field_float(2, static_cast<float>(value)));
  }
  return tensorboard_record(field_double(1, time) + field_varint(2, step) +
                            field_bytes(5, summary));
}

Scalars tensorboard_scalars(const Json& line) {
  constexpr std::pair<const char*, const char*> kTags[] = {
      {"loss", "loss/train"},
      {"eval_loss", "loss/held_out"},
      {"base_eval_loss", "loss/held_out_base_language"},
      {"lr", "train/learning_rate"},
      {"grad_norm", "train/gradient_norm"},
      {"tokens_per_second", "speed/tokens_per_second"},
      {"percent_of_gemm", "speed/percent_of_gemm_rate"},
      {"memory", "memory/bytes"},
  };
  Scalars scalars;
  for (const auto& [key, name] : kTags) {
    const auto found = line.find(key);
    if (found != line.end() && found->is_number()) scalars.emplace_back(name, *found);
  }
  const auto sources = line.find("sources");
  if (sources != line.end() && sources->is_object()) {
    for (const auto& [source, value] : sources->items()) {
      if (value.is_object() && value.contains("loss") && value["loss"].is_number()) {
        scalars.emplace_back("source/" + source, value["loss"]);
      }
    }
  }
  return scalars;
}

TensorboardWriter::TensorboardWriter(const fs::path& folder, const fs::path& metrics,
                                     io::Disk& disk) {
  disk.make_folders(folder);
  remove_event_files(folder, disk);
  const double now = unix_seconds();
  std::string bytes;
  double first = now;
  if (fs::exists(metrics)) {
    const std::string text = io::read_file(metrics);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const Json line =
          Json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                      text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      if (line.is_object()) {
        if (bytes.empty()) first = line.value("time", now);
        bytes += event_of(line);
      }
      at = end + 1;
    }
  }
  // TensorBoard orders files by name; there is never more than this one.
  file_ = disk.append(
      folder / fmt::format("{}{:010}.nativo", kFilePrefix, static_cast<std::int64_t>(first)));
  file_->write(tensorboard_header(first) + bytes);
}

void TensorboardWriter::append(const Json& line) { file_->write(event_of(line)); }

}  // namespace nativo::train
