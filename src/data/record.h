// The record: one JSON line that carries a conversation or a text from the raw file to the weights,
// with where it came from and what was done to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace nativo::data {

struct Message {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
  bool operator==(const Message&) const = default;
};

/// One row of data. Either `messages` or `text` is filled, never both. Format:
/// docs/formats/record.md.
struct Record {
  std::string id;  ///< XXH3-128 of the content (messages or text), 32 hex digits
  std::vector<Message> messages;
  std::string text;
  std::string lang;              ///< ISO 639-1: "en", "it"
  std::string task;              ///< what kind of exercise: "qa", "code", ... or ""
  std::string source;            ///< name of the source in the config
  std::string licence;           ///< SPDX id or the source's own words
  Json lineage = Json::array();  ///< one object a stage: {"stage": .., what it did, scores}
};

/// The content's hash: the same messages or text always give the same id.
[[nodiscard]] std::string content_id(const Record& record);

/// Role and content of all messages, or the text, joined by blank lines: what filters look at.
[[nodiscard]] std::string full_text(const Record& record);

/// Appends {"stage": stage, ...detail} to the lineage.
void add_lineage(Record& record, std::string_view stage, Json detail);

/// One JSON line without '\n'. Equal records give equal bytes.
[[nodiscard]] std::string to_line(const Record& record);

/// Reads what to_line wrote; a Rejection names what is wrong (rule "bad_record").
[[nodiscard]] Result<Record> from_line(std::string_view line);

/// A dropped row: the record (or, when there never was one, where the raw bytes lie and how they
/// begin), the stage, the rule and the value that dropped it.
struct Reject {
  Record record;
  Rejection reason;
  std::string origin;  ///< "path:line" for rows that never became a record
  std::string raw;     ///< first bytes of such a row, made printable
};

/// One JSON line: the record's fields plus "reject": {"stage", "rule", "value"[, "origin", "raw"]}.
[[nodiscard]] std::string to_line(const Reject& reject, std::string_view stage);

}  // namespace nativo::data
