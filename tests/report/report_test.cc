// The report: each number on the page stands in a file, nothing hostile gets onto it, damage is
// named.
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/scratch.h"
#include "io/file.h"

namespace nativo::report {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kWhole = fs::path(NATIVO_TEST_DATA) / "report" / "whole";

// An empty run folder that is removed again.
class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const fs::path& name, std::string_view bytes) const {
    fs::create_directories((folder_ / name).parent_path());
    io::write_file_atomically(folder_ / name, bytes);
  }
  void put_json(const fs::path& name, const Json& json) const { put(name, dump_json(json)); }

  // The message of the Error(kData) that the report of the folder ends with.
  [[nodiscard]] std::string damage() const {
    try {
      static_cast<void>(render_report(folder_));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kData);
      return e.what();
    }
    return "no error";
  }

  fs::path folder_;
};

// What stands in the page for the charts.
Json chart_json(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"chart-data\">";
  const std::size_t begin = page.find(open) + open.size();
  return parse_json(page.substr(begin, page.find("</script>", begin) - begin), "chart data");
}

std::string without_scripts(const std::string& page) {
  return page.substr(0, page.find("<script"));
}

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

Json task(const char* metric, bool higher_is_better, double base, double tuned, double points,
          double low, double high) {
  return {
      {"name", "t"},
      {"kind", "next_word"},
      {"metric", metric},
      {"higher_is_better", higher_is_better},
      {"items", 10},
      {"base", {{"value", base}, {"low", base - 0.01}, {"high", base + 0.01}}},
      {"tuned", {{"value", tuned}, {"low", tuned - 0.01}, {"high", tuned + 0.01}}},
      {"difference", {{"points", points}, {"low", low}, {"high", high}, {"relative", nullptr}}}};
}

TEST(Report, TellsWhatImproved) {
  const std::string page = without_scripts(render_report(kWhole));
  EXPECT_THAT(page, HasSubstr("From init:tiny to a native speaker of Italian"));
  EXPECT_THAT(page, HasSubstr("correctly <strong>33.8%</strong> of the time (30.0% to 37.6%), up "
                              "from 21.2% for the base model (17.9% to 24.4%); the two models’ "
                              "intervals do not overlap."));
  EXPECT_THAT(page, HasSubstr("+12.7 pt<small>+9.5 to +15.9</small>"));
  EXPECT_THAT(page, HasSubstr("<td>+59.8%</td>"));
  EXPECT_THAT(page, HasSubstr("<td>412.6<small>375.5 to 449.7</small></td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"better\">−264.4"));  // lower perplexity is better
  EXPECT_THAT(page, HasSubstr("<td class=\"worse\">−6.7 pt"));
  EXPECT_THAT(page, HasSubstr("<td class=\"quiet\">+3.2 pt"));  // its interval holds zero
  EXPECT_THAT(page, HasSubstr("average of the tasks"));
}

TEST(Report, ShowsEveryStageAndReason) {
  const std::string page = without_scripts(render_report(kWhole));
  EXPECT_THAT(page, HasSubstr("13,812 rows came in, 9,898 are left after mix. Every row is "
                              "accounted for"));
  for (const char* text : {"<b>13,918</b> kept", "<b>12,079</b> kept", "−1,647", "wrong language",
                           "318 rows made from others", "2,718,281 tokens kept",
                           "9,498 records · 400 heldout", "near copy"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  // Every reason of every manifest.
  for (const char* stage : {"ingest", "translate", "filter", "dedup", "mix"}) {
    const fs::path path = kWhole / "stages" / stage / "manifest.json";
    const Json manifest = parse_json(io::read_file(path), path.native());
    for (const auto& [rule, rows] : manifest["rejects"].items()) {
      std::string words = rule;
      std::replace(words.begin(), words.end(), '_', ' ');
      EXPECT_THAT(page, HasSubstr("<span class=\"reason\">" + words + "</span>")) << rows;
    }
  }
}

TEST(Report, ShowsSourcesDialoguesTrainingAndOptions) {
  const std::string page = without_scripts(render_report(kWhole));
  EXPECT_THAT(page, HasSubstr("8 sources under 4 licences: Apache-2.0, CC-BY-4.0, CC0-1.0, MIT."));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\">science</th><td class=\"words\">CC-BY-4.0</td>"
                              "<td class=\"words\">en</td><td>1,500</td>"));
  EXPECT_THAT(page, HasSubstr("Qual è il fiume più lungo d&#39;Italia?"));
  EXPECT_THAT(page, HasSubstr("(an empty answer)"));
  EXPECT_THAT(page, HasSubstr("<dt>parameters</dt><dd>12.6 M</dd>"));
  EXPECT_THAT(page, HasSubstr("vocab_size = 4096"));
}

TEST(Report, ChartsGetTheFilesNumbers) {
  const Json data = chart_json(render_report(kWhole));
  ASSERT_EQ(data["trainings"].size(), 2U);
  const Json& tuned = data["trainings"][1];
  EXPECT_EQ(tuned["loss"].size(), 160U);
  EXPECT_EQ(tuned["eval_loss"][0], Json({0, 5.47}));  // measured before the first step
  const std::string lines = io::read_file(kWhole / "train" / "metrics.jsonl");
  const Json last = parse_json(lines.substr(lines.rfind('\n', lines.size() - 2) + 1), "last line");
  EXPECT_EQ(tuned["loss"].back(), Json({last["step"], last["loss"]}));
  EXPECT_EQ(tuned["lr"].back(), Json({last["step"], last["lr"]}));
  EXPECT_EQ(data["evaluation"]["labels"].size(), 5U);  // shares only: no perplexity among percents
  EXPECT_NEAR(data["evaluation"]["tuned"][3][0].get<double>(), 33.83, 1e-9);
  EXPECT_EQ(data["lengths"]["before_name"], "after ingest");
  EXPECT_EQ(data["lengths"]["after_name"], "after mix");
  std::uint64_t sum = 0;
  for (const Json& rows : data["lengths"]["after"]) sum += rows.get<std::uint64_t>();
  EXPECT_EQ(sum, 9898U);
}

TEST(Report, AsksForNothingElse) {
  const std::string page = render_report(kWhole);
  const std::string markup = without_scripts(page);
  for (const std::string name : {"src=\"", "href=\"", "action=\""}) {
    EXPECT_EQ(occurrences(markup, name), occurrences(markup, name + "#")) << name;
  }
  EXPECT_THAT(markup, Not(HasSubstr("@import")));
  EXPECT_THAT(markup, Not(HasSubstr("url(")));
  EXPECT_THAT(markup, HasSubstr("default-src 'none'"));
  EXPECT_EQ(occurrences(page, "<script"), 3U);
  EXPECT_EQ(occurrences(page, "</script"), 3U);
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(Report, IsTheSameEveryTime) { EXPECT_EQ(render_report(kWhole), render_report(kWhole)); }

TEST_F(ReportTest, AnEmptyRunSaysSo) {
  EXPECT_THAT(render_report(folder_), HasSubstr("has not finished any stage yet"));
  try {
    static_cast<void>(render_report(folder_ / "nowhere"));
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMissingInput);
    EXPECT_THAT(e.what(), HasSubstr("nowhere"));
  }
}

TEST_F(ReportTest, EachFileIsOptional) {
  const fs::path files[] = {"nativo.lock.toml",         "stages/ingest/manifest.json",
                            "stages/mix/manifest.json", "base/metrics.jsonl",
                            "train/summary.json",       "eval/comparison.json",
                            "eval/dialogues.json"};
  for (const fs::path& file : files) {
    fs::remove_all(folder_);
    put(file, io::read_file(kWhole / file));
    const std::string page = render_report(folder_);
    EXPECT_THAT(without_scripts(page), HasSubstr("<section id=\"")) << file;
    EXPECT_EQ(page.find("not finished any") == page.npos, file != "nativo.lock.toml") << file;
    static_cast<void>(chart_json(page));
  }
}

TEST_F(ReportTest, WritesThePageWhereItIsWanted) {
  write_report(kWhole, folder_ / "report.html");
  EXPECT_EQ(io::read_file(folder_ / "report.html"), render_report(kWhole));
}

TEST_F(ReportTest, HostileTextStaysText) {
  const std::string hostile =
      "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' {{data}} "
      "\u202Egnp.exe\u2066 \x1b[2J <!-- ]]> &lt;";
  put("nativo.lock.toml",
      "[run]\nlanguage = \"" + hostile + "\"\n[model]\nbase = \"" + hostile + "\"\n");
  put_json("stages/ingest/manifest.json",
           Json{{"rows_in", 3},
                {"rows_out", 1},
                {"outputs", {{hostile, 1}, {"b", 0}}},
                {"rejects", {{hostile, 2}}},
                {"length_histogram", {{"1", 1}}},
                {"options", {{"source", {{hostile, {{"licence", hostile}, {"lang", hostile}}}}}}}});
  Json entry = task("acc", true, 0.2, 0.4, 20, 10, 30);
  entry["name"] = hostile;
  Json other = entry;
  other["metric"] = hostile;
  put_json("eval/comparison.json", Json{{"tasks", {entry, other}}});
  put_json("eval/dialogues.json",
           Json{{"dialogues", {{{"prompt", hostile}, {"base", hostile}, {"tuned", hostile}}}}});
  put("train/metrics.jsonl", "{\"step\":1,\"loss\":2,\"note\":\"</script>\"}\n");
  const std::string page = render_report(folder_);
  EXPECT_EQ(occurrences(page, "<script"), 3U);
  EXPECT_EQ(occurrences(page, "</script"), 3U);
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(without_scripts(page), Not(HasSubstr("onload='x'")));
  EXPECT_THAT(page, Not(HasSubstr("\u202E")));
  EXPECT_THAT(page, Not(HasSubstr("\u2066")));
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)"));
  EXPECT_THAT(page, HasSubstr("\\u{202e}gnp.exe"));
  EXPECT_THAT(page, HasSubstr("{{data}}"));  // the text's own, not filled in
  const Json data = chart_json(page);
  EXPECT_THAT(data["evaluation"]["labels"][0].get<std::string>(), HasSubstr("</script><script>"));
}

TEST_F(ReportTest, RowsThatDoNotAddUpAreShown) {
  put_json("stages/filter/manifest.json",
           Json{{"rows_in", 10}, {"rows_out", 7}, {"rejects", {{"too_short", 2}}}});
  EXPECT_THAT(render_report(folder_),
              AllOf(HasSubstr("do not add up"), HasSubstr("10 in + 0 made ≠ 7 kept + 2 dropped")));
}

TEST_F(ReportTest, WorseIsCalledWorse) {
  put_json("eval/comparison.json", Json{{"tasks", {task("acc", true, 0.4, 0.2, -20, -25, -15)}}});
  EXPECT_THAT(render_report(folder_),
              AllOf(HasSubstr("20.0%</strong> of the time (19.0% to 21.0%), "
                              "down from 40.0%"),
                    HasSubstr("class=\"verdict worse\">worse")));
  put_json("eval/comparison.json", Json{{"tasks", {task("acc", true, 0.2, 0.205, 0.5, -1, 2)}}});
  EXPECT_THAT(render_report(folder_),
              AllOf(HasSubstr("not clearly different from 20.0%"), HasSubstr("intervals overlap"),
                    HasSubstr("verdict quiet\">no clear difference")));
  put_json("eval/comparison.json",
           Json{{"tasks", {task("perplexity", false, 100.0, 150.0, 50, 20, 80)}}});
  EXPECT_THAT(render_report(folder_), HasSubstr("<td class=\"worse\">+50"));
}

TEST_F(ReportTest, DamageIsNamed) {
  put("stages/dedup/manifest.json", "{\"rows_in\": 3");
  EXPECT_THAT(damage(), HasSubstr("stages/dedup/manifest.json"));
  for (const Json& rows : {Json("3"), Json(-1), Json(1.5), Json(std::uint64_t{1} << 60)}) {
    put_json("stages/dedup/manifest.json", Json{{"rows_in", rows}});
    EXPECT_THAT(damage(), HasSubstr("rows_in: a count")) << rows;
  }
  put_json("stages/dedup/manifest.json", Json{{"length_histogram", {{"12x", 1}}}});
  EXPECT_THAT(damage(), HasSubstr("length_histogram"));
  put_json("stages/dedup/manifest.json", Json::array());
  EXPECT_THAT(damage(), HasSubstr("an object is wanted"));
  fs::remove_all(folder_ / "stages");
  put_json("eval/comparison.json", Json{{"tasks", {{{"name", "a"}, {"base", {{"value", 1}}}}}}});
  EXPECT_THAT(damage(), AllOf(HasSubstr("comparison.json: tasks[0]"), HasSubstr("tuned")));
  put_json("eval/comparison.json", Json{{"tasks", 3}});
  EXPECT_THAT(damage(), HasSubstr("tasks: a list is wanted"));
  fs::remove_all(folder_ / "eval");
  put_json("eval/dialogues.json", Json{{"dialogues", {{{"prompt", 5}}}}});
  EXPECT_THAT(damage(), HasSubstr("dialogues[0]: prompt: text is wanted"));
}

TEST_F(ReportTest, MetricsOfARunThatWasCutOff) {
  put("train/metrics.jsonl",
      "{\"step\":0,\"eval_loss\":5}\n{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":4.5}\n{\"st");
  const Json data = chart_json(render_report(folder_));
  EXPECT_EQ(data["trainings"][0]["loss"], Json::parse("[[2, 4.5]]"));
  EXPECT_EQ(data["trainings"][0]["eval_loss"], Json::parse("[[0, 5.0]]"));
  put("train/metrics.jsonl", "{\"step\":1,\"loss\":4}\n{\"st\n{\"step\":3,\"loss\":4}\n");
  EXPECT_THAT(damage(), HasSubstr("train/metrics.jsonl:2"));
  put("train/metrics.jsonl", "{\"step\":1,\"loss\":1e400}\n");
  EXPECT_THAT(damage(), HasSubstr("train/metrics.jsonl:1"));
  put("train/metrics.jsonl", "{\"loss\":4}\n");
  EXPECT_THAT(damage(), HasSubstr("step"));
}

TEST_F(ReportTest, LongCurvesAreThinnedToTheirEnd) {
  std::string lines;
  for (int step = 1; step <= 10'000; ++step) {
    lines += "{\"step\":" + std::to_string(step) + ",\"loss\":" + std::to_string(step) + "}\n";
  }
  put("train/metrics.jsonl", lines);
  const Json loss = chart_json(render_report(folder_))["trainings"][0]["loss"];
  EXPECT_LE(loss.size(), 1501U);
  EXPECT_EQ(loss.back(), Json::parse("[10000, 10000.0]"));
}

TEST_F(ReportTest, ShowsSourcesForgettingAndWhatHappened) {
  put("train/metrics.jsonl",
      R"({"step":0,"eval_loss":3.5,"base_eval_loss":2.5})"
      "\n"
      R"({"step":1,"loss":3,"tokens_per_second":900,"percent_of_gemm":40,)"
      R"("sources":{"qa":{"loss":2,"targets":5},"<b>":{"loss":4,"targets":5}}})"
      "\n"
      R"({"step":2,"loss":null,"grad_norm":null,"tokens_per_second":1100,"percent_of_gemm":60,)"
      R"("sources":{"qa":{"loss":null,"targets":5}},"base_eval_loss":2.75})"
      "\n");
  put("train/events.jsonl",
      R"({"time":1,"event":"start","step":0})"
      "\n"
      R"({"time":2,"event":"checkpoint","step":1})"
      "\n"
      R"({"time":3,"event":"resume","step":1})"
      "\n"
      R"({"time":4,"event":"resume","step":1})"
      "\n"
      R"({"time":5,"event":"spike","step":2,"what":"loss","value":null,"action":"skip"})"
      "\n"
      R"({"time":6,"event":"spike","step":3,"what":"loss","value":9.5,"limit":4.25,)"
      R"("action":"rollback","to":1})"
      "\n"
      R"({"time":6,"event":"fault","step":3,"what":"rank 0 on <n2>: Killed","began":1795461069.5,)"
      R"("detected_after":0.75,"rank":0,"node":"<n2>"})"
      "\n"
      R"({"time":7,"event":"recovery","step":2,"what":"rank 0 on <n2>: Killed","steps_lost":1,)"
      R"("seconds_down":6.25,"seconds_lost":7.5})"
      "\n"
      R"({"time":7,"ev)");
  const std::string page = render_report(folder_);
  const Json training = chart_json(page)["trainings"][0];
  EXPECT_EQ(training["base_eval_loss"], Json::parse("[[0, 2.5], [2, 2.75]]"));
  EXPECT_EQ(training["tokens_per_second"], Json::parse("[[1, 900.0], [2, 1100.0]]"));
  EXPECT_EQ(training["sources"], Json::parse(R"([{"name": "<b>", "loss": [[1, 4.0]]},)"
                                             R"({"name": "qa", "loss": [[1, 2.0]]}])"));
  EXPECT_EQ(training["marks"],
            Json::parse(R"([{"kind": "checkpoint", "step": 1}, {"kind": "resume", "step": 1},)"
                        R"({"kind": "spike", "step": 2}, {"kind": "spike", "step": 3}])"));
  const std::string text = without_scripts(page);
  for (const char* words :
       {"Checkpoints after step 1. Resumed after step 1.", "step 2: loss not finite; step skipped",
        "step 3: loss 9.5, beyond the usual 4.25; back to step 1",
        "1 fault, recovered from without anybody’s help",
        "<tr><th scope=\"row\">2026-11-23 19:11:09</th><td>3</td>"
        "<td class=\"words what\">rank 0 on &lt;n2&gt;: Killed</td><td>0</td><td>&lt;n2&gt;</td>"
        "<td>after 0.8 s</td><td>6.2 s</td><td>1</td><td>7.5 s</td></tr>",
        "<tr><th scope=\"row\">qa</th><td>1</td><td>2.000</td><td>2.000</td></tr>",
        "<th scope=\"row\">&lt;b&gt;</th>", "<td>2.7500</td>",
        "<dt>of the machine’s GEMM rate</dt><dd>60%</dd>"}) {
    EXPECT_THAT(text, HasSubstr(words));
  }
  put("train/metrics.jsonl", "{\"step\":1,\"sources\":{\"qa\":3}}\n");
  EXPECT_THAT(damage(), HasSubstr("train/metrics.jsonl:1: sources.qa"));
}

TEST_F(ReportTest, ATrainingWithoutAPipelineHasAPageToo) {
  put("metrics.jsonl", "{\"step\":1,\"loss\":4}\n");
  EXPECT_EQ(chart_json(render_report(folder_))["trainings"][0]["loss"], Json::parse("[[1, 4.0]]"));
}

TEST_F(ReportTest, TheTranslationIsToldWithItsWorstPairs) {
  put_json("stages/translate/manifest.json",
           {{"key", "k1"},
            {"rows_in", 12},
            {"rows_out", 10},
            {"rejects", {{"length_ratio", 2}}},
            {"detail",
             {{"engine", {"argos", "llm"}},
              {"rows_by_step", {{"argos:greedy", 9}, {"llm", 1}}},
              {"failures", {{"argos:greedy", {{"repetition", 3}}}, {"llm", {{"length_ratio", 2}}}}},
              {"length_ratio", {{"0.9", 4}, {"1.1", 6}}},
              {"round_trip", {{"35", 1}, {"45", 9}}}}}});
  const Json pair = {
      {"source", "The <b>cat</b>"},
      {"translation", "Il <script>gatto"},
      {"step", "llm"},
      {"length_ratio", 1.31},
      {"failures", {{{"step", "argos:greedy"}, {"rule", "repetition"}, {"value", "44 > 20"}}}}};
  const Json reject = {{"source", "A dog"}, {"rule", "length_ratio"}, {"value", "5.1 > 3.5"}};
  Json review = {{"format", 1}, {"key", "k1"}, {"worst", {pair}}, {"rejected", {reject}}};
  put_json("translation-review.json", review);
  const std::string page = render_report(folder_);
  EXPECT_THAT(page,
              AllOf(HasSubstr("10 rows by argos, llm."), HasSubstr("Il &lt;script&gt;gatto"),
                    HasSubstr("failed before: argos:greedy: repetition 44 &gt; 20"),
                    HasSubstr("length_ratio: 5.1 &gt; 3.5"), HasSubstr("length 1.31"),
                    HasSubstr("1.1 to 1.2: 6 rows (60.0 %)"), HasSubstr("40 to 45: 0 rows (0.0 %)"),
                    HasSubstr("45 to 50: 9 rows (90.0 %)")));
  review["key"] = "another";  // of another translation: not shown
  put_json("translation-review.json", review);
  EXPECT_THAT(render_report(folder_), Not(HasSubstr("A dog")));
  put_json("translation-review.json", Json::array());
  EXPECT_THAT(damage(), HasSubstr("translation-review.json"));
}

}  // namespace
}  // namespace nativo::report
