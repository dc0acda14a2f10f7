#include "net/wire/client.h"
#include "net/wire/text.h"

namespace troupe::wire {

endpoint endpoint::tcp(std::string host, std::uint16_t port) {
  endpoint e;
  e.scheme = kind::tcp;
  e.host = std::move(host);
  e.port = port;
  return e;
}

endpoint endpoint::tls(std::string host, std::uint16_t port) {
  auto e = tcp(std::move(host), port);
  e.scheme = kind::tls;
  return e;
}

endpoint endpoint::unix_file(std::string path) {
  endpoint e;
  e.scheme = kind::unix_socket;
  e.host = "localhost";
  e.path = std::move(path);
  return e;
}

result<endpoint> endpoint::parse(std::string_view url, std::string* prefix) {
  auto bad = [&](std::string_view why) {
    return failure{fault::address,
                   "'" + std::string(url) + "' is not an address of a server: " + std::string(why)};
  };
  if (prefix) prefix->clear();
  if (url.starts_with("unix:")) {
    auto path = url.substr(5);
    if (path.starts_with("//")) path.remove_prefix(2);
    if (!path.starts_with('/')) return bad("unix: needs an absolute path");
    return unix_file(std::string(path));
  }
  auto mark = url.find("://");
  if (mark == std::string_view::npos) return bad("it must begin with http://, https:// or unix:");
  auto scheme = lower(url.substr(0, mark));
  bool secure = scheme == "https" || scheme == "wss";
  if (!secure && scheme != "http" && scheme != "ws")
    return bad("it must begin with http://, https:// or unix:");
  auto rest = url.substr(mark + 3);
  auto slash = rest.find_first_of("/?#");
  auto authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  if (path.find_first_of("?#") != std::string_view::npos)
    return bad("it must not have a query or a fragment");
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!path.empty() && !prefix) return bad("it must not have a path");
  if (prefix) *prefix = path;
  if (authority.find('@') != std::string_view::npos)
    return bad("user names and passwords do not belong in it");
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    auto end = authority.find(']');
    if (end == std::string_view::npos) return bad("the bracket is not closed");
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':') return bad("after the bracket only a port may come");
  } else if (auto colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (host.empty()) return bad("the host is missing");
  std::int64_t number = secure ? 443 : 80;
  if (!port.empty()) {
    auto given = parse_integer(port.substr(1));
    if (!given || *given < 1 || *given > 65535) return bad("the port must be from 1 to 65535");
    number = *given;
  }
  auto e = tcp(std::string(host), static_cast<std::uint16_t>(number));
  if (secure) e.scheme = kind::tls;
  return e;
}

std::string endpoint::name() const {
  if (scheme == kind::unix_socket) return "unix:" + path;
  bool v6 = host.find(':') != std::string::npos;
  return (scheme == kind::tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

}  // namespace troupe::wire
