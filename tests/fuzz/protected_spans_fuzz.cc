// layers: text
// Any bytes: spans lie in order inside the text, every '_' in one, segments cover it and cut no
// span, a text proves itself, and lines that are joined come apart again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/line_wraps.h"
#include "text/protected_spans.h"
#include "text/segments.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spans = nativo::text::find_spans(text);
  std::size_t end = 0;
  for (const auto& span : spans) {
    if (span.begin < end || span.end <= span.begin || span.end > size) std::abort();
    if (text.substr(end, span.begin - end).find('_') != text.npos) std::abort();
    end = span.end;
  }
  if (text.substr(end).find('_') != text.npos) std::abort();
  end = 0;
  std::size_t next = 0;
  for (const auto& segment : nativo::text::split_segments(text, spans)) {
    if (segment.begin != end || segment.end <= segment.begin) std::abort();
    end = segment.end;
    while (next < spans.size() && spans[next].end <= end) ++next;
    if (next < spans.size() && spans[next].begin < end) std::abort();
  }
  if (end != size) std::abort();
  if (!nativo::text::verify_protected(text, text).ok()) std::abort();

  const auto joined = nativo::text::unwrap_lines(text, spans);
  if (joined.lines.empty() && joined.text != text) std::abort();
  // Whatever the breaks are put into keeps everything that is no white space.
  const std::string_view half = text.substr(0, size / 2);
  const auto letters = [](std::string_view bytes) {
    std::string kept;
    for (const char c : bytes) {
      if (std::string_view(" \t\n\r\v\f").find(c) == std::string_view::npos) kept += c;
    }
    return kept;
  };
  for (const std::string_view one : {std::string_view(joined.text), half}) {
    if (letters(nativo::text::rewrap_lines(one, joined)) != letters(one)) std::abort();
  }
  return 0;
}
