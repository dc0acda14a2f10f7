#include "net/wire/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>

#include "net/wire/session.h"

namespace troupe::wire {

namespace {

using asio::ip::tcp;
using unix_protocol = asio::local::stream_protocol;

// After a failed accept (no descriptors left, most likely) a pause, so that the loop does not spin.
constexpr auto accept_pause = std::chrono::milliseconds(100);
// What a handler that goes on after its connection was cut may still take before stop() gives up waiting for
// it.
constexpr auto abandon_after = std::chrono::seconds(30);

peer peer_of(const tcp::socket& s) {
  peer who;
  error_code ec;
  auto end = s.remote_endpoint(ec);
  if (ec) return who;
  auto address = end.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  who.loopback = address.is_loopback();
  who.address = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  who.address += ":" + std::to_string(end.port());
  return who;
}

peer peer_of(unix_protocol::socket& s) {
  peer who;
  who.address = "unix";
  who.loopback = true;
  who.unix_socket = true;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(s.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    who.uid = credentials.uid;
    who.gid = credentials.gid;
    who.pid = credentials.pid;
  }
  return who;
}

void tune(tcp::socket& s) {
  error_code ignored;
  s.set_option(tcp::no_delay(true), ignored);
}

void tune(unix_protocol::socket&) {}

std::string shown(const std::string& host, std::uint16_t port) {
  bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

failure cannot_listen(const std::string& address, const error_code& ec) {
  std::string text = "cannot listen on " + address + ": " + ec.message();
  if (ec == asio::error::address_in_use)
    text += "; another program listens there: end it, or choose another address";
  if (ec == asio::error::access_denied)
    text +=
        "; this user may not: ports below 1024 need root, a socket file needs a folder that can be written";
  if (ec.value() == EADDRNOTAVAIL) text += "; this machine has no such address";
  return {fault::address, text};
}

}  // namespace

struct server::impl : std::enable_shared_from_this<server::impl> {
  impl(executor e, service what, server_options options)
      : ex(std::move(e)),
        control(asio::make_strand(ex)),
        context(std::make_shared<session_context>()),
        drained(control) {
    context->what = std::move(what);
    context->options = std::move(options);
  }

  template <class Acceptor>
  void accept_on(std::shared_ptr<Acceptor> acceptor, std::shared_ptr<securing> proof = {}) {
    if (context->stopping) return;
    closers.push_back([acceptor] {
      error_code ignored;
      acceptor->close(ignored);
    });
    asio::co_spawn(
        control, [self = shared_from_this(), acceptor, proof] { return self->accept_loop(acceptor, proof); },
        asio::detached);
  }

  template <class Acceptor>
  asio::awaitable<void> accept_loop(std::shared_ptr<Acceptor> acceptor, std::shared_ptr<securing> proof) {
    using socket_type = typename Acceptor::protocol_type::socket;
    while (!context->stopping && acceptor->is_open()) {
      socket_type s{next_strand()};
      error_code ec;
      co_await acceptor->async_accept(s, asio::redirect_error(asio::use_awaitable, ec));
      if (!acceptor->is_open() || ec == asio::error::operation_aborted) break;
      if (ec == asio::error::connection_aborted) continue;
      if (ec) {
        context->fault("accept", ec.message());
        asio::steady_timer pause(control, accept_pause);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        continue;
      }
      begin(std::move(s), proof.get());
    }
  }

  executor next_strand() {
    const auto& shared = context->options.strands;
    return shared.empty() ? executor(asio::make_strand(ex)) : shared[accepted++ % shared.size()];
  }

  template <class Socket>
  void begin(Socket s, securing* proof) {
    std::lock_guard lock(mutex);
    if (context->stopping) return;
    if (sessions.size() >= context->options.connections) {
      if (!proof) turn_away(s);
      return;
    }
    tune(s);
    auto who = peer_of(s);
    who.secure = proof != nullptr;
    stream_socket bytes(std::move(s));
    auto one = std::make_shared<session>(
        context, proof ? proof->secure(std::move(bytes)) : transport::plain(std::move(bytes)),
        std::move(who));
    sessions.emplace(one.get(), one);
    asio::co_spawn(
        one->get_executor(), [one] { return one->run(); },
        [self = shared_from_this(), one](std::exception_ptr thrown) {
          if (thrown) self->context->fault(one->where(), "the connection ended with an exception");
          self->end(one.get());
        });
  }

  // One short write that never waits: what does not fit a fresh socket's buffer is not worth a wait.
  template <class Socket>
  void turn_away(Socket& s) {
    auto answer =
        context->refusal(503, "too_many_connections", "the server has no room for another connection");
    std::string text = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n";
    for (const auto& [name, value] : answer.headers) append_field(text, name, value);
    append_field(text, "Content-Length", std::to_string(answer.bytes().size()));
    text += "\r\n";
    text += answer.bytes();
    (void)!::send(s.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(s.native_handle(), SHUT_WR);
  }

  void end(session* one) {
    std::lock_guard lock(mutex);
    sessions.erase(one);
    if (sessions.empty()) asio::post(control, [self = shared_from_this()] { self->drained.cancel(); });
  }

  std::vector<std::shared_ptr<session>> all() {
    std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<session>> list;
    for (auto& [key, weak] : sessions)
      if (auto one = weak.lock()) list.push_back(std::move(one));
    return list;
  }

  bool empty() {
    std::lock_guard lock(mutex);
    return sessions.empty();
  }

  void begin_stop() {
    {
      std::lock_guard lock(mutex);
      context->stopping = true;
    }
    for (auto& close : closers) close();
    closers.clear();
    for (auto& path : socket_files) ::unlink(path.c_str());
    socket_files.clear();
    for (auto& one : all()) asio::post(one->get_executor(), [one] { one->begin_stop(); });
  }

  void cut_all() {
    for (auto& one : all()) asio::post(one->get_executor(), [one] { one->cut(); });
  }

  asio::awaitable<void> wait_until_drained(time_point until) {
    while (!empty() && clock::now() < until) {
      drained.expires_at(until);
      // Checked again: the last session may have ended before the timer was set.
      if (empty()) break;
      error_code ignored;
      co_await drained.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  asio::awaitable<void> stop(clock::duration limit) {
    begin_stop();
    co_await wait_until_drained(clock::now() + limit);
    cut_all();
    co_await wait_until_drained(clock::now() + abandon_after);
    for (auto& one : all())
      context->fault("stop", "a handler goes on after its connection was cut: " + one->where());
  }

  executor ex;
  executor control;  // a strand: accepting and stopping
  std::shared_ptr<session_context> context;
  asio::steady_timer drained;
  std::size_t accepted = 0;                    // on `control`
  std::vector<std::function<void()>> closers;  // on `control`, or before anything runs there
  std::vector<std::string> socket_files;
  std::mutex mutex;  // guards sessions; held for moments only
  std::unordered_map<session*, std::weak_ptr<session>> sessions;
};

server::server(executor ex, service what, server_options options)
    : impl_(std::make_shared<impl>(std::move(ex), std::move(what), std::move(options))) {}

server::server(executor ex, handler what, server_options options)
    : server(std::move(ex), service{std::move(what)}, std::move(options)) {}

server::~server() {
  asio::post(impl_->control, [i = impl_] {
    i->begin_stop();
    i->cut_all();
  });
}

result<bound_address> server::listen(const std::string& host, std::uint16_t port,
                                     std::shared_ptr<certificate> proof) {
  auto name = shown(host, port);
  error_code ec;
  tcp::resolver resolver(impl_->ex);
  auto found = resolver.resolve(host, std::to_string(port),
                                tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty()) return failure{fault::address, "cannot listen on " + name + ": " + ec.message()};
  auto end = found.begin()->endpoint();
  auto acceptor = std::make_shared<tcp::acceptor>(impl_->control);
  acceptor->open(end.protocol(), ec);
  if (!ec) acceptor->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor->bind(end, ec);
  if (!ec) acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return cannot_listen(name, ec);
  bound_address bound{end.address().to_string(), acceptor->local_endpoint(ec).port()};
  asio::post(impl_->control,
             [i = impl_, acceptor, with = std::static_pointer_cast<securing>(std::move(proof))] {
               i->accept_on(acceptor, with);
             });
  return bound;
}

result<std::string> server::listen_unix(const std::string& path, unsigned mode) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
    return failure{fault::address, "cannot listen on unix:" + path + ": the path must have 1 to " +
                                       std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes"};
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode))
      return failure{fault::address, "cannot listen on unix:" + path + ": a file that is no socket is there"};
    error_code ec;
    asio::io_context probe;
    unix_protocol::socket s(probe);
    s.connect(unix_protocol::endpoint(path), ec);
    if (ec != asio::error::connection_refused)
      return cannot_listen("unix:" + path, asio::error::address_in_use);
    ::unlink(path.c_str());
  }
  error_code ec;
  unix_protocol::endpoint end(path);
  auto acceptor = std::make_shared<unix_protocol::acceptor>(impl_->control);
  acceptor->open(end.protocol(), ec);
  if (!ec) acceptor->bind(end, ec);
  // Nobody can connect between bind and listen, so the file never has another mode than the stated one.
  if (!ec && ::chmod(path.c_str(), mode) != 0) ec.assign(errno, boost::system::system_category());
  if (!ec) acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return cannot_listen("unix:" + path, ec);
  asio::post(impl_->control, [i = impl_, acceptor, path] {
    if (i->context->stopping) {
      ::unlink(path.c_str());
      return;
    }
    i->socket_files.push_back(path);
    i->accept_on(acceptor);
  });
  return path;
}

asio::awaitable<void> server::stop(clock::duration limit) {
  auto i = impl_;
  auto work = [i, limit] { return i->stop(limit); };
  co_await asio::co_spawn(i->control, work, asio::use_awaitable);
}

std::size_t server::connections() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->sessions.size();
}

std::uint64_t server::requests() const {
  return impl_->context->requests;
}

}  // namespace troupe::wire
