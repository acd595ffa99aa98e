#include "data/record.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/strings.h"

namespace nativo::data {
namespace {

namespace dom = simdjson::dom;

/// Appends `text` as a JSON string, escaped as dump_json escapes it.
void append_string(std::string& out, std::string_view text) {
  if (!is_valid_utf8(text)) {
    out += dump_json(Json(std::string(text)));  // invalid bytes become U+FFFD
    return;
  }
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, begin, i - begin);
    begin = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    }
  }
  out.append(text, begin);
  out += '"';
}

void append_field(std::string& out, std::string_view key, std::string_view value) {
  if (out.size() > 1) out += ',';
  out += '"';
  out += key;
  out += "\":";
  append_string(out, value);
}

void append_content(std::string& out, const Record& record) {
  if (record.messages.empty()) {
    append_field(out, "text", record.text);
    return;
  }
  out += ",\"messages\":[";
  for (const Message& message : record.messages) {
    if (&message != &record.messages.front()) out += ',';
    out += "{\"role\":";
    append_string(out, message.role);
    out += ",\"content\":";
    append_string(out, message.content);
    out += '}';
  }
  out += ']';
}

/// An open object with all the record's fields, without the closing brace.
std::string open_line(const Record& record) {
  std::string out = "{";
  out.reserve(256 + record.text.size());
  append_field(out, "id", record.id);
  append_content(out, record);
  append_field(out, "lang", record.lang);
  append_field(out, "task", record.task);
  append_field(out, "source", record.source);
  append_field(out, "licence", record.licence);
  out += ",\"lineage\":";
  out += dump_json(record.lineage);
  return out;
}

/// simdjson bounds the depth (1024), so that this recursion and later dumps are bounded too.
Json to_json_value(const dom::element& element) {
  switch (element.type()) {
    case dom::element_type::ARRAY: {
      Json array = Json::array();
      for (const dom::element item : dom::array(element)) array.push_back(to_json_value(item));
      return array;
    }
    case dom::element_type::OBJECT: {
      Json object = Json::object();
      for (const auto [key, value] : dom::object(element)) {
        object[std::string(key)] = to_json_value(value);
      }
      return object;
    }
    case dom::element_type::INT64:
      return std::int64_t(element);
    case dom::element_type::UINT64:
      return std::uint64_t(element);
    case dom::element_type::DOUBLE:
      return double(element);
    case dom::element_type::STRING:
      return std::string(std::string_view(element));
    case dom::element_type::BOOL:
      return bool(element);
    case dom::element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

bool is_role(std::string_view role) {
  return role == "system" || role == "user" || role == "assistant";
}

bool is_content_id(std::string_view id) {
  return id.size() == 32 && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Rejection bad(std::string value) { return {"bad_record", std::move(value)}; }

/// "" or what is wrong.
std::string read_messages(const dom::element& value, std::vector<Message>& messages) {
  dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return "messages is not an array";
  for (const dom::element item : array) {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) return "a message is not an object";
    std::string_view role;
    std::string_view content;
    if (object["role"].get(role) != simdjson::SUCCESS) return "a message has no role";
    if (object["content"].get(content) != simdjson::SUCCESS) return "a message has no content";
    if (object.size() != 2) return "a message has more than role and content";
    if (!is_role(role)) return "unknown role " + printable(utf8_prefix(role, 40));
    messages.push_back({std::string(role), std::string(content)});
  }
  if (messages.empty()) return "messages is empty";
  return {};
}

/// Puts one field into `record`; "" or what is wrong.
std::string read_field(std::string_view key, const dom::element& value, Record& record) {
  if (key == "messages") return read_messages(value, record.messages);
  if (key == "lineage") {
    dom::array array;
    if (value.get(array) != simdjson::SUCCESS) return "lineage is not an array";
    for (const dom::element entry : array) {
      if (!entry.is_object()) return "a lineage entry is not an object";
    }
    record.lineage = to_json_value(value);
    return {};
  }
  static constexpr std::pair<std::string_view, std::string Record::*> kStrings[] = {
      {"id", &Record::id},     {"text", &Record::text},     {"lang", &Record::lang},
      {"task", &Record::task}, {"source", &Record::source}, {"licence", &Record::licence}};
  for (const auto& [name, member] : kStrings) {
    if (key != name) continue;
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return std::string(key) + " is not a string";
    record.*member = text;
    return {};
  }
  return "unknown key " + printable(utf8_prefix(key, 40));
}

}  // namespace

std::string content_id(const Record& record) {
  if (record.messages.empty()) return xxh128_hex("t" + record.text);
  std::string bytes = "m";
  for (const Message& message : record.messages) {
    bytes += fmt::format("{}:{}:", message.role, message.content.size());
    bytes += message.content;
  }
  return xxh128_hex(bytes);
}

std::string full_text(const Record& record) {
  if (record.messages.empty()) return record.text;
  std::string text;
  for (const Message& message : record.messages) {
    if (!text.empty()) text += "\n\n";
    text += message.role;
    text += ": ";
    text += message.content;
  }
  return text;
}

void add_lineage(Record& record, std::string_view stage, Json detail) {
  Json entry = Json::object();
  entry["stage"] = stage;
  if (detail.is_object()) {
    for (auto& [key, value] : detail.items()) entry[key] = std::move(value);
  }
  record.lineage.push_back(std::move(entry));
}

std::string to_line(const Record& record) { return open_line(record) + "}"; }

Result<Record> from_line(std::string_view line) {
  if (!simdjson::validate_utf8(line.data(), line.size())) return bad("invalid UTF-8");
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(line.data(), line.size()).get(root); error) {
    return bad(std::string("no JSON: ") + simdjson::error_message(error));
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return bad("not an object");
  Record record;
  std::vector<std::string_view> seen;
  for (const auto [key, value] : object) {
    if (std::ranges::find(seen, key) != seen.end()) {
      return bad(printable(utf8_prefix(key, 40)) + " is there twice");
    }
    if (std::string problem = read_field(key, value, record); !problem.empty()) {
      return bad(std::move(problem));
    }
    seen.push_back(key);  // only known keys get here: at most eight
  }
  const bool has_messages = !record.messages.empty();
  if (has_messages && std::ranges::find(seen, "text") != seen.end()) {
    return bad("both messages and text");
  }
  if (!has_messages && record.text.empty()) return bad("neither messages nor text");
  if (!is_content_id(record.id)) return bad("id is not 32 hexadecimal digits");
  return record;
}

std::string to_line(const Reject& reject, std::string_view stage) {
  const Record& record = reject.record;
  std::string out = "{";
  if (!record.messages.empty() || !record.text.empty()) {
    out = open_line(record);
  } else {
    append_field(out, "lang", record.lang);
    append_field(out, "source", record.source);
    append_field(out, "licence", record.licence);
  }
  Json why = Json::object();
  why["stage"] = stage;
  why["rule"] = reject.reason.rule;
  why["value"] = reject.reason.value;
  if (!reject.origin.empty()) why["origin"] = reject.origin;
  if (!reject.raw.empty()) why["raw"] = reject.raw;
  return out + ",\"reject\":" + dump_json(why) + "}";
}

}  // namespace nativo::data
