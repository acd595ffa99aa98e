#include "translate/review.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/strings.h"
#include "data/stage.h"
#include "io/lines.h"

namespace nativo::translate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestText = 800;

std::string shown(const data::Record& record) {
  std::string text = record.text;
  for (const data::Message& message : record.messages) {
    if (!text.empty()) text += "\n";
    text += message.role + ": " + message.content;
  }
  const std::string_view cut = utf8_prefix(text, kLongestText);
  return std::string(cut) + (cut.size() < text.size() ? " …" : "");
}

/// The lineage's entry of the stage, or null.
const Json* entry_of(const data::Record& record) {
  for (const Json& entry : record.lineage) {
    if (entry.is_object() && entry.value("stage", "") == "translate") return &entry;
  }
  return nullptr;
}

double number(const Json& entry, const char* key, double otherwise) {
  const auto found = entry.find(key);
  return found != entry.end() && found->is_number() ? found->get<double>() : otherwise;
}

/// How much a kept translation deserves a look.
double doubt(const Json& entry, double usual_ratio) {
  double sum = number(entry, "unknown_words", 0.0);
  const double ratio = number(entry, "length_ratio", 0.0);
  if (ratio > 0) sum += std::abs(std::log(ratio / usual_ratio));
  sum += (100.0 - number(entry, "round_trip", 100.0)) / 100.0;
  const auto failures = entry.find("failures");
  if (failures != entry.end()) sum += 0.2 * static_cast<double>(failures->size());
  return sum;
}

double usual_length_ratio(const fs::path& folder) {
  std::vector<double> ratios;
  data::RecordReader reader(folder);
  for (data::Record record; reader.next(record);) {
    const Json* entry = entry_of(record);
    const double ratio = entry == nullptr ? 0.0 : number(*entry, "length_ratio", 0.0);
    if (ratio > 0) ratios.push_back(ratio);
  }
  if (ratios.empty()) return 1.0;
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::ranges::nth_element(ratios, middle);
  return *middle;
}

struct Doubtful {
  double doubt = 0.0;
  std::string source_id;
  Json pair;
};

bool comes_first(const Doubtful& a, const Doubtful& b) {
  return a.doubt != b.doubt ? a.doubt > b.doubt : a.source_id < b.source_id;
}

std::vector<Doubtful> worst_pairs(const fs::path& folder, std::size_t count) {
  const double usual = usual_length_ratio(folder);
  std::vector<Doubtful> worst;
  data::RecordReader reader(folder);
  for (data::Record record; reader.next(record);) {
    const Json* entry = entry_of(record);
    if (entry == nullptr) continue;
    Doubtful found{doubt(*entry, usual), entry->value("source_id", ""), Json::object()};
    if (worst.size() == count && !comes_first(found, worst.back())) continue;
    found.pair["source"] = "";
    found.pair["translation"] = shown(record);
    found.pair["step"] = entry->value("step", entry->value("engine", ""));
    for (const char* key : {"length_ratio", "unknown_words", "round_trip", "failures"}) {
      if (entry->contains(key)) found.pair[key] = (*entry)[key];
    }
    worst.insert(std::ranges::upper_bound(worst, found, comes_first), std::move(found));
    if (worst.size() > count) worst.pop_back();
  }
  return worst;
}

void add_sources(const fs::path& input, std::vector<Doubtful>& worst) {
  if (worst.empty()) return;
  data::RecordReader reader(input);
  for (data::Record record; reader.next(record);) {
    for (Doubtful& one : worst) {
      if (one.source_id == record.id) one.pair["source"] = shown(record);
    }
  }
}

/// Rejects in the stage's order; of each rule as many as of the others, while there are any.
Json some_rejects(const fs::path& folder, std::size_t count) {
  std::map<std::string, std::vector<Json>> by_rule;
  for (const data::StageFile& file : data::read_manifest(folder).files) {
    if (!file.name.starts_with("rejects")) continue;
    io::LineReader reader(folder / file.name);
    for (std::string line; reader.next(line);) {
      Json json = parse_json(line, file.name);
      if (!json.contains("reject")) continue;
      const Json reject = json["reject"];
      std::vector<Json>& rule = by_rule[reject.value("rule", "")];
      if (rule.size() == count) continue;
      json.erase("reject");
      const auto record = data::from_line(dump_json(json));
      if (!record) continue;
      Json entry = {{"source", shown(record.value())},
                    {"rule", reject.value("rule", "")},
                    {"value", reject.value("value", "")}};
      const Json* path = entry_of(record.value());
      if (path != nullptr && path->contains("failures")) entry["failures"] = (*path)["failures"];
      rule.push_back(std::move(entry));
    }
  }
  Json chosen = Json::array();
  for (std::size_t round = 0; round < count; ++round) {
    for (const auto& [rule, rejects] : by_rule) {
      if (round < rejects.size() && chosen.size() < count) chosen.push_back(rejects[round]);
    }
  }
  return chosen;
}

}  // namespace

Json review_translations(const fs::path& translated, const fs::path& input, std::size_t count) {
  std::vector<Doubtful> worst = worst_pairs(translated, count);
  add_sources(input, worst);
  Json pairs = Json::array();
  for (Doubtful& one : worst) pairs.push_back(std::move(one.pair));
  return {{"format", 1},
          {"key", data::read_manifest(translated).key},
          {"worst", std::move(pairs)},
          {"rejected", some_rejects(translated, count)}};
}

}  // namespace nativo::translate
