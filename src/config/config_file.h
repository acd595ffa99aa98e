// The pipeline file: TOML in, options out, and options out as TOML again.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/visitor.h"

namespace nativo::config {

/// Reads one TOML file plus --set overrides into structs of options.
class ConfigFile {
 public:
  /// Parses `path` (Error kMissingInput, or kConfig with path:line:column on bad TOML) and applies
  /// `overrides`, each "table.key=value"; the value is TOML if it parses as TOML, else a plain
  /// string.
  ConfigFile(const std::filesystem::path& path, const std::vector<std::string>& overrides);
  /// Without a file: overrides alone (paths are relative to the current folder). Messages call them
  /// by `flag`.
  explicit ConfigFile(const std::vector<std::string>& overrides, std::string_view flag = "--set");
  /// TOML that is at hand; messages call it `name`.
  [[nodiscard]] static ConfigFile from_text(std::string_view text, const std::string& name);
  ~ConfigFile();
  ConfigFile(ConfigFile&&) noexcept;
  ConfigFile& operator=(ConfigFile&&) noexcept;

  /// Fills `options`. Throws Error(kConfig) with path:line:column for a wrong type, a value out of
  /// range or not among the choices, and for every key that no field claimed ("unknown key … did
  /// you mean …?"). Relative paths, defaults included, become relative to the current folder by way
  /// of the config file's folder; empty ones and those that begin with "init:" stay as they are.
  template <class Options>
  void read(Options& options) {
    const std::unique_ptr<Visitor> reader = make_reader();
    options.visit(*reader);
    refuse_unknown_keys();
  }

 private:
  struct State;
  std::unique_ptr<Visitor> make_reader();
  void refuse_unknown_keys() const;
  std::unique_ptr<State> state_;
};

/// Writes options as TOML (nativo.lock.toml): every field in declaration order, a table's own
/// fields before its sub-tables. ConfigFile reads the same options back, doubles to the last bit.
class TomlWriter final : public Visitor {
 public:
  void value(const Field& field, bool& value) override;
  void value(const Field& field, std::int64_t& value) override;
  void value(const Field& field, double& value) override;
  void value(const Field& field, std::string& value) override;
  void value(const Field& field, std::vector<std::string>& value) override;
  void path(const Field& field, std::string& value) override;
  [[nodiscard]] std::string text() const;

 protected:
  void enter(const Field& table) override;
  void leave() override;

 private:
  struct Section {
    std::string name;   ///< dotted; "" = the file's own keys
    std::string lines;  ///< "key = value\n" each
  };
  void line(const Field& field, std::string_view rendered);
  std::vector<Section> sections_ = {{}};  ///< in the order in which they were entered
  std::vector<std::size_t> open_ = {0};   ///< the sections we are in, outermost first
};

/// Options as TOML text. Takes a copy because visiting needs a mutable struct.
template <class Options>
[[nodiscard]] std::string to_toml(Options options) {
  TomlWriter writer;
  options.visit(writer);
  return writer.text();
}

/// One documented field: "train.lr", its default as TOML, its help and what it may be.
struct FieldDoc {
  std::string key;
  std::string default_value;
  std::string help;
  std::string allowed;
};

/// Collects FieldDocs (for `nativo help-config` and docs/options.md).
class DocVisitor final : public Visitor {
 public:
  void value(const Field& field, bool& value) override;
  void value(const Field& field, std::int64_t& value) override;
  void value(const Field& field, double& value) override;
  void value(const Field& field, std::string& value) override;
  void value(const Field& field, std::vector<std::string>& value) override;
  void path(const Field& field, std::string& value) override;
  [[nodiscard]] const std::vector<FieldDoc>& docs() const { return docs_; }

 protected:
  void enter(const Field& table) override;
  void leave() override;
  bool documenting() const override { return true; }

 private:
  void add(const Field& field, std::string rendered, std::string_view kind);
  std::vector<FieldDoc> docs_;
  std::vector<std::string> tables_;
};

}  // namespace nativo::config
