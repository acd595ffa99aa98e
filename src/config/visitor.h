// Options declared once. A struct of options has one member function
//     void visit(config::Visitor& v);
// that names each field with its help; defaults are the members' initialisers. Reading TOML, --set,
// the lock file, the hash that keys a stage, and the documentation all come from that one place.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::config {

/// What a field is called and what it may be.
struct Field {
  std::string_view name;                    ///< TOML key
  std::string_view help;                    ///< one line for people, with the unit
  std::vector<std::string_view> choices{};  ///< allowed strings; empty = any
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
};

/// Walks a struct of options. Each visitor decides what to do with a field: read, write or document.
class Visitor {
 public:
  virtual ~Visitor() = default;

  virtual void value(const Field& field, bool& value) = 0;
  virtual void value(const Field& field, std::int64_t& value) = 0;
  virtual void value(const Field& field, double& value) = 0;
  virtual void value(const Field& field, std::string& value) = 0;
  virtual void value(const Field& field, std::vector<std::string>& value) = 0;

  /// A path: like a string, but when read, a relative one is resolved against the config file's folder
  /// (against the current folder when it came from --set).
  virtual void path(const Field& field, std::string& value) = 0;

  /// A [table] of options.
  template <class Options>
  void table(const Field& field, Options& options) {
    enter(field);
    options.visit(*this);
    leave();
  }

  /// Tables under names that the user chooses: [source.dolly], [source.gsm8k].
  template <class Options>
  void named_tables(const Field& field, std::map<std::string, Options>& tables) {
    enter(field);
    for (const std::string& name : names()) tables.try_emplace(name);
    for (auto& [name, options] : tables) {
      enter({.name = name, .help = {}});
      options.visit(*this);
      leave();
    }
    if (documenting()) {
      Options defaults;
      enter({.name = "NAME", .help = {}});
      defaults.visit(*this);
      leave();
    }
    leave();
  }

 protected:
  virtual void enter(const Field& table) = 0;
  virtual void leave() = 0;
  /// Names of the tables inside the current one, when reading.
  virtual std::vector<std::string> names() { return {}; }
  virtual bool documenting() const { return false; }
};

}  // namespace nativo::config
