#include "eval/options.h"

namespace nativo::eval {

void TaskOptions::visit(config::Visitor& v) {
  v.value(
      {.name = "kind",
       .help = "form of the items: XCOPA's, SQuAD's, LAMBADA's, MMLU's letters or ARC's options",
       .choices = {"", "commonsense", "question_answering", "next_word", "multiple_choice",
                   "cloze"}},
      kind);
  v.path({.name = "path", .help = "the items: JSON lines or an array; gzip and zstd are fine"},
         path);
  v.value({.name = "limit", .help = "only the first so many items; 0 = all", .min = 0}, limit);
  v.value({.name = "shots", .help = "solved examples before each item", .min = 0, .max = 1000},
          shots);
  v.path(
      {.name = "fewshot",
       .help =
           "file of the solved examples (its first rows); empty = path, without the item itself"},
      fewshot);
  v.value({.name = "max_tokens", .help = "longest answer, in tokens", .min = 1, .max = 1e6},
          max_tokens);
}

void EvalOptions::visit(config::Visitor& v) {
  v.named_tables({.name = "task", .help = "one table a set of questions"}, task);
  v.value({.name = "resamples", .help = "resamples of the bootstrap", .min = 100, .max = 1e6},
          resamples);
  v.value({.name = "confidence", .help = "of the intervals", .min = 0.5, .max = 0.999}, confidence);
  v.value({.name = "seed", .help = "of the bootstrap", .min = 0}, seed);
  device.visit(v);
}

}  // namespace nativo::eval
