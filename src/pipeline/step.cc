#include "pipeline/step.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/strings.h"
#include "io/file.h"

namespace nativo::pipeline {
namespace {

/// "filter.min_tokens 5 -> 10" for each option that differs, at most three.
void list_changes(const Json& before, const Json& after, const std::string& prefix,
                  std::vector<std::string>& changes) {
  if (before.is_object() && after.is_object()) {
    for (const auto& [key, value] : after.items()) {
      list_changes(before.value(key, Json()), value, prefix.empty() ? key : prefix + "." + key,
                   changes);
    }
    for (const auto& [key, value] : before.items()) {
      if (!after.contains(key)) changes.push_back(prefix + "." + key + " is gone");
    }
  } else if (before != after) {
    const auto shown = [](const Json& v) {
      return v.is_null() ? std::string("nothing") : std::string(utf8_prefix(dump_json(v), 40));
    };
    changes.push_back(fmt::format("{} {} -> {}", prefix, shown(before), shown(after)));
  }
}

std::string why_changed(const data::Manifest& before, const data::StageSpec& now) {
  if (before.version != now.version) {
    return fmt::format("its code changed (version {} -> {})", before.version, now.version);
  }
  std::vector<std::string> changes;
  list_changes(before.options, now.options, "", changes);
  if (!changes.empty()) {
    std::string reason = changes.front();
    for (std::size_t i = 1; i < std::min<std::size_t>(3, changes.size()); ++i)
      reason += ", " + changes[i];
    if (changes.size() > 3) reason += fmt::format(" and {} more", changes.size() - 3);
    return reason;
  }
  for (const Json& input : now.inputs) {
    if (std::find(before.inputs.begin(), before.inputs.end(), input) == before.inputs.end()) {
      return "input changed: " + printable(input.value("name", "?"));
    }
  }
  return "an input is gone";
}

bool has_unfinished_blocks(const Step& step, const std::string& key) {
  return fs::exists(step.folder.native() + ".part-" + key.substr(0, 12));
}

}  // namespace

data::StageSpec keyed(data::StageSpec spec) {
  spec.key = data::stage_key(spec);
  return spec;
}

PlanLine plan_step(const Step& step, const data::StageSpec& spec) {
  if (data::is_complete(step.folder, spec.key, /*verify=*/false)) {
    return {step.name, "reuse", "unchanged"};
  }
  const bool begun = has_unfinished_blocks(step, spec.key);
  if (!fs::exists(step.folder / "manifest.json")) {
    const bool interrupted = begun || fs::exists(step.folder.parent_path() / "checkpoints");
    return interrupted ? PlanLine{step.name, "continue", "an earlier run was interrupted"}
                       : PlanLine{step.name, "run", "never ran"};
  }
  const data::Manifest before = data::read_manifest(step.folder);
  if (before.key == spec.key) return {step.name, "run", "its files are missing or cut short"};
  return {step.name, begun ? "continue" : "run", why_changed(before, spec)};
}

void complete_step(const fs::path& folder, const data::StageSpec& spec, double seconds,
                   Json detail) {
  data::Manifest manifest;
  manifest.stage = spec.name;
  manifest.key = spec.key;
  manifest.version = spec.version;
  manifest.options = spec.options;
  manifest.inputs = spec.inputs;
  manifest.detail = std::move(detail);
  manifest.seconds = seconds;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == "manifest.json") continue;
    manifest.files.push_back({.name = entry.path().filename().native(),
                              .rows = 0,
                              .bytes = entry.file_size(),
                              .sha256 = io::file_sha256(entry.path())});
  }
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  io::write_file_atomically(folder / "manifest.json", dump_json_pretty(data::to_json(manifest)));
}

std::string output_digest(const fs::path& folder, std::string_view prefix) {
  Sha256 hash;
  for (const data::StageFile& file : data::read_manifest(folder).files) {
    if (!file.name.starts_with(prefix)) continue;
    hash.update(file.name + " " + file.sha256 + "\n");
  }
  return hash.hex();
}

std::string summary(const data::Manifest& manifest) {
  std::string text = fmt::format("{} in, {} out", manifest.rows_in, manifest.rows_out);
  if (manifest.rows_added > 0) text += fmt::format(", {} added", manifest.rows_added);
  if (manifest.rejects.empty()) return text;
  text += fmt::format(", {} rejected (", manifest.rejected());
  std::string separator;
  for (const auto& [rule, rows] : manifest.rejects) {
    text += fmt::format("{}{} {}", std::exchange(separator, ", "), rule, rows);
  }
  return text + ")";
}

}  // namespace nativo::pipeline
