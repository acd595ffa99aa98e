#include "text/number_style.h"

#include <gtest/gtest.h>

#include "text/protected_spans.h"

namespace nativo::text {
namespace {

std::string localized(const std::string& text, const NumberStyle& style = {true, false}) {
  std::string out;
  std::size_t at = 0;
  for (const Span& span : find_spans(text)) {
    out += text.substr(at, span.begin - at);
    const std::string bytes = text.substr(span.begin, span.end - span.begin);
    out += span.kind == SpanKind::kNumber
               ? localize_number(bytes, std::string_view(text).substr(0, span.begin), style)
               : bytes;
    at = span.end;
  }
  return out + text.substr(at);
}

TEST(LocalizeNumber, DecimalsAndThousands) {
  EXPECT_EQ(localized("It cost $1,234.56, or 3.5 kg at 25.5%."),
            "It cost $1.234,56, or 3,5 kg at 25,5%.");
  EXPECT_EQ(localized("1,000,000 people, -0.75 and .5"), "1.000.000 people, -0,75 and 0,5");
  EXPECT_EQ(localized("Add 2.5 cups. About 1.5-2.5 hours"), "Add 2,5 cups. About 1,5-2,5 hours");
  EXPECT_EQ(localized("12 of 3/4 in 1999"), "12 of 3/4 in 1999");
}

TEST(LocalizeNumber, WhatIsNoQuantityStays) {
  for (const std::string same :
       {"at 10:30 with 1.2.3 on 192.168.0.1", "version 2.1 and chapter 3.4 of sec. 1.2",
        "We use Python 3.10 and USB 3.0 here", "`x = 3.5` and $y = 3.5$", "1,2,3 and 10,20",
        "v1.5 of http://a.b/1.5", "12,34.5 and 0,123"}) {
    EXPECT_EQ(localized(same), same);
  }
}

TEST(LocalizeNumber, Dates) {
  const NumberStyle us{false, true};
  EXPECT_EQ(localized("On 03/05/2024 and 12/31/1999.", us), "On 05/03/2024 and 31/12/1999.");
  EXPECT_EQ(localized("25/12/2024, 2024/03/05, 1/2 and 3/4/24", us),
            "25/12/2024, 2024/03/05, 1/2 and 3/4/24");
  EXPECT_EQ(localized("On 03/05/2024, 3.5", NumberStyle{}), "On 03/05/2024, 3.5");
}

}  // namespace
}  // namespace nativo::text
