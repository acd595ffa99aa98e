// TomlWriter and DocVisitor: options out, as text.
#include <fmt/format.h>

#include "config/config_file.h"
#include "config/toml_text.h"

namespace nativo::config {

void TomlWriter::value(const Field& field, bool& value) { line(field, toml_value(value)); }
void TomlWriter::value(const Field& field, std::int64_t& value) { line(field, toml_value(value)); }
void TomlWriter::value(const Field& field, double& value) { line(field, toml_value(value)); }
void TomlWriter::value(const Field& field, std::string& value) { line(field, toml_value(value)); }
void TomlWriter::value(const Field& field, std::vector<std::string>& value) {
  line(field, toml_value(value));
}
void TomlWriter::path(const Field& field, std::string& value) { line(field, toml_value(value)); }

void TomlWriter::enter(const Field& table) {
  const Section& parent = sections_[open_.back()];
  const std::string key = toml_key(table.name);
  open_.push_back(sections_.size());
  sections_.push_back({parent.name.empty() ? key : parent.name + "." + key, {}});
}

void TomlWriter::leave() { open_.pop_back(); }

void TomlWriter::line(const Field& field, std::string_view rendered) {
  sections_[open_.back()].lines += fmt::format("{} = {}\n", toml_key(field.name), rendered);
}

std::string TomlWriter::text() const {
  std::string out;
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const Section& section = sections_[i];
    const bool has_tables =
        i + 1 < sections_.size() && sections_[i + 1].name.starts_with(section.name + ".");
    if (section.lines.empty() && (has_tables || section.name.empty())) continue;
    if (!section.name.empty()) {
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section.name);
    }
    out += section.lines;
  }
  return out;
}

void DocVisitor::value(const Field& field, bool& value) {
  add(field, toml_value(value), "true or false");
}
void DocVisitor::value(const Field& field, std::int64_t& value) {
  add(field, toml_value(value), "integer");
}
void DocVisitor::value(const Field& field, double& value) {
  add(field, toml_value(value), "number");
}
void DocVisitor::value(const Field& field, std::string& value) {
  add(field, toml_value(value), "string");
}
void DocVisitor::value(const Field& field, std::vector<std::string>& value) {
  add(field, toml_value(value), "list of strings");
}
void DocVisitor::path(const Field& field, std::string& value) {
  add(field, toml_value(value), "path");
}

void DocVisitor::enter(const Field& table) { tables_.emplace_back(table.name); }
void DocVisitor::leave() { tables_.pop_back(); }

void DocVisitor::add(const Field& field, std::string rendered, std::string_view kind) {
  std::vector<std::string> names = tables_;
  names.emplace_back(field.name);
  std::string allowed(kind);
  for (const std::string& limit : {range_text(field), choices_text(field)}) {
    if (!limit.empty()) allowed += ", " + limit;
  }
  docs_.push_back({toml_dotted(names), std::move(rendered), std::string(field.help), allowed});
}

}  // namespace nativo::config
