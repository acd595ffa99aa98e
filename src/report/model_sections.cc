// What became of the model: the headline, the evaluation, the dialogues.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/strings.h"
#include "report/html.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

std::string language_name(const std::string& code) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"it", "Italian"},  {"en", "English"},    {"es", "Spanish"}, {"fr", "French"},
      {"de", "German"},   {"pt", "Portuguese"}, {"ca", "Catalan"}, {"ro", "Romanian"},
      {"nl", "Dutch"},    {"pl", "Polish"},     {"el", "Greek"},   {"sl", "Slovenian"},
      {"sq", "Albanian"}, {"hr", "Croatian"},   {"tr", "Turkish"}, {"ar", "Arabic"},
      {"eu", "Basque"},   {"gl", "Galician"},   {"sv", "Swedish"}, {"uk", "Ukrainian"}};
  for (const auto& [known, name] : kNames) {
    if (known == code) return std::string(name);
  }
  return code;
}

std::string signed_text(double value, int digits) {
  return fmt::format("{}{:.{}f}", value < 0 ? "−" : "+", std::abs(value), digits);
}

// A difference in points for shares ("+8.2 points"), else in plain units.
std::string change_text(const TaskFacts& task, double change) {
  if (task.is_share()) return signed_text(change, 1);
  return fmt::format("{}{}", change < 0 ? "" : "+", plain_number(change));
}

std::string relative_text(const TaskFacts& task) {
  return task.relative ? signed_text(*task.relative, 1) + "%" : std::string("–");
}

std::string interval_text(const TaskFacts& task, const Estimate& estimate) {
  if (!estimate.low) return {};
  return fmt::format("{} to {}", value_text(task, *estimate.low), value_text(task, *estimate.high));
}

std::string change_interval(const TaskFacts& task) {
  if (!task.difference.low) return {};
  return fmt::format("{} to {}", change_text(task, *task.difference.low),
                     change_text(task, *task.difference.high));
}

const char* verdict_class(const TaskFacts& task) {
  const int verdict = task.verdict();
  return verdict > 0 ? "better" : verdict < 0 ? "worse" : "quiet";
}
const char* verdict_words(const TaskFacts& task) {
  const int verdict = task.verdict();
  return verdict > 0 ? "better" : verdict < 0 ? "worse" : "no clear difference";
}

// A difference's interval on a line, zero in the middle, `reach` at both ends; better is to the
// right.
std::string difference_drawing(const TaskFacts& task, double reach) {
  if (!task.difference.low || reach <= 0) return {};
  const double side = task.higher_is_better ? 1 : -1;
  const auto x = [&](double value) {
    return std::clamp(60 + 56 * side * value / reach, 2.0, 118.0);
  };
  const double a = x(*task.difference.low);
  const double b = x(*task.difference.high);
  return fmt::format(
      "<svg class=\"{}\" viewBox=\"0 0 120 16\" width=\"120\" height=\"16\" aria-hidden=\"true\">"
      "<path class=\"zero\" d=\"M60 1V15\"/><path class=\"span\" d=\"M{:.1f} 8H{:.1f}\"/>"
      "<circle cx=\"{:.1f}\" cy=\"8\" r=\"3.5\"/></svg>",
      verdict_class(task), std::min(a, b), std::max(a, b), x(task.difference.value));
}

std::string overlap_words(const TaskFacts& task) {
  const auto overlap = task.intervals_overlap();
  if (!overlap) return {};
  return *overlap ? "the two models’ intervals overlap"
                  : "the two models’ intervals do not overlap";
}

std::string card(const TaskFacts& task, const std::string& title, double confidence) {
  std::string notes;
  if (task.difference.low) {
    notes = fmt::format("<p>{} {}<small>{:.0f}% interval: {}</small></p>",
                        change_text(task, task.difference.value), task.is_share() ? "points" : "",
                        100 * confidence, change_interval(task));
  }
  const std::string overlap = overlap_words(task);
  return fmt::format(
      "<article class=\"card\"><h3>{}</h3><p class=\"big\"><span class=\"from\">{}</span><span "
      "class=\"arrow\" aria-label=\"to\">→</span><span class=\"to\">{}</span></p>{}<p "
      "class=\"verdict {}\">{}{}{}</p>{}</article>",
      escape(title), value_text(task, task.base.value), value_text(task, task.tuned.value), notes,
      verdict_class(task), verdict_words(task), task.relative ? ", " : "",
      task.relative ? relative_text(task) + " relative" : "",
      overlap.empty() ? "" : "<p class=\"quiet\">" + overlap + "</p>");
}

const TaskFacts* find_task(const RunFiles& run, std::string_view kind, std::string_view metric) {
  for (const TaskFacts& task : run.tasks) {
    if (task.kind == kind && task.metric == metric) return &task;
  }
  return nullptr;
}

std::string headline_sentence(const RunFiles& run, const std::string& language) {
  const TaskFacts* word = find_task(run, "next_word", "acc");
  if (word == nullptr) return {};
  const std::string text = language.empty() ? "unseen text" : "unseen " + language + " text";
  const char* direction = word->verdict() > 0   ? "up from"
                          : word->verdict() < 0 ? "down from"
                                                : "not clearly different from";
  return fmt::format(
      "<p class=\"lead\">The tuned model names the next word of {} correctly <strong>{}</strong> "
      "of "
      "the time{}, {} {} for the base model{}{}</p>",
      escape(text), value_text(*word, word->tuned.value),
      word->tuned.low ? fmt::format(" ({})", interval_text(*word, word->tuned)) : "", direction,
      value_text(*word, word->base.value),
      word->base.low ? fmt::format(" ({})", interval_text(*word, word->base)) : "",
      word->intervals_overlap() ? "; " + overlap_words(*word) + "." : ".");
}

}  // namespace

std::string value_text(const TaskFacts& task, double value) {
  return task.is_share() ? fmt::format("{:.1f}%", 100 * value) : plain_number(value);
}

std::string task_title(const TaskFacts& task) {
  constexpr std::pair<std::string_view, std::string_view> kMetrics[] = {
      {"acc", "accuracy"},          {"acc_norm", "accuracy by length"},
      {"em", "exact match"},        {"f1", "F1"},
      {"perplexity", "perplexity"}, {"gold_logprob", "log-probability of the answer"}};
  for (const auto& [metric, name] : kMetrics) {
    if (metric == task.metric) return words_of(task.name) + ": " + std::string(name);
  }
  return words_of(task.name) + ": " + words_of(task.metric);
}

std::string headline_section(const RunFiles& run) {
  const std::string language = language_name(run.language);
  std::string title = "What this run did";
  if (!run.base_model.empty() && !language.empty()) {
    title = fmt::format("From {} to a native speaker of {}",
                        std::filesystem::path(run.base_model).filename().string(), language);
  } else if (!language.empty()) {
    title = "A model made a native speaker of " + language;
  }
  std::string out =
      fmt::format("<header><p class=\"mark\">nativo · run report</p><h1>{}</h1>", escape(title));
  out += headline_sentence(run, language);
  std::string cards;
  if (const TaskFacts* word = find_task(run, "next_word", "acc")) {
    cards += card(*word, "Next word, accuracy", run.confidence);
  }
  if (const TaskFacts* perplexity = find_task(run, "next_word", "perplexity")) {
    cards += card(*perplexity, "Next word, perplexity (lower is better)", run.confidence);
  }
  if (run.average) cards += card(*run.average, "Average over the tasks", run.confidence);
  if (!cards.empty()) out += "<div class=\"cards\">" + cards + "</div>";
  const bool nothing =
      run.stages.empty() && run.trainings.empty() && run.tasks.empty() && run.dialogues.empty();
  if (nothing) out += "<p class=\"lead\">This run has not finished any stage yet.</p>";
  return out + "</header>";
}

std::string evaluation_section(const RunFiles& run) {
  if (run.tasks.empty()) return {};
  std::vector<TaskFacts> all = run.tasks;
  if (run.average) {
    all.push_back(*run.average);
    all.back().name = "average of the tasks";
    all.back().metric = "average";
  }
  double reach = 0;
  for (const TaskFacts& task : all) {
    if (!task.is_share() || !task.difference.low) continue;
    reach = std::max({reach, std::abs(*task.difference.low), std::abs(*task.difference.high)});
  }
  std::string rows;
  for (const TaskFacts& task : all) {
    const bool is_average = task.metric == "average";
    // Shares stand on one scale, so that they compare; other metrics each on their own.
    const double own = !task.difference.low ? 0.0
                                            : std::max(std::abs(*task.difference.low),
                                                       std::abs(*task.difference.high));
    rows += fmt::format(
        "<tr{}><th scope=\"row\">{}</th><td>{}</td><td>{}<small>{}</small></td><td>{}<small>{}"
        "</small></td><td class=\"{}\">{}<small>{}</small></td><td>{}</td><td>{}</td></tr>",
        is_average ? " class=\"total\"" : "",
        escape(is_average ? task.name : task_title(task)) +
            (task.higher_is_better ? "" : "<small>lower is better</small>"),
        is_average ? std::string() : count_text(task.items), value_text(task, task.base.value),
        interval_text(task, task.base), value_text(task, task.tuned.value),
        interval_text(task, task.tuned), verdict_class(task),
        change_text(task, task.difference.value) + (task.is_share() ? " pt" : ""),
        change_interval(task), difference_drawing(task, task.is_share() ? reach : own),
        relative_text(task));
  }
  const auto shares = static_cast<std::size_t>(std::count_if(
      run.tasks.begin(), run.tasks.end(), [](const TaskFacts& task) { return task.is_share(); }));
  const std::string chart =
      shares == 0 ? ""
                  : fmt::format(
                        "<div class=\"chart\" style=\"height:{:.1f}rem\"><canvas "
                        "id=\"chart-evaluation\" role=\"img\" aria-label=\"Base and tuned model by "
                        "task; the table below has the numbers\"></canvas></div>",
                        4.5 + 3.1 * static_cast<double>(shares));
  return fmt::format(
      "<section id=\"evaluation\"><h2>Base and tuned, on the same questions</h2><p class=\"lead\">"
      "Small figures are {:.0f}% bootstrap intervals; a difference is coloured only when its "
      "interval leaves zero out. Points are hundredths; relative is the change in percent of the "
      "base’s value.</p>{}<div class=\"scroll\"><table class=\"results\"><thead><tr><th>task</th>"
      "<th>items</th><th>base</th><th>tuned</th><th>difference</th><th>worse · better</th>"
      "<th>relative</th></tr></thead><tbody>{}</tbody></table></div></section>",
      100 * run.confidence, chart, rows);
}

std::string dialogues_section(const RunFiles& run) {
  if (run.dialogues.empty()) return {};
  std::string out =
      "<section id=\"dialogues\"><h2>The same question to both</h2><p class=\"lead\">Answers as "
      "the "
      "models gave them, nothing left out.</p>";
  const auto answer = [](const std::string& text) {
    return text.empty() ? std::string("<em class=\"quiet\">(an empty answer)</em>") : escape(text);
  };
  for (const Dialogue& dialogue : run.dialogues) {
    out += fmt::format(
        "<article class=\"dialogue\"><h3 dir=\"auto\">{}</h3><div><h4>base</h4><p dir=\"auto\">{}"
        "</p></div><div class=\"tuned\"><h4>tuned</h4><p dir=\"auto\">{}</p></div></article>",
        escape(dialogue.prompt), answer(dialogue.base), answer(dialogue.tuned));
  }
  return out + "</section>";
}

std::string lock_section(const RunFiles& run) {
  if (run.lock.empty()) return {};
  return fmt::format(
      "<section id=\"options\"><h2>How to have it again</h2><details><summary>nativo.lock.toml: "
      "every option of this run</summary><pre>{}</pre></details></section>",
      escape(run.lock));
}

}  // namespace nativo::report
