// Options as a JSON object, nested like the tables: what a manifest remembers and a stage's key hashes.
#pragma once

#include <vector>

#include "base/json.h"
#include "config/visitor.h"

namespace nativo::config {

/// Collects every field's value under its name. Paths appear as strings.
class JsonWriter final : public Visitor {
 public:
  void value(const Field& field, bool& value) override { put(field, value); }
  void value(const Field& field, std::int64_t& value) override { put(field, value); }
  void value(const Field& field, double& value) override { put(field, value); }
  void value(const Field& field, std::string& value) override { put(field, value); }
  void value(const Field& field, std::vector<std::string>& value) override { put(field, value); }
  void path(const Field& field, std::string& value) override { put(field, value); }
  [[nodiscard]] const Json& json() const { return root_; }

 protected:
  void enter(const Field& table) override { tables_.emplace_back(table.name); }
  void leave() override { tables_.pop_back(); }

 private:
  template <class T>
  void put(const Field& field, const T& value) {
    Json* place = &root_;
    for (const std::string& table : tables_) place = &(*place)[table];
    (*place)[std::string(field.name)] = value;
  }

  Json root_ = Json::object();
  std::vector<std::string> tables_;
};

/// Options as JSON. Takes a copy because visiting needs a mutable struct.
template <class Options>
[[nodiscard]] Json to_json(Options options) {
  JsonWriter writer;
  options.visit(writer);
  return writer.json();
}

}  // namespace nativo::config
