#include "data/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nativo::data {
namespace {

using testing::HasSubstr;

Record conversation() {
  Record record;
  record.messages = {{"system", "Sii breve."},
                     {"user", "Perché \"no\"?\n\tC:\\temp \x01"},
                     {"assistant", "Perché è così: \xF0\x9F\x98\x80"}};
  record.lang = "it";
  record.task = "qa";
  record.source = "prova";
  record.licence = "CC-BY-4.0";
  record.id = content_id(record);
  add_lineage(record, "ingest", {{"file", "a.jsonl"}, {"row", 3}});
  add_lineage(record, "filter", {{"lang_score", 0.25}, {"flags", Json::array({true, nullptr})}});
  return record;
}

Record passage(std::string text) {
  Record record;
  record.text = std::move(text);
  record.lang = "it";
  record.id = content_id(record);
  return record;
}

std::string problem(std::string_view line) {
  const Result<Record> read = from_line(line);
  if (read.ok()) return "accepted";
  EXPECT_EQ(read.rejection().rule, "bad_record");
  return read.rejection().value;
}

/// A valid line with one piece replaced.
std::string changed(std::string_view from, std::string_view to) {
  std::string line = to_line(passage("ciao"));
  const std::size_t at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return line.replace(at, from.size(), to);
}

TEST(Record, SurvivesALineAndBack) {
  for (const Record& record : {conversation(), passage("Una riga.\r\nUn'altra.")}) {
    const std::string line = to_line(record);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const Result<Record> read = from_line(line);
    ASSERT_TRUE(read.ok()) << read.rejection().value;
    EXPECT_EQ(read.value().messages, record.messages);
    EXPECT_EQ(read.value().text, record.text);
    EXPECT_EQ(read.value().lineage, record.lineage);
    EXPECT_EQ(to_line(read.value()), line);
    EXPECT_EQ(content_id(read.value()), record.id);
  }
}

TEST(Record, LineIsTheDocumentedOne) {
  Record record = passage("ciao");
  record.source = std::string("s");
  EXPECT_EQ(to_line(record), R"({"id":")" + record.id +
                                 R"(","text":"ciao","lang":"it","task":"","source":"s",)"
                                 R"("licence":"","lineage":[]})");
}

TEST(Record, InvalidUtf8IsWrittenAsReplacementCharacters) {
  const Result<Record> read =
      from_line(to_line(passage("a\xFF"
                                "b")));
  ASSERT_TRUE(read.ok()) << read.rejection().value;
  EXPECT_EQ(read.value().text,
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Record, IdDependsOnContentAlone) {
  Record a = conversation();
  Record b = a;
  b.source = std::string("altra");
  b.lineage.clear();
  EXPECT_EQ(content_id(a), content_id(b));
  b.messages[1].role = "assistant";
  EXPECT_NE(content_id(a), content_id(b));
}

TEST(Record, IdKnowsWhereAMessageEnds) {
  Record a;
  a.messages = {{"user", "ab"}, {"assistant", "c"}};
  Record b;
  b.messages = {{"user", "a"}, {"assistant", "bc"}};
  EXPECT_NE(content_id(a), content_id(b));
}

TEST(Record, FullTextHoldsRolesAndContents) {
  Record record;
  record.messages = {{"user", "uno"}, {"assistant", "due"}};
  EXPECT_EQ(full_text(record), "user: uno\n\nassistant: due");
  EXPECT_EQ(full_text(passage("tre")), "tre");
}

TEST(Record, RefusesWhatIsNoRecord) {
  EXPECT_THAT(problem(""), HasSubstr("no JSON"));
  EXPECT_THAT(problem("{\"id\":"), HasSubstr("no JSON"));
  EXPECT_THAT(problem(to_line(passage("x")) + "{}"), HasSubstr("no JSON"));
  EXPECT_EQ(problem("[1]"), "not an object");
  EXPECT_EQ(problem("{\"text\":\"\xC3\x28\"}"), "invalid UTF-8");
  EXPECT_THAT(problem("{\"text\":\"\\ud800\"}"), HasSubstr("no JSON"));  // a lone surrogate
  EXPECT_EQ(problem(changed("\"task\":\"\"", "\"task\":null")), "task is not a string");
  EXPECT_EQ(problem(changed("\"task\":\"\"", "\"tasck\":\"\"")), "unknown key tasck");
  EXPECT_EQ(problem(changed("\"task\":\"\"", "\"lang\":\"\"")), "lang is there twice");
  EXPECT_EQ(problem(changed("\"text\":\"ciao\"", "\"text\":\"\"")), "neither messages nor text");
  EXPECT_EQ(problem(changed("\"lineage\":[]", "\"lineage\":{}")), "lineage is not an array");
  EXPECT_EQ(problem(changed("\"lineage\":[]", "\"lineage\":[1]")),
            "a lineage entry is not an object");
  EXPECT_EQ(problem(changed("\"id\":\"", "\"id\":\"x")), "id is not 32 hexadecimal digits");
}

TEST(Record, RefusesBadMessages) {
  const auto with = [](std::string_view messages) {
    return problem(changed("\"text\":\"ciao\"", "\"messages\":" + std::string(messages)));
  };
  EXPECT_EQ(with("{}"), "messages is not an array");
  EXPECT_EQ(with("[]"), "messages is empty");
  EXPECT_EQ(with("[3]"), "a message is not an object");
  EXPECT_EQ(with(R"([{"content":"a"}])"), "a message has no role");
  EXPECT_EQ(with(R"([{"role":"user"}])"), "a message has no content");
  EXPECT_EQ(with(R"([{"role":"user","content":4}])"), "a message has no content");
  EXPECT_EQ(with(R"([{"role":"tool","content":"a"}])"), "unknown role tool");
  EXPECT_EQ(with(R"([{"role":"user","content":"a","name":"b"}])"),
            "a message has more than role and content");
  EXPECT_EQ(with(R"([{"role":"user","content":"a"}],"text":"b")"), "both messages and text");
  EXPECT_EQ(with(R"([{"role":"user","content":"a"}])"), "accepted");
}

TEST(Record, DeepLineageIsRefusedNotFollowed) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_THAT(problem(changed("\"lineage\":[]", "\"lineage\":[{\"a\":" + deep + "}]")),
              HasSubstr("no JSON"));
}

TEST(Reject, HoldsTheRecordAndTheReason) {
  const std::string line = to_line({conversation(), {"too_short", "3"}, "", ""}, "filter");
  const Json json = parse_json(line, "line");
  EXPECT_EQ(json.at("messages").size(), 3U);
  EXPECT_EQ(json.at("reject"), Json::parse(R"({"stage":"filter","rule":"too_short","value":"3"})"));
}

TEST(Reject, WithoutARecordHoldsWhereTheRowLies) {
  Reject reject;
  reject.record.source = std::string("s");
  reject.reason = {"broken_json", "unclosed"};
  reject.origin = "a.jsonl:7";
  reject.raw = "{\"x\xFF";
  EXPECT_EQ(to_line(reject, "ingest"),
            "{\"lang\":\"\",\"source\":\"s\",\"licence\":\"\",\"reject\":{\"stage\":\"ingest\","
            "\"rule\":\"broken_json\",\"value\":\"unclosed\",\"origin\":\"a.jsonl:7\","
            "\"raw\":\"{\\\"x\xEF\xBF\xBD\"}}");
}

}  // namespace
}  // namespace nativo::data
