#include <openssl/ssl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "tests/wire/loop.h"
#include "tests/wire/tls_kit.h"

using namespace troupe::wire;
using namespace troupe::wire::testing;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> greet(exchange& ex) {
  auto answer = response::text(200, "hello");
  co_await ex.reply(std::move(answer));
}

}  // namespace

TEST_CASE("a server with a certificate speaks TLS, its requests know it, and so do its websockets") {
  certificate_files named("127.0.0.1");
  auto proof = certificate::load(named.certificate(), named.key());
  REQUIRE(proof);
  served s([](exchange& ex) -> asio::awaitable<void> {
    if (!ex.upgrade_requested()) {
      auto answer = response::text(200, ex.request().peer.secure ? "secure" : "plain");
      co_await ex.reply(std::move(answer));
      co_return;
    }
    websocket_options options;
    auto socket = co_await ex.upgrade(options);
    while (auto message = co_await socket->read()) socket->send(message->data);
  });
  auto bound = s.server->listen("127.0.0.1", 0, proof.value());
  REQUIRE(bound);
  auto to = endpoint::tls("127.0.0.1", bound->port);
  to.ca_file = named.certificate();
  blocking_client c;
  const auto body = [&](const endpoint& at) {
    return std::string(c.fetch(at, request(), 5s).value().bytes());
  };
  CHECK(body(to) == "secure");
  CHECK(body(s.at()) == "plain");

  loop mine;
  const auto echoed = mine.run([](loop& l, endpoint at) -> asio::awaitable<std::string> {
    client over_tls(l.get_executor());
    websocket_options options;
    auto socket =
        co_await over_tls.connect_websocket(at, "/", options, troupe::wire::clock::now() + patience);
    std::string large(300'000, 'x');
    if (!socket || !socket->send(large)) co_return std::string();
    auto back = co_await socket->read();
    co_return back ? back->data : std::string();
  }(mine, to));
  CHECK(echoed == std::string(300'000, 'x'));

  // Somebody who speaks no TLS is not answered.
  raw_socket plain(bound->port);
  plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(plain.read_to_end().find("HTTP/1.1 200") == std::string::npos);
}

TEST_CASE("a certificate is read again for connections from then on, and kept when the new one is none") {
  certificate_files named("127.0.0.1"), other("127.0.0.1");
  auto proof = certificate::load(named.certificate(), named.key());
  REQUIRE(proof);
  served s(greet);
  auto bound = s.server->listen("127.0.0.1", 0, proof.value());
  REQUIRE(bound);
  const auto trusted_by = [&](const std::string& ca) {
    auto to = endpoint::tls("127.0.0.1", bound->port);
    to.ca_file = ca;
    return bool(blocking_client().fetch(to, request(), 5s));
  };
  CHECK(trusted_by(named.certificate()));
  const auto before = (std::filesystem::path(named.certificate()).parent_path() / "before.pem").string();
  std::filesystem::copy_file(named.certificate(), before);
  std::ofstream(named.certificate()) << "not a certificate";
  auto wrong = proof.value()->reload();
  REQUIRE(wrong);
  CHECK(wrong->text.find(named.certificate()) != std::string::npos);
  CHECK(trusted_by(before));
  constexpr auto over = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(other.certificate(), named.certificate(), over);
  std::filesystem::copy_file(other.key(), named.key(), over);
  CHECK(!proof.value()->reload());
  CHECK(trusted_by(other.certificate()));
  CHECK(!trusted_by(before));
}

TEST_CASE("a key that others may read, or that is not the certificate's, is refused") {
  certificate_files named("127.0.0.1"), other("127.0.0.1");
  CHECK(!certificate::load(named.certificate(), other.key()));
  CHECK(!certificate::load("/nonexistent.pem", named.key()));
  CHECK(!certificate::load(named.certificate(), "/nonexistent.pem"));
  ::chmod(named.key().c_str(), 0644);
  const auto readable = certificate::load(named.certificate(), named.key());
  REQUIRE(!readable);
  CHECK(readable.error().text.find("chmod 600") != std::string::npos);
}

TEST_CASE("TLS older than 1.2 is not spoken") {
  certificate_files named("127.0.0.1");
  auto proof = certificate::load(named.certificate(), named.key());
  REQUIRE(proof);
  served s(greet);
  auto bound = s.server->listen("127.0.0.1", 0, proof.value());
  REQUIRE(bound);
  const auto shakes_hands = [&](int version) {
    auto* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    raw_socket socket(bound->port);
    auto* ssl = SSL_new(context);
    SSL_set_fd(ssl, socket.fd());
    const bool done = SSL_connect(ssl) == 1;
    SSL_free(ssl);
    SSL_CTX_free(context);
    return done;
  };
  CHECK(!shakes_hands(TLS1_1_VERSION));
  CHECK(shakes_hands(TLS1_2_VERSION));
  CHECK(shakes_hands(TLS1_3_VERSION));
}
