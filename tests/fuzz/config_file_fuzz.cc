// layers: config
// ConfigFile over hostile text and overrides: options, or an Error about the config. What was read,
// written and read again is the same.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/config_file.h"

namespace {

using nativo::config::Visitor;

struct Inner {
  double a = 1.0;
  std::string b;
  void visit(Visitor& v) {
    v.value({.name = "a", .help = "number", .min = 0}, a);
    v.path({.name = "b", .help = "path"}, b);
  }
};

struct Options {
  std::int64_t i = 1;
  bool f = false;
  std::string s = "x";
  std::vector<std::string> l;
  Inner t;
  std::map<std::string, Inner> n;
  void visit(Visitor& v) {
    v.value({.name = "i", .help = "integer", .min = -5, .max = 5}, i);
    v.value({.name = "f", .help = "flag"}, f);
    v.value({.name = "s", .help = "string"}, s);
    v.value({.name = "l", .help = "list", .choices = {"a", "bc"}}, l);
    v.table({.name = "t", .help = "table"}, t);
    v.named_tables({.name = "n", .help = "named"}, n);
  }
};

/// Options of `text` as TOML, or "" when it is refused.
std::string read(std::string_view text, const std::vector<std::string>& overrides) {
  const int number = ::memfd_create("fuzz", 0);
  if (number < 0 ||
      ::write(number, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::abort();
  }
  std::string result;
  try {
    nativo::config::ConfigFile file("/proc/self/fd/" + std::to_string(number), overrides);
    Options options;
    file.read(options);
    result = nativo::config::to_toml(options);
  } catch (const nativo::Error& e) {
    if (e.code() != nativo::ExitCode::kConfig && e.code() != nativo::ExitCode::kUsage) std::abort();
  }
  ::close(number);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> overrides;
  // Lines that begin with '!' are overrides.
  while (text.starts_with('!')) {
    const std::size_t end = text.find('\n');
    overrides.emplace_back(text.substr(1, end == std::string_view::npos ? end : end - 1));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  const std::string first = read(text, overrides);
  if (first.empty()) return 0;
  // The file's folder is absolute; only a relative path from an override is resolved again.
  const std::string second = read(first, {});
  if (second.empty()) std::abort();
  if (overrides.empty() && second != first) std::abort();
  return 0;
}
