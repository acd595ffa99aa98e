#include "train/train_state.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

constexpr int kVersion = 2;

void read_optional(const Json& json, const char* key, std::optional<double>& value) {
  if (json.contains(key)) value = json[key].get<double>();
}

std::optional<Evaluation> read_best(const Json& json, const TrainState& state,
                                    std::string_view where) {
  if (!json.contains("best")) return std::nullopt;
  const Json& from = json["best"];
  Evaluation best{.step = from.at("step").get<std::int64_t>(),
                  .number = from.at("number").get<std::int64_t>(),
                  .loss = from.at("loss").get<double>()};
  read_optional(from, "base_loss", best.base_loss);
  if (best.step < 1 || best.step > state.step || best.number < 1 ||
      best.number > state.evaluations) {
    throw Error(
        ExitCode::kData,
        fmt::format("{}: its best evaluation, number {} of {}, after step {} of {}, cannot "
                    "have been",
                    printable(where), best.number, state.evaluations, best.step, state.step));
  }
  return best;
}

}  // namespace

Json to_json(const TrainState& state) {
  Json json = {{"version", kVersion},
               {"step", state.step},
               {"updates", state.updates},
               {"skipped", state.skipped},
               {"rollbacks", state.rollbacks},
               {"row_offset", state.row_offset},
               {"tokens", state.tokens},
               {"seconds", state.seconds},
               {"step_seconds", state.step_seconds},
               {"first_loss", state.first_loss},
               {"loss", state.loss},
               {"recent_losses", state.recent_losses}};
  if (state.evaluation_due) json["evaluation_due"] = true;
  if (state.first_eval_loss) json["first_eval_loss"] = *state.first_eval_loss;
  if (state.eval_loss) json["eval_loss"] = *state.eval_loss;
  if (state.first_base_eval_loss) json["first_base_eval_loss"] = *state.first_base_eval_loss;
  if (state.base_eval_loss) json["base_eval_loss"] = *state.base_eval_loss;
  if (state.evaluations > 0) json["evaluations"] = state.evaluations;
  if (state.best) {
    Json& best = json["best"];
    best = {{"step", state.best->step}, {"number", state.best->number}, {"loss", state.best->loss}};
    if (state.best->base_loss) best["base_loss"] = *state.best->base_loss;
  }
  return json;
}

TrainState train_state_from_json(const Json& json, std::string_view where) {
  try {
    const int version = json.at("version").get<int>();
    TrainState state;
    state.step = json.at("step").get<std::int64_t>();
    state.tokens = json.at("tokens").get<std::int64_t>();
    state.seconds = json.at("seconds").get<double>();
    state.step_seconds = json.value("step_seconds", state.seconds);
    state.first_loss = json.at("first_loss").get<double>();
    state.loss = json.at("loss").get<double>();
    read_optional(json, "first_eval_loss", state.first_eval_loss);
    read_optional(json, "eval_loss", state.eval_loss);
    read_optional(json, "first_base_eval_loss", state.first_base_eval_loss);
    read_optional(json, "base_eval_loss", state.base_eval_loss);
    state.evaluation_due = json.value("evaluation_due", false);
    state.evaluations = json.value("evaluations", std::int64_t{0});
    state.best = read_best(json, state, where);
    if (version == 1) {
      state.updates = state.step;
    } else if (version == kVersion) {
      state.updates = json.at("updates").get<std::int64_t>();
      state.skipped = json.at("skipped").get<std::int64_t>();
      state.rollbacks = json.at("rollbacks").get<std::int64_t>();
      state.row_offset = json.at("row_offset").get<std::int64_t>();
      state.recent_losses = json.at("recent_losses").get<std::vector<double>>();
    } else {
      throw Error(ExitCode::kData, fmt::format("{}: version {} is neither 1 nor {}",
                                               printable(where), version, kVersion));
    }
    return state;
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kData, fmt::format("{}: {}", printable(where), error.what()));
  }
}

}  // namespace nativo::train
