// All options of a run: what nativo.toml may say. Each stage declares its own; this struct only
// gathers them. `nativo options` prints the reference from here.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "data/source.h"
#include "dedup/dedup.h"
#include "eval/options.h"
#include "filter/filter.h"
#include "generate/sampler.h"
#include "launch/options.h"
#include "mix/mix.h"
#include "train/options.h"
#include "translate/translate_stage.h"

namespace nativo::pipeline {

/// [run]
struct RunOptions {
  std::string dir = "runs/nativo";
  std::string language = "it";
  std::int64_t seed = 1;
  std::int64_t threads = 0;
  void visit(config::Visitor& v);
};

/// [model]
struct ModelOptions {
  std::string base = "init:tiny";  ///< a Hugging Face directory, or init:PRESET to train one first
  std::string base_language = "en";
  std::string tokenizer;           ///< a sentencepiece model; "" = the base's own, or a new one
  std::int64_t vocab_size = 4096;  ///< of a new tokenizer
  std::string dtype = "bf16";      ///< of the saved weights
  void visit(config::Visitor& v);

  /// The preset's name when the base is made here, else "".
  [[nodiscard]] std::string preset() const;
};

/// [report]
struct ReportOptions {
  std::vector<std::string> prompts;  ///< asked of both models
  generate::SamplerOptions sampler;
  void visit(config::Visitor& v);
};

/// The whole file.
struct PipelineOptions {
  RunOptions run;
  ModelOptions model;
  std::map<std::string, data::SourceOptions> source;
  data::IngestOptions ingest;
  translate::TranslateOptions translate;
  filter::FilterOptions filter;
  dedup::DedupOptions dedup;
  mix::MixOptions mix;
  train::TrainOptions base;  ///< how an init: base is trained
  train::TrainOptions train;
  train::LoraTableOptions lora;
  train::DistOptions dist;
  eval::EvalOptions eval;
  ReportOptions report;
  launch::SlurmOptions slurm;
  void visit(config::Visitor& v);

  /// Throws Error(kConfig) for options of the trainings that exclude each other, or so many ranks:
  /// hours before a training would.
  void check_training(std::int64_t ranks = 1) const;
};

}  // namespace nativo::pipeline
