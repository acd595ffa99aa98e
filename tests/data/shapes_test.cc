#include "data/shapes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace nativo::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string roles_of(const Record& record) {
  std::string text;
  for (const Message& message : record.messages) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "|", message.role[0], message.content);
  }
  return text;
}

/// The records of a row, each as "u=..|a=.." or its text; or "rule: value".
std::vector<std::string> read(std::string_view row, std::string_view shape = "auto",
                              std::string_view text_key = "") {
  const RowResult result = row_to_records(row, shape, text_key);
  if (!result) return {result.rejection().rule + ": " + result.rejection().value};
  std::vector<std::string> records;
  for (const Record& record : result.value()) {
    records.push_back(record.messages.empty() ? record.text : roles_of(record));
  }
  return records;
}

TEST(Shapes, Messages) {
  EXPECT_THAT(read(R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":" u "},
                       {"role":"assistant","content":"a","name":"x"}]})"),
              ElementsAre("s=s|u=u|a=a"));
  EXPECT_THAT(read(R"({"messages":[{"role":"system","content":""},{"role":"user","content":"u"},
                       {"role":"assistant","content":"a"}]})"),
              ElementsAre("u=u|a=a"));
}

TEST(Shapes, Alpaca) {
  EXPECT_THAT(read(R"({"instruction":"i","input":"","output":"o"})"), ElementsAre("u=i|a=o"));
  EXPECT_THAT(read(R"({"instruction":"i","input":"in","response":"o"})"),
              ElementsAre("u=i\n\nin|a=o"));
  EXPECT_THAT(read(R"({"instruction":"i","context":"c","response":"o","id":3})"),
              ElementsAre("u=i\n\nc|a=o"));
  EXPECT_THAT(read(R"({"instruction":"i","input":null,"output":"o"})"), ElementsAre("u=i|a=o"));
  EXPECT_THAT(read(R"({"instruction":"i","instances":[{"input":"x","output":"y"},
                       {"input":"","output":"z"}]})"),
              ElementsAre("u=i\n\nx|a=y", "u=i|a=z"));
}

TEST(Shapes, QuestionAnswerLosesCalculatorMarks) {
  const RowResult result = row_to_records(
      R"({"question":"q","answer":"48/2 = <<48/2=24>>24, 1<<2, <<x=1>>"})", "auto", "");
  ASSERT_TRUE(result.ok());
  const Record& record = result.value().front();
  EXPECT_EQ(roles_of(record), "u=q|a=48/2 = 24, 1<<2, <<x=1>>");
  EXPECT_EQ(record.lineage, Json::parse(R"([{"stage":"ingest","calculator_marks_removed":1}])"));
}

TEST(Shapes, PromptCompletion) {
  EXPECT_THAT(read(R"({"prompt":"p","completion":"c"})"), ElementsAre("u=p|a=c"));
  EXPECT_THAT(read(R"({"prompt":"p","response":"r"})"), ElementsAre("u=p|a=r"));
}

TEST(Shapes, ShareGpt) {
  EXPECT_THAT(read(R"({"conversations":[{"from":"system","value":"s"},{"from":"human","value":"h"},
                       {"from":"gpt","value":"g"},{"from":"user","value":"h2"},
                       {"from":"assistant","value":"g2"}]})"),
              ElementsAre("s=s|u=h|a=g|u=h2|a=g2"));
}

TEST(Shapes, OasstTreeGivesAPathALeafBestRankedFirst) {
  const std::string_view tree = R"({"message_tree_id":"t","prompt":{"text":"p","role":"prompter",
    "replies":[
      {"text":"second","role":"assistant","rank":1,"replies":[]},
      {"text":"unranked","role":"assistant","rank":null,"replies":[]},
      {"text":"gone","role":"assistant","rank":0,"deleted":true,"replies":[
        {"text":"under it","role":"prompter","replies":[]}]},
      {"text":"first","role":"assistant","rank":0,"deleted":false,"replies":[
        {"text":"thanks","role":"prompter","replies":[]},
        {"text":"and then?","role":"prompter","replies":[
          {"text":"then b","role":"assistant","rank":1},
          {"text":"then a","role":"assistant","rank":0}]}]}]}})";
  EXPECT_THAT(read(tree),
              ElementsAre("u=p|a=first|u=and then?|a=then a", "u=p|a=first|u=and then?|a=then b",
                          "u=p|a=second", "u=p|a=unranked"));
}

TEST(Shapes, OasstTreesWithoutAnswersOrWithWrongRolesAreRejected) {
  EXPECT_THAT(read(R"({"prompt":{"text":"p","role":"prompter","replies":[]}})"),
              ElementsAre(HasSubstr("empty_content")));
  EXPECT_THAT(read(R"({"prompt":{"text":"p","role":"prompter","deleted":true,"replies":[
                       {"text":"a","role":"assistant"}]}})"),
              ElementsAre(HasSubstr("empty_content")));
  EXPECT_THAT(read(R"({"prompt":{"text":"p","role":"prompter","replies":[
                       {"text":"a","role":"prompter"}]}})"),
              ElementsAre(HasSubstr("bad_roles")));
  EXPECT_THAT(read(R"({"prompt":{"role":"prompter","replies":[]}})"),
              ElementsAre(HasSubstr("bad_record")));
}

TEST(Shapes, OasstTreeThatWouldBlowUpIsRejected) {
  std::string replies;
  for (int i = 0; i < 200; ++i) {
    replies += fmt::format(R"({}{{"text":"a{}","role":"assistant"}})", i == 0 ? "" : ",", i);
  }
  const std::string row =
      fmt::format(R"({{"prompt":{{"text":"{}","role":"prompter","replies":[{}]}}}})",
                  std::string(1 << 20, 'x'), replies);
  EXPECT_THAT(read(row), ElementsAre(HasSubstr("bad_record: a tree of more than")));
}

TEST(Shapes, Text) {
  EXPECT_THAT(read(R"({"text":" t "})"), ElementsAre("t"));
  EXPECT_THAT(read(R"({"content":"c","title":"x"})"), ElementsAre("c"));
  EXPECT_THAT(read(R"({"body":"b"})"), ElementsAre("b"));
  EXPECT_THAT(read(R"({"corpo":"k","text":"t"})", "text", "corpo"), ElementsAre("k"));
  EXPECT_THAT(read(R"({"corpo":"k","text":"t"})", "auto", "corpo"), ElementsAre("k"));
  EXPECT_THAT(read(R"({"text":"---\ntitle: x\n---\n\nCiao"})"), ElementsAre("Ciao"));
}

TEST(Shapes, TaskComesFromTheRow) {
  const auto task = [](std::string_view row) {
    return row_to_records(row, "auto", "").value().front().task;
  };
  EXPECT_EQ(task(R"({"prompt":"p","completion":"c","task":"creative","category":"x"})"),
            "creative");
  EXPECT_EQ(task(R"({"prompt":"p","completion":"c","category":"open_qa"})"), "open_qa");
  EXPECT_EQ(task(R"({"prompt":"p","completion":"c","task":7})"), "");
}

TEST(Shapes, ShapeMayBeGiven) {
  const std::string_view both = R"({"prompt":"p","completion":"c","text":"t"})";
  EXPECT_THAT(read(both), ElementsAre("u=p|a=c"));
  EXPECT_THAT(read(both, "text"), ElementsAre("t"));
  EXPECT_THAT(read(both, "alpaca"), ElementsAre(HasSubstr("bad_record")));
}

TEST(Shapes, Rejections) {
  EXPECT_THAT(read("{"), ElementsAre(HasSubstr("broken_json")));
  EXPECT_THAT(read(""), ElementsAre(HasSubstr("broken_json")));
  EXPECT_THAT(read("{\"text\":\"\xFF\"}"), ElementsAre(HasSubstr("invalid_utf8")));
  EXPECT_THAT(read("7"), ElementsAre("unknown_shape: not an object"));
  EXPECT_THAT(read(R"({"premise":"x","label":1})"),
              ElementsAre("unknown_shape: keys: premise, label"));
  EXPECT_THAT(read(R"({"text":3})"), ElementsAre("bad_record: text is not a string"));
  EXPECT_THAT(read(R"({"text":"  "})"), ElementsAre("empty_content: text"));
  EXPECT_THAT(read(R"({"question":"q","answer":""})"), ElementsAre("empty_content: answer"));
  EXPECT_THAT(read(R"({"question":"q","answer":4})"),
              ElementsAre("bad_record: answer is not a string"));
  EXPECT_THAT(read(R"({"messages":[]})"), ElementsAre(HasSubstr("empty_content")));
  EXPECT_THAT(read(R"({"messages":"x"})"), ElementsAre(HasSubstr("bad_record")));
  EXPECT_THAT(read(R"({"messages":[{"role":"tool","content":"x"}]})"),
              ElementsAre("bad_roles: unknown role tool"));
  EXPECT_THAT(read(R"({"messages":[{"role":"assistant","content":"x"}]})"),
              ElementsAre("bad_roles: message 1 is assistant, not user"));
  EXPECT_THAT(read(R"({"messages":[{"role":"user","content":"x"}]})"),
              ElementsAre("bad_roles: the last message is user"));
  EXPECT_THAT(read(R"({"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]})"),
              ElementsAre("bad_roles: message 2 is user, not assistant"));
}

TEST(FrontMatter, IsCutOnlyWhenItIsOne) {
  std::string text = "---\ntitle: x\nlist:\n  - a\n---\nCiao";
  EXPECT_TRUE(strip_front_matter(text));
  EXPECT_EQ(text, "Ciao");
  for (const char* other : {"---\nUn dialogo.\n---\nCiao", "---\ntitle: x\nsenza fine",
                            "Ciao\n---\n", "---", "", "----\na: b\n---\n"}) {
    text = other;
    EXPECT_FALSE(strip_front_matter(text)) << other;
    EXPECT_EQ(text, other);
  }
}

TEST(Gutenberg, HeaderAndFooterAreCut) {
  std::string text =
      "Licence\n\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\nUno\n\nDue\n\n"
      "End of Project Gutenberg's X\n\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nmore licence";
  EXPECT_EQ(cut_gutenberg(text), 3U);
  EXPECT_EQ(trim(text), "Uno\n\nDue");
  text = "A line with *** START OF in it";
  EXPECT_EQ(cut_gutenberg(text), std::nullopt);
}

TEST(Passages, HoldWholeParagraphsAndLoseNothing) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += fmt::format("Paragrafo {} {}\n\n", i, std::string(90, 'e'));
  std::string joined;
  for (const Passage& passage : split_passages(text, 300, false)) {
    EXPECT_LE(count_code_points(passage.text), 300U);
    EXPECT_TRUE(passage.text.starts_with("Paragrafo"));
    joined += passage.text + "\n\n";
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(split_passages(text, 300, false)[1].line, 5U);  // two paragraphs of two lines before it
}

TEST(Passages, LongParagraphsAreCutAtSentences) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "Questa frase è una di molte. ";
  for (const Passage& passage : split_passages(text, 200, false)) {
    EXPECT_LE(count_code_points(passage.text), 200U);
    EXPECT_TRUE(passage.text.ends_with("molte.")) << passage.text;
  }
  std::string unbroken;
  for (int i = 0; i < 1000; ++i) unbroken += "è";
  std::string joined;
  for (const Passage& passage : split_passages(unbroken, 77, false)) {
    EXPECT_TRUE(is_valid_utf8(passage.text));
    joined += passage.text;
  }
  EXPECT_EQ(joined, unbroken);
}

TEST(Passages, WrappedProseIsJoinedVerseIsNot) {
  const std::string prose =
      "C'era una volta un pezzo di legno che stava in un canto di casa e\n"
      "non era un legno di lusso ma un semplice pezzo da catasta.";
  const std::string verse = "Nel mezzo del cammin di nostra vita\nmi ritrovai per una selva oscura";
  EXPECT_THAT(split_passages(prose, 2000, true).front().text, HasSubstr("casa e non era"));
  EXPECT_EQ(split_passages(prose, 2000, false).front().text, prose);
  EXPECT_EQ(split_passages(verse, 2000, true).front().text, verse);
}

}  // namespace
}  // namespace nativo::data
