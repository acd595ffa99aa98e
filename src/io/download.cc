#include "io/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/strings.h"

namespace nativo::io {
namespace {

constexpr double kLongestWait = 60.0;
constexpr double kLongestAsked = 300.0;
constexpr std::uint64_t kMaxState = std::uint64_t{1} << 16;

void wait(double seconds) {
  const double end = monotonic_seconds() + seconds;
  while (monotonic_seconds() < end) {
    stop_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The bar of one file, over all tries.
class Bar {
 public:
  explicit Bar(std::string label) : label_(std::move(label)) {}

  void set(std::uint64_t have, std::optional<std::uint64_t> total) {
    if (!bar_) {
      bar_ = std::make_unique<Progress>(label_, total.value_or(0) / kUnit, "KiB");
      bar_->already(have / kUnit);
      shown_ = have;
    }
    if (have > shown_) bar_->advance(have / kUnit - shown_ / kUnit);
    shown_ = have;
  }
  void restart() { bar_.reset(); }

 private:
  static constexpr std::uint64_t kUnit = 1024;
  std::string label_;
  std::unique_ptr<Progress> bar_;
  std::uint64_t shown_ = 0;
};

class Download {
 public:
  Download(HttpClient& client, std::string url, const fs::path& path, const std::string& label,
           const DownloadOptions& options, Disk& disk)
      : client_(client),
        url_(std::move(url)),
        part_(path.native() + ".part"),
        state_(part_.native() + ".json"),
        options_(options),
        disk_(disk),
        bar_(label) {}

  void run(const fs::path& path) {
    if (!recall()) fetch();
    bar_.restart();
    disk_.append(part_)->sync();
    disk_.rename(part_, path);
    disk_.sync_folder(path.parent_path());
    disk_.remove_all(state_);
  }

 private:
  void fetch() {
    int left = options_.tries;
    double pause = options_.wait_seconds;
    while (true) {
      stop_if_interrupted();
      start_over_ = false;
      const HttpResponse response = attempt();
      if (is_whole(response)) return;
      const bool passes = start_over_ || response.status == 416 || response.ok() ||
                          response.failure == HttpFailure::kProtocol ||
                          http_error("GET", response).code() == ExitCode::kTryAgain;
      if (!passes) throw http_error("GET", response);
      if (have_ > most_) {
        most_ = have_;
        left = options_.tries;
        pause = options_.wait_seconds;
      }
      if (--left <= 0) give_up(response);
      if (start_over_ || response.status == 416 || response.ok()) forget();
      const double asked = retry_after(response, unix_seconds()).value_or(0.0);
      wait(std::max(pause, std::min(asked, kLongestAsked)));
      pause = std::min(pause * 2, kLongestWait);
    }
  }

  /// Takes up what an earlier call left, if it is of this URL and can be continued; true when it is
  /// all there.
  bool recall() {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(part_, error);
    if (error || size == 0 || !fs::exists(state_)) return false;
    try {
      const Json state = parse_json(read_file(state_, kMaxState), state_.native());
      if (state.at("url").get<std::string>() != url_) return false;
      validator_ = state.at("validator").get<std::string>();
      if (!validator_.empty()) have_ = size;
      return have_ > 0 && state.at("bytes") == Json(size);
    } catch (const std::exception&) {
      validator_.clear();  // damaged: from the beginning
      have_ = 0;
      return false;
    }
  }

  void forget() {
    have_ = 0;
    validator_.clear();
    disk_.remove_all(state_);
    bar_.restart();
  }

  HttpResponse attempt() {
    if (validator_.empty()) have_ = 0;
    HttpRequest request;
    request.url = url_;
    request.timeouts = options_.timeouts;
    if (have_ > 0) {
      request.headers.push_back(range_from(have_));
      request.headers.push_back({.name = "If-Range", .value = validator_});
    }
    total_.reset();
    std::unique_ptr<WritableFile> file;
    request.on_head = [&](const HttpResponse& response) {
      file = begin(response);
      return file != nullptr;
    };
    request.sink = [&](std::string_view bytes) {
      if (have_ + bytes.size() > options_.limit) too_much();
      file->write(bytes);
      have_ += bytes.size();
      bar_.set(have_, total_);
      return true;
    };
    HttpResponse response = client_.fetch(std::move(request));
    if (file != nullptr) file->close();
    return response;
  }

  /// The file to write to, or nullptr when the answer does not continue what is here.
  std::unique_ptr<WritableFile> begin(const HttpResponse& response) {
    const std::string validator = resume_validator(response);
    if (response.status == 206) {
      const auto range = parse_content_range(response.header("content-range"));
      // A server that names no validator with the rest of a file is believed: it was asked for the
      // rest of this version only.
      if (have_ == 0 || !range || range->first != have_ ||
          (!validator.empty() && validator != validator_)) {
        start_over_ = true;
        return nullptr;
      }
      total_ = range->total;
      if (!total_) total_ = range->last + 1;
      check_limit();
      return disk_.append(part_);
    }
    have_ = 0;
    bar_.restart();
    total_ = number(response.header("content-length"));
    check_limit();
    std::unique_ptr<WritableFile> file = disk_.create(part_);
    validator_ = validator;
    const Json state = {{"url", url_}, {"validator", validator_}, {"bytes", total_.value_or(0)}};
    write_file_atomically(state_, dump_json_pretty(state), disk_);
    return file;
  }

  void check_limit() const {
    if (total_ && *total_ > options_.limit) too_much();
  }
  [[noreturn]] void too_much() const {
    throw Error(ExitCode::kData, fmt::format("GET {}: more than {}", shown_url(url_),
                                             human_bytes(static_cast<double>(options_.limit))));
  }

  /// All that was announced is here. An empty body never reaches the sink, nor a file.
  [[nodiscard]] bool is_whole(const HttpResponse& response) const {
    return response.ok() && have_ > 0 && (!total_ || *total_ == have_);
  }

  [[noreturn]] void give_up(const HttpResponse& response) const {
    if (!response.ok() && response.failure != HttpFailure::kStopped) {
      const Error error = http_error("GET", response);
      throw Error(ExitCode::kTryAgain, error.what(),
                  "run the same command again: it goes on where it was broken off");
    }
    throw Error(ExitCode::kData,
                fmt::format("GET {}: the server's lengths contradict each other ({} of {} bytes)",
                            shown_url(url_), have_, total_.value_or(0)),
                "try again later, or another source");
  }

  HttpClient& client_;
  std::string url_;
  fs::path part_;
  fs::path state_;
  DownloadOptions options_;
  Disk& disk_;
  Bar bar_;
  std::uint64_t have_ = 0;
  std::string validator_;
  std::optional<std::uint64_t> total_;
  std::uint64_t most_ = 0;  ///< bytes that were ever here
  bool start_over_ = false;
};

}  // namespace

void download(HttpClient& client, const std::string& url, const fs::path& path,
              const std::string& label, const DownloadOptions& options, Disk& disk) {
  Download(client, url, path, label, options, disk).run(path);
}

}  // namespace nativo::io
