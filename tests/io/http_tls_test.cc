// TLS: certificates are checked, https never becomes http, connections are used again.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <memory>
#include <string>

#include "io/http.h"
#include "io/loopback_server.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* thing) const {
    kFree(thing);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

/// Signed by itself, for `host` (an IP address), valid from yesterday to `days` from now.
Certificate certificate_for(const std::string& host, EVP_PKEY* key, int days) {
  Certificate made(X509_new());
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -86400 * 3);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86400L * days);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(made.get(), name);
  X509_EXTENSION* const names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("IP:" + host).c_str());
  X509_add_ext(made.get(), names, -1);
  X509_EXTENSION_free(names);
  X509_sign(made.get(), key, EVP_sha256());
  return made;
}

/// Speaks TLS on 127.0.0.1; answers each request with `answer`.
class TlsServer {
 public:
  TlsServer(const std::string& host, int days, std::string answer)
      : key_(EVP_EC_gen("P-256")),
        certificate_(certificate_for(host, key_.get(), days)),
        context_(SSL_CTX_new(TLS_server_method())),
        server_([this, answer = std::move(answer)](LoopbackServer::Peer& peer) {
          std::unique_ptr<SSL, Free<SSL_free>> tls(SSL_new(context_.get()));
          SSL_set_fd(tls.get(), peer.socket());
          if (SSL_accept(tls.get()) != 1) return;
          std::string seen(65536, '\0');
          while (SSL_read(tls.get(), seen.data(), static_cast<int>(seen.size())) > 0) {
            SSL_write(tls.get(), answer.data(), static_cast<int>(answer.size()));
          }
        }) {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does: TLS has no flag against it
    SSL_CTX_use_certificate(context_.get(), certificate_.get());
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
  }

  [[nodiscard]] std::string url() const {
    return "https://127.0.0.1:" + std::to_string(server_.port()) + "/";
  }
  [[nodiscard]] std::size_t connections() const { return server_.connections(); }
  void write_certificate(const std::filesystem::path& path) const {
    std::unique_ptr<BIO, Free<BIO_free>> file(BIO_new_file(path.c_str(), "w"));
    PEM_write_bio_X509(file.get(), certificate_.get());
  }

 private:
  Key key_;
  Certificate certificate_;
  Context context_;
  LoopbackServer server_;
};

HttpResponse fetch(HttpClient& client, const std::string& url) {
  HttpRequest request;
  request.url = url;
  request.timeouts.total = 10;
  return client.fetch(std::move(request));
}

TEST(HttpTls, TrustsWhoItIsToldToTrustAndNobodyElse) {
  const TempFolder folder;
  const std::string ca = folder / "ca.pem";
  const TlsServer server("127.0.0.1", 9, http_answer(200, "safe"));
  server.write_certificate(ca);
  HttpClient stranger;
  const HttpResponse refused = fetch(stranger, server.url());
  EXPECT_EQ(refused.failure, HttpFailure::kTls) << refused.message;
  EXPECT_EQ(refused.body, "");

  HttpSettings trusting;
  trusting.ca_file = ca;
  HttpClient friendly(trusting);
  const std::size_t before = server.connections();
  for (int i = 0; i < 3; ++i) {
    const HttpResponse response = fetch(friendly, server.url());
    EXPECT_EQ(response.body, "safe") << response.message;
  }
  // What TLS itself says behind the handshake is not taken for a stale answer.
  EXPECT_EQ(server.connections(), before + 1);
}

TEST(HttpTls, AnotherNameOrAnOldCertificateIsRefused) {
  const TempFolder folder;
  for (const auto& [host, days] : {std::pair("127.0.0.2", 9), std::pair("127.0.0.1", -1)}) {
    const TlsServer server(host, days, http_answer(200, "unsafe"));
    HttpSettings settings;
    settings.ca_file = folder / "ca.pem";
    server.write_certificate(settings.ca_file);
    HttpClient client(settings);
    EXPECT_EQ(fetch(client, server.url()).failure, HttpFailure::kTls) << host << ' ' << days;
  }
}

TEST(HttpTls, NeverBecomesPlain) {
  const TempFolder folder;
  LoopbackServer plain(
      LoopbackServer::answering([](const SeenRequest&) { return http_answer(200, "plain"); }));
  const TlsServer server(
      "127.0.0.1", 9, http_answer(302, "", "text/plain", "Location: " + plain.url("/") + "\r\n"));
  HttpSettings settings;
  settings.ca_file = folder / "ca.pem";
  server.write_certificate(settings.ca_file);
  HttpClient client(settings);
  EXPECT_EQ(fetch(client, server.url()).failure, HttpFailure::kRedirect);
  EXPECT_TRUE(plain.seen().empty());
}

}  // namespace
}  // namespace nativo::io
