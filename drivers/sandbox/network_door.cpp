#include "drivers/sandbox/network_door.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <set>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>

namespace troupe::drivers {

namespace asio = wire::asio;
using asio::ip::tcp;
using local = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

std::vector<asio::ip::address> own_addresses() {
  std::vector<asio::ip::address> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) < 0) return out;
  for (auto* i = all; i; i = i->ifa_next) {
    if (!i->ifa_addr) continue;
    if (i->ifa_addr->sa_family == AF_INET) {
      const auto* a = reinterpret_cast<const sockaddr_in*>(i->ifa_addr);
      out.push_back(asio::ip::address_v4(ntohl(a->sin_addr.s_addr)));
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      asio::ip::address_v6::bytes_type bytes;
      memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(i->ifa_addr)->sin6_addr, bytes.size());
      out.push_back(asio::ip::address_v6(bytes));
    }
  }
  ::freeifaddrs(all);
  return out;
}

std::uint32_t peer_uid(local::socket& socket) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) return UINT32_MAX;
  return who.uid;
}

std::string status_text(int status, std::string_view words, const std::string& detail) {
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(words) +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
         std::to_string(detail.size() + 1) + "\r\n\r\n" + detail + "\n";
}

struct proxy_request {
  std::string method;
  host_port to;
  std::string head;  // what goes to the server instead of the request's head; empty for CONNECT
};

bool starts_without_case(std::string_view line, std::string_view name) {
  if (line.size() < name.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i)
    if ((line[i] | 0x20) != (name[i] | 0x20)) return false;
  return true;
}

// Nothing: not a request to a proxy.
std::optional<proxy_request> parse_head(std::string_view head) {
  const auto end = head.find("\r\n");
  const auto line = head.substr(0, end);
  const auto one = line.find(' '), two = line.rfind(' ');
  if (one == std::string_view::npos || two == one || line.substr(two + 1).substr(0, 7) != "HTTP/1.")
    return {};
  proxy_request out;
  out.method = line.substr(0, one);
  for (char c : out.method)
    if (c < 'A' || c > 'Z') return {};
  const auto target = line.substr(one + 1, two - one - 1);
  if (out.method == "CONNECT") {
    auto to = parse_host_port(target);
    if (!to) return {};
    out.to = *to;
    return out;
  }
  constexpr std::string_view scheme = "http://";
  if (!starts_without_case(target, scheme)) return {};
  const auto rest = target.substr(scheme.size());
  const auto slash = rest.find_first_of("/?");
  const auto authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) return {};
  auto to = parse_host_port(authority, std::uint16_t{80});
  if (!to) return {};
  out.to = *to;
  std::string path(slash == std::string_view::npos ? "/" : rest.substr(slash));
  if (path.front() == '?') path.insert(0, "/");
  out.head =
      out.method + " " + path + " HTTP/1.1\r\nHost: " + std::string(authority) + "\r\nConnection: close\r\n";
  for (std::size_t at = end + 2; at < head.size();) {
    const auto next = head.find("\r\n", at);
    const auto field = head.substr(at, next - at);
    at = next == std::string_view::npos ? head.size() : next + 2;
    if (field.empty()) break;
    // Hop-by-hop fields end here; the host is the one that was checked, not the one that the field claims.
    bool skip = field.front() == ' ' || field.front() == '\t';
    for (std::string_view name :
         {"host:", "connection:", "proxy-", "keep-alive:", "te:", "trailer:", "upgrade:"})
      skip = skip || starts_without_case(field, name);
    if (!skip) out.head += std::string(field) + "\r\n";
  }
  out.head += "\r\n";
  return out;
}

// Ends a tunnel in which nothing moves.
struct tunnel_watch {
  explicit tunnel_watch(const wire::executor& ex) : timer(ex) {}
  asio::steady_timer timer;
  wire::time_point last = wire::clock::now();
};

}  // namespace

struct network_door::impl : std::enable_shared_from_this<impl> {
  impl(const wire::executor& e, door_options o) : ex(asio::make_strand(e)), options(std::move(o)) {}

  wire::executor ex;  // a strand: everything below runs on it
  door_options options;
  bool closed = false;
  std::vector<std::unique_ptr<local::acceptor>> acceptors;
  // Of each connection in progress, to cut it.
  std::set<std::shared_ptr<std::function<void()>>> open;

  attempt<bool> listen(const std::string& name, std::optional<door_forward> forward) {
    // Through the folder's descriptor, because a unix path has 107 bytes at most and data folders may be
    // deep.
    const int folder = ::open(options.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return transport("opening " + options.folder.string() + ": " + strerror(errno));
    ::unlinkat(folder, name.c_str(), 0);
    const auto path = "/proc/self/fd/" + std::to_string(folder) + "/" + name;
    error_code ec;
    auto acceptor = std::make_unique<local::acceptor>(ex);
    acceptor->open(local(), ec);
    if (!ec) acceptor->bind(local::endpoint(path), ec);
    if (!ec) acceptor->listen(64, ec);
    if (!ec &&
        (::fchmodat(folder, name.c_str(), 0600, 0) < 0 ||
         (::geteuid() == 0 && ::fchownat(folder, name.c_str(), options.peer_uid, options.peer_uid, 0) < 0)))
      ec = error_code(errno, boost::system::system_category());
    ::close(folder);
    if (ec) return transport("listening on " + (options.folder / name).string() + ": " + ec.message());
    auto* raw = acceptor.get();
    acceptors.push_back(std::move(acceptor));
    asio::co_spawn(
        ex, [self = shared_from_this(), raw, forward] { return self->accept(*raw, forward); },
        asio::detached);
    return true;
  }

  asio::awaitable<void> accept(local::acceptor& from, std::optional<door_forward> forward) {
    auto self = shared_from_this();
    while (!closed) {
      error_code ec;
      local::socket socket = co_await from.async_accept(asio::redirect_error(asio::use_awaitable, ec));
      if (closed || ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) break;
      if (ec) {  // out of descriptors: not for ever
        asio::steady_timer pause(ex, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        continue;
      }
      if (peer_uid(socket) != options.peer_uid || open.size() >= door_connections) continue;
      auto shared = std::make_shared<local::socket>(std::move(socket));
      asio::co_spawn(
          ex, [self, shared, forward] { return self->serve(shared, forward); }, asio::detached);
    }
  }

  asio::awaitable<void> serve(std::shared_ptr<local::socket> inner, std::optional<door_forward> forward) {
    auto self = shared_from_this();
    auto outer = std::make_shared<tcp::socket>(ex);
    auto deadline = std::make_shared<asio::steady_timer>(ex);
    auto cut = std::make_shared<std::function<void()>>([inner, outer, deadline] {
      error_code ignored;
      inner->close(ignored);
      outer->close(ignored);
      deadline->cancel();
    });
    open.insert(cut);
    egress_record record;
    co_await converse(*inner, *outer, *deadline, cut, forward, record);
    (*cut)();
    open.erase(cut);
    if (!record.method.empty() && options.ledger) options.ledger(record);
  }

  void arm(asio::steady_timer& timer, wire::clock::duration limit, std::weak_ptr<std::function<void()>> cut) {
    timer.expires_after(limit);
    timer.async_wait([cut](const error_code& ec) {
      if (ec) return;
      if (auto f = cut.lock()) (*f)();
    });
  }

  asio::awaitable<void> converse(local::socket& inner, tcp::socket& outer, asio::steady_timer& deadline,
                                 std::shared_ptr<std::function<void()>> cut,
                                 std::optional<door_forward> forward, egress_record& record) {
    error_code ec;
    std::string buffer;
    proxy_request request;
    if (forward) {
      request.method = "FORWARD";
      request.to = forward->to;
    } else {
      arm(deadline, proxy_header_limit, cut);
      const std::size_t size =
          co_await asio::async_read_until(inner, asio::dynamic_buffer(buffer, proxy_header_bytes), "\r\n\r\n",
                                          asio::redirect_error(asio::use_awaitable, ec));
      deadline.cancel();
      if (ec == asio::error::not_found) {
        co_await say(inner,
                     status_text(431, "Request Header Fields Too Large", "the proxy takes 16 KiB of head"));
        co_return;
      }
      if (ec) co_return;
      auto parsed = parse_head(std::string_view(buffer).substr(0, size));
      if (!parsed) {
        co_await say(inner, status_text(400, "Bad Request",
                                        "this is an HTTP proxy: CONNECT host:port or GET http://…"));
        co_return;
      }
      request = std::move(*parsed);
      buffer.erase(0, size);
    }
    record.method = request.method;
    record.host = request.to.host;
    record.port = request.to.port;
    if (!forward) {
      if (record.why = options.rule.refuses(request.to.host, request.to.port); !record.why.empty()) {
        co_await say(inner,
                     status_text(403, "Forbidden", "refused by the sandbox's network rule: " + record.why));
        co_return;
      }
    }
    arm(deadline, proxy_connect_limit, cut);
    tcp::resolver resolver(ex);
    const auto found = co_await resolver.async_resolve(request.to.host, std::to_string(request.to.port),
                                                       asio::redirect_error(asio::use_awaitable, ec));
    if (ec) {
      record.why = "resolving " + request.to.host + ": " + ec.message();
      co_await say(inner, status_text(502, "Bad Gateway", record.why));
      co_return;
    }
    const auto own = own_addresses();
    bool connected = false;
    for (const auto& item : found) {
      const auto endpoint = item.endpoint();
      if (!forward) {
        const auto why = options.rule.refuses(request.to.host, request.to.port, endpoint.address(), own);
        if (!why.empty()) {
          if (record.why.empty()) record.why = why;
          continue;
        }
      }
      record.allowed = true;
      error_code closing;
      outer.close(closing);
      co_await outer.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, ec));
      if (!ec) {
        record.address = endpoint.address().to_string();
        record.why.clear();
        connected = true;
        break;
      }
      record.why = "connecting to " + endpoint.address().to_string() + ": " + ec.message();
    }
    deadline.cancel();
    if (!connected) {
      if (record.allowed)
        co_await say(inner, status_text(502, "Bad Gateway", record.why));
      else
        co_await say(inner,
                     status_text(403, "Forbidden", "refused by the sandbox's network rule: " + record.why));
      co_return;
    }
    if (request.method == "CONNECT") co_await say(inner, "HTTP/1.1 200 Connection established\r\n\r\n");
    const std::string first = request.head + buffer;
    if (!first.empty()) {
      co_await asio::async_write(outer, asio::buffer(first), asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return;
      record.bytes_out += first.size();
    }
    auto watch = std::make_shared<tunnel_watch>(ex);
    auto done = std::make_shared<int>(0);
    asio::co_spawn(ex, watch_idle(watch, cut), asio::detached);
    auto bell = std::make_shared<asio::steady_timer>(ex, wire::time_point::max());
    asio::co_spawn(
        ex,
        [self = shared_from_this(), &inner, &outer, &record, watch, done, bell]() -> asio::awaitable<void> {
          // Named: a lambda's captures end with the lambda, the coroutine's frame must not depend on them.
          auto keep = self;
          auto ring = bell;
          auto count = done;
          co_await keep->pump(inner, outer, record.bytes_out, watch);
          ++*count;
          ring->cancel();
        },
        asio::detached);
    co_await pump(outer, inner, record.bytes_in, watch);
    while (*done == 0) {
      // The half that is left may go on for as long as bytes move: the watch ends what does not.
      co_await bell->async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
    watch->timer.cancel();
    watch->last = wire::time_point::max();
  }

  asio::awaitable<void> watch_idle(std::shared_ptr<tunnel_watch> watch,
                                   std::weak_ptr<std::function<void()>> cut) {
    while (watch->last != wire::time_point::max()) {
      const auto left = watch->last + tunnel_idle_limit - wire::clock::now();
      if (left <= wire::clock::duration::zero()) {
        if (auto f = cut.lock()) (*f)();
        co_return;
      }
      watch->timer.expires_after(left);
      error_code ec;
      co_await watch->timer.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
  }

  template <class From, class To>
  asio::awaitable<void> pump(From& from, To& to, std::uint64_t& count, std::shared_ptr<tunnel_watch> watch) {
    auto bytes = std::make_unique<std::array<char, 32 * 1024>>();
    error_code ec;
    for (;;) {
      const std::size_t n =
          co_await from.async_read_some(asio::buffer(*bytes), asio::redirect_error(asio::use_awaitable, ec));
      if (ec) break;
      watch->last = wire::clock::now();
      co_await asio::async_write(to, asio::buffer(bytes->data(), n),
                                 asio::redirect_error(asio::use_awaitable, ec));
      if (ec) break;
      count += n;
    }
    error_code ignored;
    if (ec == asio::error::eof) {
      to.shutdown(boost::asio::socket_base::shutdown_send, ignored);
    } else {
      // A broken side ends both: the other pump would wait for a peer that has nobody to talk to.
      from.close(ignored);
      to.close(ignored);
    }
  }

  asio::awaitable<void> say(local::socket& to, std::string text) {
    error_code ec;
    co_await asio::async_write(to, asio::buffer(text), asio::redirect_error(asio::use_awaitable, ec));
  }

  void close() {
    if (closed) return;
    closed = true;
    error_code ignored;
    for (auto& acceptor : acceptors) acceptor->close(ignored);
    for (const auto& cut : std::set(open)) (*cut)();
  }
};

attempt<std::shared_ptr<network_door>> network_door::open(wire::executor ex, door_options options) {
  if (::mkdir(options.folder.c_str(), 0755) < 0 && errno != EEXIST)
    return transport("making " + options.folder.string() + ": " + strerror(errno));
  auto made = std::make_shared<impl>(ex, std::move(options));
  std::shared_ptr<network_door> out(new network_door(made));
  if (auto proxy = made->listen("proxy.sock", {}); !proxy) return proxy.error();
  for (const auto& forward : made->options.forwards)
    if (auto one = made->listen(forward.socket, forward); !one) return one.error();
  return out;
}

network_door::~network_door() {
  close();
}

void network_door::close() {
  asio::post(impl_->ex, [i = impl_] { i->close(); });
}

}  // namespace troupe::drivers
