#include "pipeline/options.h"

#include "train/option_check.h"

namespace nativo::pipeline {

void RunOptions::visit(config::Visitor& v) {
  v.path({.name = "dir", .help = "run folder: everything a run writes lies below it"}, dir);
  v.value({.name = "language", .help = "the language to learn, ISO 639-1"}, language);
  v.value({.name = "seed", .help = "decides every random choice", .min = 0}, seed);
  v.value({.name = "threads", .help = "threads; 0 = all cores", .min = 0, .max = 4096}, threads);
}

void ModelOptions::visit(config::Visitor& v) {
  v.path({.name = "base",
          .help =
              "Hugging Face directory of the model to start from, or init:tiny to train one first"},
         base);
  v.value({.name = "base_language", .help = "the language that the base speaks, ISO 639-1"},
          base_language);
  v.path(
      {.name = "tokenizer",
       .help = "tokenizer.json, tokenizer.model or a folder with one; empty = the base's own, or "
               "trained on the sources for init:"},
      tokenizer);
  v.value(
      {.name = "vocab_size", .help = "pieces of a tokenizer trained here", .min = 300, .max = 1e6},
      vocab_size);
  v.value({.name = "dtype", .help = "how weights are saved", .choices = {"f32", "bf16", "f16"}},
          dtype);
}

std::string ModelOptions::preset() const {
  return base.starts_with("init:") ? base.substr(5) : std::string();
}

void ReportOptions::visit(config::Visitor& v) {
  v.value({.name = "prompts", .help = "questions put to base and tuned model for the report"},
          prompts);
  v.table({.name = "sampler", .help = "how the answers are drawn"}, sampler);
}

void PipelineOptions::visit(config::Visitor& v) {
  v.table({.name = "run", .help = "the run as a whole"}, run);
  v.table({.name = "model", .help = "what is trained"}, model);
  v.named_tables({.name = "source", .help = "one table a source of data"}, source);
  v.table({.name = "ingest", .help = "reading the sources"}, ingest);
  v.table({.name = "translate", .help = "from the base's language into the run's"}, translate);
  v.table({.name = "filter", .help = "rules that drop records"}, filter);
  v.table({.name = "dedup", .help = "equal and nearly equal records"}, dedup);
  v.table({.name = "mix", .help = "what goes into training, in which order"}, mix);
  v.table({.name = "base", .help = "training of an init: base, before the run's own"}, base);
  v.table({.name = "train", .help = "fine-tuning"}, train);
  v.table({.name = "lora", .help = "adapters, when train.method asks for them"}, lora);
  v.table({.name = "dist", .help = "training with several ranks (mpirun, srun)"}, dist);
  v.table({.name = "eval", .help = "evaluation, base beside tuned"}, eval);
  v.table({.name = "report", .help = "the page"}, report);
  v.table({.name = "slurm", .help = "nodes for the run, and what becomes of faults"}, slurm);
}

void PipelineOptions::check_training(std::int64_t ranks) const {
  if (!model.preset().empty()) train::check_together(base, ranks);
  train::check_together(train, ranks);
}

}  // namespace nativo::pipeline
