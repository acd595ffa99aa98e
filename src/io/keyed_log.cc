#include "io/keyed_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "io/descriptor.h"
#include "io/host.h"

namespace nativo::io {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kChecksum = 9;  ///< eight hex digits and a space
constexpr std::size_t kMaxLine = std::size_t{64} << 20;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;
constexpr int kMaxFiles = 100'000;

struct Line {
  std::string_view key;
  std::string_view value;
};

bool is_key(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string line_of(std::string_view key, std::string_view value) {
  const std::string content = fmt::format("{} {}", key, value);
  return fmt::format("{:08x} {}\n", crc32c(content), content);
}

/// `line` without its '\n'.
std::optional<Line> parse_line(std::string_view line) {
  if (line.size() <= kChecksum || line[kChecksum - 1] != ' ') return std::nullopt;
  const std::string_view sum = line.substr(0, kChecksum - 1);
  line.remove_prefix(kChecksum);
  const std::size_t space = line.find(' ');
  if (fmt::format("{:08x}", crc32c(line)) != sum || space == std::string_view::npos)
    return std::nullopt;
  const Line found{line.substr(0, space), line.substr(space + 1)};
  return is_key(found.key) ? std::optional(found) : std::nullopt;
}

}  // namespace

struct KeyedLog::State {
  struct Place {
    std::size_t file;
    std::uint64_t offset;
    std::size_t length;  ///< without '\n'
  };
  struct File {
    fs::path path;
    Descriptor descriptor;
    std::uint64_t read = 0;  ///< bytes; what follows is no whole line yet
    bool too_long = false;   ///< they end inside a line that no sound file has
  };

  fs::path folder;
  Disk& disk;
  std::optional<Descriptor> lock;  ///< of `own`, where the file system knows locks
  fs::path own;
  std::size_t own_index = 0;
  std::uint64_t own_size = 0;
  bool torn = false;  ///< `own` ends inside a line
  std::unique_ptr<WritableFile> writer;
  std::vector<File> files;
  std::unordered_map<std::string, Place> places;
  mutable std::uint64_t damaged = 0;

  void take_file();
  void read_all(const OnEntry& on_entry);
  void read_file(std::size_t index, const OnEntry& on_entry);
  void append(std::string_view bytes);
};

/// The first file that nobody holds, or a new one. Where there are no locks: a new one.
void KeyedLog::State::take_file() {
  for (int number = 0; number < kMaxFiles; ++number) {
    own = folder / fmt::format("log-{:05}{}", number, kSuffix);
    Descriptor file(own, O_RDWR | O_CREAT, "open");
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
      lock.emplace(std::move(file));
      return;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) break;
  }
  own = folder / fmt::format("log-{}-{}{}", host_name(), ::getpid(), kSuffix);
}

/// Of all files but `own` only what is new.
void KeyedLog::State::read_all(const OnEntry& on_entry) {
  std::vector<fs::path> paths;
  const auto is_new = [&](const fs::path& path) {
    return std::ranges::find(files, path, &File::path) == files.end();
  };
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() == kSuffix && path != own && is_new(path)) paths.push_back(path);
  }
  const bool first = files.empty();
  if (first) paths.push_back(own);
  std::ranges::sort(paths);
  const std::size_t known = files.size();
  for (const fs::path& path : paths) {
    if (path == own) own_index = files.size();
    files.push_back({path, Descriptor(path, path == own ? O_RDWR | O_CREAT : O_RDONLY, "open")});
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (first || i >= known || i != own_index) read_file(i, on_entry);
  }
}

void KeyedLog::State::read_file(std::size_t index, const OnEntry& on_entry) {
  File& file = files[index];
  struct stat now {};
  if (::fstat(file.descriptor.get(), &now) == 0 &&
      static_cast<std::uint64_t>(now.st_size) == file.read && index != own_index) {
    return;
  }
  if (::lseek(file.descriptor.get(), static_cast<off_t>(file.read), SEEK_SET) < 0) {
    throw errno_error(errno, "read", file.path.native());
  }
  std::string buffer;
  for (bool more = true; more;) {
    const std::size_t have = buffer.size();
    buffer.resize(have + kReadBytes);
    const std::size_t got =
        read_fully(file.descriptor, {buffer.data() + have, kReadBytes}, file.path);
    buffer.resize(have + got);
    more = got == kReadBytes;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = buffer.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      const std::string_view text(buffer.data() + begin, end - begin);
      const std::optional<Line> line = file.too_long ? std::nullopt : parse_line(text);
      file.too_long = false;
      if (!line) {
        ++damaged;
        continue;
      }
      places.try_emplace(std::string(line->key), Place{index, file.read + begin, text.size()});
      if (on_entry) on_entry(line->key, line->value);
    }
    buffer.erase(0, begin);
    file.read += begin;
    if (buffer.size() > kMaxLine) {
      file.too_long = true;
      file.read += buffer.size();
      buffer.clear();
    }
  }
  if (index != own_index) return;
  torn = !buffer.empty() || file.too_long;
  own_size = file.read + buffer.size();
}

KeyedLog::KeyedLog(fs::path folder, const OnEntry& on_entry, Disk& disk)
    : state_(new State{.folder = std::move(folder),
                       .disk = disk,
                       .lock = {},
                       .own = {},
                       .writer = {},
                       .files = {},
                       .places = {}}) {
  disk.make_folders(state_->folder);
  state_->take_file();
  state_->read_all(on_entry);
}

KeyedLog::~KeyedLog() = default;

void KeyedLog::refresh() { state_->read_all({}); }

std::optional<std::string> KeyedLog::find(std::string_view key) const {
  const State& s = *state_;
  const auto found = s.places.find(std::string(key));
  if (found == s.places.end()) return std::nullopt;
  const State::Place& place = found->second;
  std::string text(place.length, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::pread(s.files[place.file].descriptor.get(), text.data() + have,
                                text.size() - have, static_cast<off_t>(place.offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    have += static_cast<std::size_t>(got);
  }
  const std::optional<Line> line = parse_line(text);
  if (!line || line->key != key) {
    ++s.damaged;
    return std::nullopt;
  }
  return std::string(line->value);
}

void KeyedLog::State::append(std::string_view bytes) {
  if (!writer) writer = disk.append(own);
  torn = true;  // until it is known to be whole
  try {
    writer->write(bytes);
  } catch (...) {
    const off_t end = ::lseek(files[own_index].descriptor.get(), 0, SEEK_END);
    if (end >= 0) own_size = static_cast<std::uint64_t>(end);
    throw;
  }
  own_size += bytes.size();
  torn = false;
}

void KeyedLog::put(std::string_view key, std::string_view value) {
  NATIVO_CHECK(is_key(key), "a log's key is made of a-z, 0-9 and '-'");
  NATIVO_CHECK(value.find('\n') == std::string_view::npos, "a log's value has no line break");
  State& s = *state_;
  if (s.torn) s.append("\n");  // what was torn becomes a line that does not count
  const std::string line = line_of(key, value);
  s.append(line);
  s.places.try_emplace(std::string(key),
                       State::Place{s.own_index, s.own_size - line.size(), line.size() - 1});
}

void KeyedLog::sync() {
  State& s = *state_;
  if (!s.writer) return;
  s.writer->sync();
  s.disk.sync_folder(s.folder);
}

std::uint64_t KeyedLog::keys() const { return state_->places.size(); }
std::uint64_t KeyedLog::damaged() const { return state_->damaged; }

}  // namespace nativo::io
