#include "net/wire/client_connection.h"

#include <sys/un.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "net/wire/signal.h"

namespace troupe::wire {

namespace {

using asio::ip::tcp;
using generic_endpoint = asio::generic::stream_protocol::endpoint;

struct lookup_state {
  explicit lookup_state(const executor& strand) : resolver(strand), done(strand) {}
  tcp::resolver resolver;
  signal done;
  error_code ec;
  std::vector<generic_endpoint> found;
};

// getaddrinfo cannot be interrupted: when it is late its answer is left to arrive into nothing.
asio::awaitable<std::vector<generic_endpoint>> resolve(const executor& strand, const endpoint& to,
                                                       time_point until, error_code& ec) {
  std::vector<generic_endpoint> found;
  auto address = asio::ip::make_address(to.host, ec);
  if (!ec) {
    found.emplace_back(tcp::endpoint(address, to.port));
    co_return found;
  }
  ec = {};
  auto state = std::make_shared<lookup_state>(strand);
  state->resolver.async_resolve(to.host, std::to_string(to.port), tcp::resolver::numeric_service,
                                [state](const error_code& e, tcp::resolver::results_type results) {
                                  state->ec = e;
                                  for (const auto& one : results) state->found.emplace_back(one.endpoint());
                                  state->done.raise();
                                });
  if (!co_await state->done.wait(until)) {
    ec = asio::error::timed_out;
    co_return found;
  }
  ec = state->ec;
  co_return state->found;
}

failure connect_failure(const endpoint& to, const error_code& ec) {
  auto text = "cannot connect to " + to.name() + ": " + ec.message();
  if (ec == asio::error::timed_out) return {fault::timed_out, text};
  if (ec == asio::error::connection_refused) text += "; nobody listens there: is the server running?";
  if (ec == boost::system::errc::no_such_file_or_directory)
    text += "; there is no such socket: is the server running?";
  return {fault::connect, text};
}

// Closes a socket at a deadline unless it is gone before.
class deadline_guard {
 public:
  deadline_guard(const std::shared_ptr<transport>& t, time_point until) : timer_(t->get_executor()) {
    if (until == time_point::max()) return;
    timer_.expires_at(until);
    timer_.async_wait([weak = std::weak_ptr(t), passed = passed_](const error_code& ec) {
      if (ec) return;
      *passed = true;
      if (auto late = weak.lock()) late->close();
    });
  }
  bool passed() const { return *passed_; }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> passed_ = std::make_shared<bool>(false);
};

asio::awaitable<std::optional<failure>> shake_hands(const std::shared_ptr<transport>& holder, tls_stream& tls,
                                                    const endpoint& to, time_point until) {
  error_code ignored;
  asio::ip::make_address(to.host, ignored);
  if (ignored) SSL_set_tlsext_host_name(tls.native_handle(), to.host.c_str());
  tls.set_verify_mode(asio::ssl::verify_peer);
  tls.set_verify_callback(asio::ssl::host_name_verification(to.host));
  deadline_guard guard(holder, until);
  error_code ec;
  co_await tls.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, ec));
  if (!ec) co_return std::nullopt;
  if (guard.passed())
    co_return failure{fault::timed_out, "the TLS handshake with " + to.name() + " took too long"};
  auto text = "the TLS handshake with " + to.name() + " failed: " + ec.message();
  if (auto verdict = SSL_get_verify_result(tls.native_handle()); verdict != X509_V_OK)
    text += std::string("; its certificate is not trusted: ") + X509_verify_cert_error_string(verdict);
  co_return failure{fault::tls, text};
}

}  // namespace

std::shared_ptr<asio::ssl::context> tls_contexts::get(const std::string& ca_file, std::string& error) {
  std::lock_guard lock(mutex_);
  auto& slot = contexts_[ca_file];
  if (slot) return slot;
  auto made = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(made->native_handle(), TLS1_2_VERSION);
  error_code ec;
  if (ca_file.empty()) {
    made->set_default_verify_paths(ec);
  } else {
    made->load_verify_file(ca_file, ec);
  }
  if (ec) {
    error = "cannot read the trusted certificates" + (ca_file.empty() ? "" : " in " + ca_file) + ": " +
            ec.message();
    return nullptr;
  }
  slot = std::move(made);
  return slot;
}

asio::awaitable<result<std::shared_ptr<connection>>> open_connection(executor strand, endpoint to,
                                                                     time_point until, tls_contexts& contexts,
                                                                     on_socket told) {
  error_code ec;
  std::vector<generic_endpoint> addresses;
  if (to.scheme == endpoint::kind::unix_socket) {
    if (to.path.empty() || to.path.size() >= sizeof(sockaddr_un::sun_path))
      co_return failure{fault::address, "cannot connect to " + to.name() + ": the path is empty or too long"};
    addresses.emplace_back(asio::local::stream_protocol::endpoint(to.path));
  } else {
    addresses = co_await resolve(strand, to, until, ec);
    if (ec) {
      auto kind = ec == asio::error::timed_out ? fault::timed_out : fault::address;
      co_return failure{kind, "cannot find the address of " + to.host + ": " + ec.message()};
    }
  }

  std::unique_ptr<tls_stream> tls;
  std::shared_ptr<asio::ssl::context> context;
  if (to.scheme == endpoint::kind::tls) {
    std::string error;
    context = contexts.get(to.ca_file, error);
    if (!context) co_return failure{fault::tls, error};
  }
  ec = asio::error::host_not_found;
  for (const auto& address : addresses) {
    auto made = std::make_shared<connection>();
    tls_stream* shaking = nullptr;
    if (context) {
      auto stream = std::make_unique<tls_stream>(stream_socket(strand), *context);
      shaking = stream.get();
      made->bytes = transport::tls(std::move(stream));
    } else {
      made->bytes = transport::plain(stream_socket(strand));
    }
    told(made->bytes);
    auto& socket = made->bytes->socket();
    socket.open(address.protocol(), ec);
    if (ec) continue;
    bool late = false;
    {
      deadline_guard guard(made->bytes, until);
      co_await socket.async_connect(address, asio::redirect_error(asio::use_awaitable, ec));
      late = guard.passed();
    }
    if (late) ec = asio::error::timed_out;
    if (late || ec == asio::error::operation_aborted) break;
    if (ec) continue;
    error_code ignored;
    if (to.scheme != endpoint::kind::unix_socket) socket.set_option(tcp::no_delay(true), ignored);
    if (shaking) {
      auto failed = co_await shake_hands(made->bytes, *shaking, to, until);
      if (failed) co_return std::move(*failed);
    }
    made->pool_key = pool_key_of(to);
    co_return made;
  }
  if (ec == asio::error::operation_aborted) co_return closed_by_us(to);
  co_return connect_failure(to, ec);
}

std::string pool_key_of(const endpoint& to) {
  return to.name() + " " + to.ca_file;
}

std::string host_field(const endpoint& to) {
  bool v6 = to.host.find(':') != std::string::npos;
  auto host = v6 ? "[" + to.host + "]" : to.host;
  bool usual = to.scheme == endpoint::kind::unix_socket ||
               (to.scheme == endpoint::kind::tcp && to.port == 80) ||
               (to.scheme == endpoint::kind::tls && to.port == 443);
  return usual ? host : host + ":" + std::to_string(to.port);
}

failure closed_by_us(const endpoint& to) {
  return {fault::closed, "the connection to " + to.name() + " was closed on this side"};
}

}  // namespace troupe::wire
