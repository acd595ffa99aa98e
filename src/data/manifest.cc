// Manifests: what a finished stage says about itself, and whether its files still agree.
#include <fmt/format.h>

#include "base/hash.h"
#include "data/stage.h"
#include "data/stage_json.h"

namespace nativo::data {
namespace {

constexpr std::int64_t kFormat = 1;

/// Keys of a JSON object with their types checked; errors name file and key.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) throw wrong("", "an object is wanted");
  }

  [[nodiscard]] Error wrong(std::string_view key, std::string_view problem) const {
    return {ExitCode::kData, fmt::format("{}: key \"{}\": {}", where_, key, problem),
            "the file is damaged: remove the stage's folder and run again"};
  }

  [[nodiscard]] const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw wrong(key, "missing");
    return *found;
  }
  [[nodiscard]] std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) throw wrong(key, "a string is wanted");
    return value.get<std::string>();
  }
  [[nodiscard]] std::uint64_t count(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number_unsigned()) throw wrong(key, "a whole number >= 0 is wanted");
    return value.get<std::uint64_t>();
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> counts(const char* key) const {
    const Json& value = at(key);
    if (!value.is_object()) throw wrong(key, "an object is wanted");
    std::map<std::string, std::uint64_t> result;
    for (const auto& [name, number] : value.items()) {
      if (!number.is_number_unsigned()) throw wrong(key, "whole numbers >= 0 are wanted");
      result[name] = number.get<std::uint64_t>();
    }
    return result;
  }
  [[nodiscard]] Histogram histogram(const char* key) const {
    Histogram result;
    for (const auto& [edge, rows] : counts(key)) {
      if (edge.empty() || edge.size() > 18 ||
          edge.find_first_not_of("0123456789") != std::string::npos) {
        throw wrong(key, "a lower edge is not a number");
      }
      result[std::stoll(edge)] = rows;
    }
    return result;
  }
  [[nodiscard]] std::vector<StageFile> files(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array()) throw wrong(key, "an array is wanted");
    std::vector<StageFile> result;
    for (const Json& item : value) {
      const Fields file(item, where_ + ": " + key);
      result.push_back(
          {file.text("name"), file.count("rows"), file.count("bytes"), file.text("sha256")});
      const std::string& name = result.back().name;
      // The name comes from a file that may have been tampered with: it must not leave the folder.
      if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
        throw file.wrong("name", "not a file name");
      }
    }
    return result;
  }

 private:
  const Json& object_;
  std::string where_;
};

Json counts_json(const std::map<std::string, std::uint64_t>& counts) {
  Json object = Json::object();
  for (const auto& [name, rows] : counts) object[name] = rows;
  return object;
}

Json histogram_json(const Histogram& histogram) {
  Json object = Json::object();
  for (const auto& [edge, rows] : histogram) object[std::to_string(edge)] = rows;
  return object;
}

Json files_json(const std::vector<StageFile>& files) {
  Json array = Json::array();
  for (const StageFile& file : files) {
    array.push_back(
        {{"name", file.name}, {"rows", file.rows}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  return array;
}

bool is_counts(const Json& json, int depth = 8) {
  if (!json.is_object() || depth == 0) return false;
  return std::ranges::all_of(json.items(), [depth](const auto& entry) {
    return entry.value().is_number_unsigned() || is_counts(entry.value(), depth - 1);
  });
}

}  // namespace

std::uint64_t Manifest::rejected() const {
  std::uint64_t sum = 0;
  for (const auto& [rule, rows] : rejects) sum += rows;
  return sum;
}

Json to_json(const Manifest& manifest) {
  Json json = Json::object();
  json["format"] = kFormat;
  json["stage"] = manifest.stage;
  json["key"] = manifest.key;
  json["version"] = manifest.version;
  json["options"] = manifest.options;
  json["inputs"] = manifest.inputs;
  json["rows_in"] = manifest.rows_in;
  json["rows_added"] = manifest.rows_added;
  json["rows_out"] = manifest.rows_out;
  json["outputs"] = counts_json(manifest.outputs);
  json["rejects"] = counts_json(manifest.rejects);
  json["length_histogram"] = histogram_json(manifest.length_histogram);
  json["files"] = files_json(manifest.files);
  json["detail"] = manifest.detail;
  json["seconds"] = manifest.seconds;
  return json;
}

Manifest read_manifest(const fs::path& stage_folder) {
  const fs::path path = stage_folder / "manifest.json";
  const Json json = parse_json(io::read_file(path), path.native());
  const Fields fields(json, path.native());
  if (fields.count("format") != kFormat) {
    throw fields.wrong("format", fmt::format("only {} is known", kFormat));
  }
  Manifest manifest;
  manifest.stage = fields.text("stage");
  manifest.key = fields.text("key");
  const Json& version = fields.at("version");
  if (!version.is_number_integer()) throw fields.wrong("version", "a whole number is wanted");
  manifest.version = version.get<std::int64_t>();
  manifest.options = fields.at("options");
  manifest.inputs = fields.at("inputs");
  manifest.rows_in = fields.count("rows_in");
  manifest.rows_added = fields.count("rows_added");
  manifest.rows_out = fields.count("rows_out");
  manifest.outputs = fields.counts("outputs");
  manifest.rejects = fields.counts("rejects");
  manifest.length_histogram = fields.histogram("length_histogram");
  manifest.files = fields.files("files");
  manifest.detail = fields.at("detail");
  const Json& seconds = fields.at("seconds");
  if (!seconds.is_number()) throw fields.wrong("seconds", "a number is wanted");
  manifest.seconds = seconds.get<double>();
  return manifest;
}

bool is_complete(const fs::path& stage_folder, std::string_view key, bool verify) {
  std::error_code error;
  if (!fs::exists(stage_folder / "manifest.json", error)) return false;
  const Manifest manifest = read_manifest(stage_folder);
  if (manifest.key != key) return false;
  for (const StageFile& file : manifest.files) {
    const std::uint64_t bytes = fs::file_size(stage_folder / file.name, error);
    if (error || bytes != file.bytes) return false;
  }
  if (!verify) return true;
  for (const StageFile& file : manifest.files) check_digest(stage_folder / file.name, file.sha256);
  return true;
}

void check_digest(const fs::path& path, std::string_view sha256) {
  if (io::file_sha256(path) == sha256) return;
  throw Error(ExitCode::kData,
              path.native() + ": the content does not have the digest in manifest.json",
              "the file is damaged: remove the stage's folder and run again");
}

Json to_json(const Block& block) {
  Json json = Json::object();
  json["format"] = kFormat;
  json["rows_in"] = block.rows_in;
  json["rows_added"] = block.rows_added;
  json["outputs"] = counts_json(block.outputs);
  json["rejects"] = counts_json(block.rejects);
  json["length_histogram"] = histogram_json(block.lengths);
  json["counts"] = block.counts;
  if (block.block_rows > 0) json["block_rows"] = block.block_rows;
  json["files"] = files_json(block.files);
  return json;
}

Block read_block(const fs::path& path) {
  const Json json = parse_json(io::read_file(path), path.native());
  const Fields fields(json, path.native());
  if (fields.count("format") != kFormat) throw fields.wrong("format", "unknown");
  Block block;
  block.rows_in = fields.count("rows_in");
  block.rows_added = fields.count("rows_added");
  block.outputs = fields.counts("outputs");
  block.rejects = fields.counts("rejects");
  block.lengths = fields.histogram("length_histogram");
  block.counts = fields.at("counts");
  if (!is_counts(block.counts)) throw fields.wrong("counts", "whole numbers in objects are wanted");
  if (json.contains("block_rows")) block.block_rows = fields.count("block_rows");
  block.files = fields.files("files");
  return block;
}

void add_counts(Json& to, const Json& from) {
  NATIVO_CHECK(to.is_object() && is_counts(from), "counts are whole numbers in objects");
  for (const auto& [name, value] : from.items()) {
    const auto found = to.find(name);
    if (found == to.end()) {
      to[name] = value;
    } else if (value.is_object()) {
      add_counts(*found, value);
    } else {
      *found = found->get<std::uint64_t>() + value.get<std::uint64_t>();
    }
  }
}

std::string stage_key(const StageSpec& spec) {
  Json json = Json::object();
  json["name"] = spec.name;
  json["version"] = spec.version;
  json["options"] = spec.options;
  json["inputs"] = spec.inputs;
  return sha256_hex(dump_json(json));
}

}  // namespace nativo::data
