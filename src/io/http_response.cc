// What headers and failures mean. The transfers themselves: http.cc.
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/strings.h"
#include "io/http.h"

namespace nativo::io {
namespace {

/// A decimal number that is all of `text`.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string_view status_words(int status) {
  switch (status) {
    case 400:
      return " Bad Request";
    case 401:
      return " Unauthorized";
    case 403:
      return " Forbidden";
    case 404:
      return " Not Found";
    case 410:
      return " Gone";
    case 413:
      return " Content Too Large";
    case 416:
      return " Range Not Satisfiable";
    case 429:
      return " Too Many Requests";
    case 500:
      return " Internal Server Error";
    case 502:
      return " Bad Gateway";
    case 503:
      return " Service Unavailable";
    case 504:
      return " Gateway Timeout";
    default:
      return "";
  }
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &HttpHeader::name);
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

Error http_error(std::string_view method, const HttpResponse& response) {
  const std::string asked = fmt::format("{} {}", printable(method), shown_url(response.url));
  if (response.failure != HttpFailure::kNone) {
    const std::string what = fmt::format("{}: {}", asked, response.message);
    switch (response.failure) {
      case HttpFailure::kTimeout:
      case HttpFailure::kConnect:
      case HttpFailure::kBroken:
        return {ExitCode::kTryAgain, what,
                "see whether the network and the server are up, then run again to continue"};
      case HttpFailure::kRequest:
        return {ExitCode::kConfig, what, "correct the URL"};
      default:
        return {ExitCode::kIo, what};
    }
  }
  const std::string what =
      fmt::format("{}: {}{}", asked, response.status, status_words(response.status));
  switch (response.status) {
    case 401:
    case 403:
      return {ExitCode::kConfig, what, "the key is missing, wrong, or not allowed to do this"};
    case 404:
    case 410:
      return {ExitCode::kMissingInput, what, "correct the URL"};
    default:
      break;
  }
  if (response.status == 408 || response.status == 429 || response.status >= 500) {
    return {ExitCode::kTryAgain, what, "the server is busy or broken; run again later to continue"};
  }
  return {ExitCode::kIo, what};
}

std::string shown_url(std::string_view url) {
  const std::string_view before = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = before.find("://");
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t slash = std::min(before.find('/', host), before.size());
  const std::size_t at = before.substr(0, slash).rfind('@');
  std::string shown(before.substr(0, host));
  shown += before.substr(at == std::string_view::npos || at < host ? host : at + 1);
  if (before.size() < url.size()) shown += "?...";
  return printable(shown);
}

std::optional<double> retry_after(const HttpResponse& response, double now) {
  const std::string value(trim(response.header("retry-after")));
  if (value.empty()) return std::nullopt;
  if (const auto seconds = number(value)) return static_cast<double>(*seconds);
  const std::time_t date = curl_getdate(value.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max(0.0, static_cast<double>(date) - now);
}

HttpHeader range_from(std::uint64_t first) {
  return {.name = "Range", .value = fmt::format("bytes={}-", first)};
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  value = trim(value);
  if (!value.starts_with("bytes ")) return std::nullopt;
  value = trim(value.substr(6));
  const std::size_t dash = value.find('-');
  const std::size_t slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) {
    return std::nullopt;
  }
  const auto first = number(value.substr(0, dash));
  const auto last = number(value.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first) return std::nullopt;
  ContentRange range{*first, *last, std::nullopt};
  const std::string_view total = value.substr(slash + 1);
  if (total == "*") return range;
  range.total = number(total);
  if (!range.total || *range.total <= *last) return std::nullopt;
  return range;
}

std::string resume_validator(const HttpResponse& response) {
  const std::string_view tag = trim(response.header("etag"));
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') return std::string(tag);
  return std::string(trim(response.header("last-modified")));
}

}  // namespace nativo::io
