#include "translate/translation_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <fstream>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::translate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".memory";
constexpr std::size_t kKeyDigits = 32;
constexpr std::size_t kSumDigits = 8;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// A name that no other writer has, on any machine.
std::string new_name() {
  static std::atomic<int> count = 0;
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string name(host.data());
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '-') c = '-';
  }
  return fmt::format("{}-{}-{:.0f}-{}{}", name, ::getpid(), unix_seconds() * 1000.0, ++count,
                     kSuffix);
}

}  // namespace

std::string memory_line(const std::string& key, std::string_view source,
                        const Translation& translation) {
  const std::string json = dump_json({{"source", source},
                                      {"text", translation.text},
                                      {"words", translation.words},
                                      {"unknown", translation.unknown}});
  return fmt::format("{} {:08x} {}", key, crc32c(key + json), json);
}

bool parse_memory_line(std::string_view line, std::string& key, Translation& translation) {
  constexpr std::size_t kBegin = kKeyDigits + 1 + kSumDigits + 1;
  if (line.size() < kBegin + 2 || line[kKeyDigits] != ' ' || line[kBegin - 1] != ' ') return false;
  const std::string_view digits = line.substr(0, kKeyDigits);
  const std::string_view sum = line.substr(kKeyDigits + 1, kSumDigits);
  if (!is_hex(digits) || !is_hex(sum)) return false;
  std::uint32_t expected = 0;
  std::from_chars(sum.data(), sum.data() + sum.size(), expected, 16);
  const std::string_view json = line.substr(kBegin);
  key = digits;
  if (crc32c(key + std::string(json)) != expected) return false;
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto text = object.find("text");
  const auto words = object.find("words");
  const auto unknown = object.find("unknown");
  if (text == object.end() || !text->is_string() || words == object.end() ||
      !words->is_number_unsigned() || unknown == object.end() || !unknown->is_number_unsigned()) {
    return false;
  }
  translation = {text->get<std::string>(), words->get<std::size_t>(), unknown->get<std::size_t>(),
                 true};
  return true;
}

TranslationMemory::TranslationMemory(fs::path folder, io::Disk& disk)
    : folder_(std::move(folder)), disk_(&disk) {
  refresh();
}

std::string TranslationMemory::key(const TranslationEngine& engine, std::string_view from,
                                   std::string_view to, std::string_view sentence_key) {
  const std::string name = engine.name();
  const std::string version = engine.version();
  std::string all;
  for (const std::string_view field :
       {std::string_view(name), std::string_view(version), from, to, sentence_key}) {
    all += fmt::format("{}:{}", field.size(), field);
  }
  return xxh128_hex(all);
}

const Translation* TranslationMemory::find(const std::string& key) const {
  const auto found = known_.find(key);
  return found == known_.end() ? nullptr : &found->second;
}

void TranslationMemory::add(const std::string& key, std::string_view source,
                            Translation translation) {
  if (!folder_.empty() && translation.ok && is_valid_utf8(translation.text)) {
    pending_ += memory_line(key, source, translation);
    pending_ += '\n';
  }
  known_.insert_or_assign(key, std::move(translation));
}

void TranslationMemory::save() {
  if (pending_.empty()) return;
  if (own_name_.empty()) {
    disk_->make_folders(folder_);
    own_name_ = new_name();
  }
  const auto file = disk_->append(folder_ / own_name_);
  file->write(pending_);
  file->close();
  pending_.clear();
}

void TranslationMemory::refresh() {
  if (folder_.empty()) return;
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().native();
    if (name.ends_with(kSuffix) && name != own_name_) names.push_back(name);
  }
  std::ranges::sort(names);
  for (const std::string& name : names) read_from(folder_ / name, offsets_[name]);
}

void TranslationMemory::read_from(const fs::path& path, std::uint64_t& offset) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ExitCode::kIo, path.native() + ": cannot be read",
                "this is a file of the translation memory; it may be removed");
  }
  file.seekg(static_cast<std::streamoff>(offset));
  std::string line;
  std::string line_key;
  Translation translation;
  while (std::getline(file, line)) {
    if (file.eof()) break;  // no '\n' yet: its writer is still at it, or was killed
    offset += line.size() + 1;
    if (!parse_memory_line(line, line_key, translation)) {
      ++damaged_;
      continue;
    }
    Translation& known = known_[line_key];
    if (!known.ok) known = std::move(translation);
  }
}

}  // namespace nativo::translate
