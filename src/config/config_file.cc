#include "config/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "config/toml_text.h"

namespace nativo::config {
namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 20;

std::string in_quotes(std::string_view text) { return printable(toml_value(text)); }

std::string read_text(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw Error(ExitCode::kMissingInput,
                path.native() + ": is a folder, a pipeline file is wanted");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw errno_error(errno != 0 ? errno : ENOENT, "open", path.native());
  std::string text;
  std::string chunk(std::size_t{1} << 16, '\0');
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
    text.append(chunk, 0, static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMostBytes) {
      throw Error(ExitCode::kConfig, path.native() + ": too large for a pipeline file (4 MiB)");
    }
  }
  if (file.bad()) throw errno_error(EIO, "read", path.native());
  return text;
}

toml::table parse_text(std::string_view text, const std::string& name) {
  if (const std::size_t line = line_of_deep_nesting(text); line != 0) {
    throw Error(
        ExitCode::kConfig,
        fmt::format("{}:{}:1: nested too deeply, or a key of more than 32 parts", name, line));
  }
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    throw Error(ExitCode::kConfig,
                fmt::format("{}:{}:{}: {}", name, e.source().begin.line, e.source().begin.column,
                            printable(e.description())));
  }
}

std::string_view type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

/// The key that `word` was probably meant to be: "learning_rate" is told by its initials too.
std::string suggest(std::string_view word, const Keys& known) {
  std::string initials;
  for (const std::string_view part : split(word, '_')) initials += part.substr(0, 1);
  for (const std::string& key : known) {
    if (initials.size() > 1 && key == initials) return key;
  }
  return nearest(word, known);
}

/// "table.key" of an override; its parts.
Keys parse_override_key(std::string_view text, const std::string& where) {
  const auto refuse = [&] {
    throw Error(ExitCode::kUsage, where + ": not a key",
                "write table.key=value; quote a part that is not letters, digits, _ or -");
  };
  if (text.find_first_of("\n\r") != std::string_view::npos) refuse();
  Keys keys;
  try {
    if (line_of_deep_nesting(text) != 0) refuse();
    const toml::table parsed = toml::parse(std::string(text) + " = 0", std::string("--set"));
    for (const toml::table* table = &parsed; table != nullptr;
         table = table->begin()->second.as_table()) {
      if (table->size() != 1) refuse();
      keys.emplace_back(table->begin()->first.str());
    }
  } catch (const toml::parse_error&) {
    refuse();
  }
  return keys;
}

/// The '=' that ends the key, which may hold quoted ones; npos when there is none.
std::size_t find_equals(std::string_view text) {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quote == 0 && text[i] == '=') return i;
    if (text[i] == '"' || text[i] == '\'') {
      if (quote == 0) {
        quote = text[i];
      } else if (quote == text[i]) {
        quote = 0;
      }
    }
  }
  return std::string_view::npos;
}

}  // namespace

struct ConfigFile::State {
  /// What the visitor asked for in one table.
  struct Table {
    Keys keys;  ///< its own
    const toml::table* content = nullptr;
    Keys known;
  };

  std::string name;            ///< the file as the user called it
  fs::path folder;             ///< relative paths of the file start here
  std::string flag = "--set";  ///< that overrides came with
  toml::table root;
  std::map<std::string, std::string> overridden;  ///< dotted key -> the override that set it
  std::map<std::string, Table> visited;           ///< dotted table -> what is known in it

  /// The override that `keys` or a table around it came from, or null.
  [[nodiscard]] const std::string* override_of(Keys keys) const {
    for (; !keys.empty(); keys.pop_back()) {
      const auto found = overridden.find(toml_dotted(keys));
      if (found != overridden.end()) return &found->second;
    }
    return nullptr;
  }

  [[nodiscard]] std::string where(const Keys& keys, const toml::source_position& position) const {
    if (const std::string* text = override_of(keys)) return flag + " " + printable(*text);
    if (position.line == 0) return name;
    return fmt::format("{}:{}:{}", name, position.line, position.column);
  }

  void apply(const std::string& override_text) {
    const std::string where = flag + " " + printable(override_text);
    const std::size_t equals = find_equals(override_text);
    if (equals == std::string::npos) {
      throw Error(ExitCode::kUsage, where + ": no '='", "write table.key=value");
    }
    if (!is_valid_utf8(override_text)) {
      throw Error(ExitCode::kUsage, where + ": not valid UTF-8");
    }
    const std::string_view text = override_text;
    Keys keys = parse_override_key(trim(text.substr(0, equals)), where);
    const std::string_view value = text.substr(equals + 1);

    toml::table* table = &root;
    Keys so_far;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      so_far.push_back(keys[i]);
      toml::node* node = table->get(keys[i]);
      if (node == nullptr) {
        node = &table->insert(keys[i], toml::table{}).first->second;
        overridden[toml_dotted(so_far)] = override_text;
      }
      if (!node->is_table()) {
        throw Error(ExitCode::kConfig,
                    fmt::format("{}: {} is {}, not a table", where, printable(toml_dotted(so_far)),
                                type_text(*node)));
      }
      table = node->as_table();
    }
    std::erase_if(overridden, [prefix = toml_dotted(keys) + "."](const auto& entry) {
      return entry.first.starts_with(prefix);
    });
    overridden[toml_dotted(keys)] = override_text;
    assign(*table, keys.back(), value);
  }

  static void assign(toml::table& table, const std::string& key, std::string_view value) {
    try {
      if (line_of_deep_nesting(value) == 0) {
        toml::table parsed = toml::parse("v = " + std::string(value), std::string("--set"));
        if (parsed.size() == 1) {
          parsed.get("v")->visit([&](auto& node) { table.insert_or_assign(key, std::move(node)); });
          return;
        }
      }
    } catch (const toml::parse_error&) {  // not TOML: a plain string
    }
    table.insert_or_assign(key, std::string(value));
  }
};

namespace {

/// Fills the fields it is shown from the parsed file; remembers which keys have an owner.
template <class State>
class Reader final : public Visitor {
 public:
  explicit Reader(State& state) : state_(state) {
    state_.visited.clear();
    open(&state_.root);
  }

  void value(const Field& field, bool& value) override { scalar(field, value, "true or false"); }
  void value(const Field& field, std::int64_t& value) override {
    if (scalar(field, value, "an integer")) check_range(field, static_cast<double>(value));
  }
  void value(const Field& field, double& value) override {
    if (scalar(field, value, "a number")) check_range(field, value);
  }
  void value(const Field& field, std::string& value) override {
    if (scalar(field, value, "a string")) check_choice(field, value, *find(field));
  }
  void value(const Field& field, std::vector<std::string>& value) override {
    const toml::node* node = claim(field);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr) refuse_type(field, *node, "a list of strings");
    std::vector<std::string> items;
    for (const toml::node& item : *list) {
      const std::optional<std::string> text = item.value_exact<std::string>();
      if (!text) refuse_type(field, item, "a list of strings", " in the list");
      check_choice(field, *text, item);
      items.push_back(*text);
    }
    value = std::move(items);
  }
  void path(const Field& field, std::string& value) override {
    scalar(field, value, "a path (a string)");
    if (value.empty() || value.starts_with("init:")) return;
    if (value.find('\0') != std::string::npos) {
      fail(field, *find(field), "a path cannot hold a NUL character");
    }
    if (fs::path(value).is_relative() && state_.override_of(keys_of(field)) == nullptr) {
      value = (state_.folder / value).lexically_normal().native();
    }
  }

 protected:
  void enter(const Field& table) override {
    const toml::node* node = claim(table);
    if (node != nullptr && !node->is_table()) refuse_type(table, *node, "a table");
    tables_.emplace_back(table.name);
    open(node != nullptr ? node->as_table() : nullptr);
  }
  void leave() override {
    tables_.pop_back();
    open_.pop_back();
  }
  std::vector<std::string> names() override {
    std::vector<std::string> names;
    if (open_.back()->content == nullptr) return names;
    for (const auto& [key, node] : *open_.back()->content) names.emplace_back(key.str());
    return names;
  }

 private:
  void open(const toml::table* content) {
    auto& table = state_.visited[toml_dotted(tables_)];
    table.keys = tables_;
    table.content = content;
    open_.push_back(&table);
  }

  [[nodiscard]] Keys keys_of(const Field& field) const {
    Keys keys = tables_;
    keys.emplace_back(field.name);
    return keys;
  }
  [[nodiscard]] const toml::node* find(const Field& field) const {
    const toml::table* content = open_.back()->content;
    return content != nullptr ? content->get(field.name) : nullptr;
  }
  const toml::node* claim(const Field& field) {
    open_.back()->known.emplace_back(field.name);
    return find(field);
  }

  template <class T>
  bool scalar(const Field& field, T& value, std::string_view wanted) {
    const toml::node* node = claim(field);
    if (node == nullptr) return false;
    std::optional<T> found = node->value_exact<T>();
    if constexpr (std::is_same_v<T, double>) {
      if (!found && node->is_integer()) found = static_cast<double>(node->as_integer()->get());
    }
    if (!found) refuse_type(field, *node, wanted);
    value = std::move(*found);
    return true;
  }

  [[noreturn]] void fail(const Field& field, const toml::node& node, const std::string& what,
                         std::string hint = {}) const {
    const Keys keys = keys_of(field);
    throw Error(ExitCode::kConfig,
                fmt::format("{}: {}: {}", state_.where(keys, node.source().begin),
                            printable(toml_dotted(keys)), what),
                std::move(hint));
  }
  [[noreturn]] void refuse_type(const Field& field, const toml::node& node, std::string_view wanted,
                                std::string_view place = {}) const {
    std::string hint(field.help);
    if (state_.override_of(keys_of(field)) != nullptr && wanted.ends_with("string)")) {
      hint = "to set a string that looks like something else, quote it: key='\"123\"'";
    }
    fail(field, node, fmt::format("wants {}, found {}{}", wanted, type_text(node), place),
         std::move(hint));
  }
  void check_range(const Field& field, double value) const {
    if (value >= field.min && value <= field.max) return;
    const std::string range = range_text(field);
    fail(field, *find(field),
         fmt::format("{} is out of range; wanted: {}", value,
                     range.empty() ? "a finite number" : range),
         std::string(field.help));
  }
  void check_choice(const Field& field, const std::string& value, const toml::node& node) const {
    Keys choices(field.choices.begin(), field.choices.end());
    if (choices.empty()) return;
    for (const std::string& choice : choices) {
      if (choice == value) return;
    }
    const std::string near = nearest(value, choices);
    fail(field, node,
         fmt::format("{} is not a choice; wanted: {}{}", in_quotes(value), choices_text(field),
                     near.empty() ? "" : "; did you mean " + in_quotes(near) + "?"),
         std::string(field.help));
  }

  State& state_;
  Keys tables_;
  std::vector<typename State::Table*> open_;
};

}  // namespace

ConfigFile::ConfigFile(const fs::path& path, const std::vector<std::string>& overrides)
    : state_(std::make_unique<State>()) {
  state_->name = path.native();
  state_->folder = path.parent_path();
  state_->root = parse_text(read_text(path), state_->name);
  for (const std::string& each : overrides) state_->apply(each);
}

ConfigFile::ConfigFile(const std::vector<std::string>& overrides, std::string_view flag)
    : state_(std::make_unique<State>()) {
  state_->flag = flag;
  for (const std::string& each : overrides) state_->apply(each);
}

ConfigFile ConfigFile::from_text(std::string_view text, const std::string& name) {
  ConfigFile file(std::vector<std::string>{});
  file.state_->name = name;
  file.state_->root = parse_text(text, name);
  return file;
}

ConfigFile::~ConfigFile() = default;
ConfigFile::ConfigFile(ConfigFile&&) noexcept = default;
ConfigFile& ConfigFile::operator=(ConfigFile&&) noexcept = default;

std::unique_ptr<Visitor> ConfigFile::make_reader() {
  return std::make_unique<Reader<State>>(*state_);
}

void ConfigFile::refuse_unknown_keys() const {
  using Place = std::tuple<bool, toml::source_index, toml::source_index>;
  std::optional<std::pair<Place, Error>> first;  // in the file's order, overrides last
  for (const auto& [name, table] : state_->visited) {
    if (table.content == nullptr) continue;
    for (const auto& [key, node] : *table.content) {
      const std::string word(key.str());
      if (std::find(table.known.begin(), table.known.end(), word) != table.known.end()) continue;
      Keys keys = table.keys;
      keys.push_back(word);
      const toml::source_position at = key.source().begin;
      const Place place = {state_->override_of(keys) != nullptr, at.line, at.column};
      if (first && first->first <= place) continue;

      const std::string near = suggest(word, table.known);
      std::string message = state_->where(keys, at);
      message += fmt::format(": unknown key {}{}", in_quotes(word),
                             name.empty() ? "" : fmt::format(" in [{}]", printable(name)));
      if (!near.empty()) message += fmt::format("; did you mean {}?", in_quotes(near));
      std::string hint = fmt::format("{}: {}", name.empty() ? "known here" : "known in this table",
                                     fmt::join(table.known, ", "));
      first = {place, Error(ExitCode::kConfig, message, std::move(hint))};
    }
  }
  if (first) throw Error(first->second);
}

}  // namespace nativo::config
