// nativo fetch against a server on loopback.
#include "translate/argos_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "io/loopback_server.h"
#include "io/temp_folder.h"
#include "io/zip_builder.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string package(const std::string& from, const std::string& to) {
  return io::ZipBuilder()
      .add("top/metadata.json", R"({"from_code": ")" + from + R"(", "to_code": ")" + to +
                                    R"(", "package_version": "1.2"})")
      .add("top/bpe.model", "a b\n")
      .add("top/model/model.bin", std::string(5000, 'm'))
      .bytes();
}

std::string refusal(const std::function<void()>& action, ExitCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return std::string(error.what()) + " | " + error.hint();
  }
  return "accepted";
}

/// Paths and their bodies; anything else is a 404.
class Site {
 public:
  Site()
      : server_(io::LoopbackServer::answering([this](const io::SeenRequest& request) {
          const auto page = pages.find(request.target);
          return page == pages.end() ? io::http_answer(404, "no")
                                     : io::http_answer(200, page->second);
        })) {}

  [[nodiscard]] std::string url(const std::string& path) const { return server_.url(path); }
  [[nodiscard]] std::size_t asked() const { return server_.seen().size(); }

  [[nodiscard]] std::string entry(const std::string& from, const std::string& to,
                                  const std::string& version, const std::string& links) const {
    return R"({"from_code": ")" + from + R"(", "to_code": ")" + to + R"(", "package_version": ")" +
           version + R"(", "links": [)" + links + "]}";
  }
  [[nodiscard]] std::string link(const std::string& path) const { return '"' + url(path) + '"'; }

  std::map<std::string, std::string> pages;

 private:
  io::LoopbackServer server_;
};

ArgosFetchOptions options(const Site& site, const fs::path& folder) {
  ArgosFetchOptions how;
  how.index = site.url("/index.json");
  how.folder = folder.native();
  how.download.tries = 2;
  how.download.wait_seconds = 0.001;
  return how;
}

TEST(ArgosFetch, TakesTheNewestRecordsItAndKeepsIt) {
  const io::TempFolder folder;
  Site site;
  site.pages["/old"] = package("en", "it");
  site.pages["/new"] = package("en", "it");
  site.pages["/index.json"] =
      "[" + site.entry("en", "it", "1.2", site.link("/old")) + "," +
      site.entry("en", "it", "1.10", R"("ipfs://abc", )" + site.link("/new")) + "," +
      site.entry("en", "es", "9.0", site.link("/es")) + R"(, {"type": "sbd", "links": []}, 7])";
  const fs::path path = fetch_argos({"en", "it"}, options(site, folder.path()));
  EXPECT_EQ(path, folder / "translate-en_it-1_10.argosmodel");
  EXPECT_EQ(io::bytes_of(path), site.pages["/new"]);
  const Json lock = parse_json(io::read_file(lock_path(path)), "lock");
  EXPECT_EQ(lock.at("url"), site.url("/new"));
  EXPECT_EQ(lock.at("sha256"), io::file_sha256(path));
  EXPECT_EQ(lock.at("bytes"), fs::file_size(path));
  EXPECT_THAT(folder.names(), ElementsAre("run.lock", "translate-en_it-1_10.argosmodel",
                                          "translate-en_it-1_10.argosmodel.lock.json"));
  EXPECT_EQ(open_argos_package(path).metadata.name(), "en_it 1.2");
  // Again: only the index is asked for.
  const std::size_t asked = site.asked();
  EXPECT_EQ(fetch_argos({"en", "it"}, options(site, folder.path())), path);
  EXPECT_EQ(site.asked(), asked + 1);
  // Changed since: an error, not another download.
  folder.put("translate-en_it-1_10.argosmodel", "changed");
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"en", "it"}, options(site, folder.path()));
                  },
                  ExitCode::kData),
              HasSubstr("is not the file that was fetched"));
  fs::remove(lock_path(path));
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"en", "it"}, options(site, folder.path()));
                  },
                  ExitCode::kData),
              HasSubstr("nothing says from where"));
}

TEST(ArgosFetch, TheNextLinkIsTriedWhenOneGivesNoPackage) {
  const io::TempFolder folder;
  Site site;
  site.pages["/html"] = "<html>not a package</html>";
  site.pages["/other"] = package("en", "es");
  site.pages["/cut"] = package("en", "it").substr(0, 4000);
  site.pages["/good"] = package("en", "it");
  site.pages["/index.json"] =
      "[" +
      site.entry("en", "it", "1.0",
                 site.link("/gone") + "," + site.link("/html") + "," + site.link("/other") + "," +
                     site.link("/cut") + "," + site.link("/good")) +
      "]";
  const fs::path path = fetch_argos({"en", "it"}, options(site, folder.path()));
  EXPECT_EQ(io::bytes_of(path), site.pages["/good"]);
  // All bad: the last one's fault is told and nothing is left.
  const io::TempFolder empty;
  site.pages.erase("/good");
  EXPECT_NE(refusal(
                [&] {
                  (void)fetch_argos({"en", "it"}, options(site, empty.path()));
                },
                ExitCode::kMissingInput),
            "accepted");
  EXPECT_THAT(empty.names(), ElementsAre("run.lock"));
}

TEST(ArgosFetch, WhatTheIndexLacksIsSaidWithAWayAround) {
  const io::TempFolder folder;
  Site site;
  site.pages["/index.json"] = "[" + site.entry("en", "es", "1.0", site.link("/a")) + "," +
                              site.entry("es", "it", "1.0", site.link("/b")) + "]";
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"en", "it"}, options(site, folder.path()));
                  },
                  ExitCode::kMissingInput),
              HasSubstr("nativo fetch argos:en-es argos:es-it"));
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"it", "en"}, options(site, folder.path()));
                  },
                  ExitCode::kMissingInput),
              HasSubstr("no package from \"it\" to \"en\""));
  site.pages["/index.json"] = "{}";
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"en", "it"}, options(site, folder.path()));
                  },
                  ExitCode::kData),
              HasSubstr("is no JSON list"));
  site.pages.clear();
  EXPECT_THAT(refusal(
                  [&] {
                    (void)fetch_argos({"en", "it"}, options(site, folder.path()));
                  },
                  ExitCode::kMissingInput),
              HasSubstr("404"));
}

TEST(ArgosFetch, AnIndexOverTlsLeadsToNothingElse) {
  const std::vector<IndexEntry> index = parse_argos_index(
      R"([{"from_code": "en", "to_code": "it", "links": ["http://a/p", "ftp://b", "ipfs://c", 5]}])",
      "index");
  ASSERT_EQ(index.size(), 1U);
  EXPECT_THAT(index[0].links, ElementsAre("http://a/p"));
  EXPECT_EQ(index[0].metadata.version, "1.0");
}

TEST(ArgosFetch, NamesAreChecked) {
  EXPECT_EQ(parse_argos_name("argos:en-it").to, "it");
  EXPECT_EQ(parse_argos_name("argos:en_it").from, "en");
  for (const char* name : {"en-it", "argos:en", "argos:-it", "argos:en-", "opus:en-it", ""}) {
    EXPECT_THAT(refusal([&] { (void)parse_argos_name(name); }, ExitCode::kUsage),
                HasSubstr("argos:FROM-TO"));
  }
}

}  // namespace
}  // namespace nativo::translate
