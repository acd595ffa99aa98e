// The page's files as they were at build time (cmake/embed.cmake).
#pragma once

#include <string_view>

namespace nativo::report::embedded {

std::string_view page_html();         ///< page/page.html: {{name}} marks what is put in
std::string_view style_css();         ///< page/style.css
std::string_view charts_js();         ///< page/charts.js
std::string_view chart_library_js();  ///< Chart.js 3.9 (MIT), from Debian's libjs-chart.js

}  // namespace nativo::report::embedded
