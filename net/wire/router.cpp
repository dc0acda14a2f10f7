#include "net/wire/router.h"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace troupe::wire {

namespace {

struct segment {
  enum class kind { literal, one, rest };
  kind what;
  std::string text;  // the literal, or the parameter's name
};

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

std::vector<segment> parse_pattern(std::string_view pattern) {
  auto bad = [&](const char* why) {
    return std::invalid_argument("route pattern '" + std::string(pattern) + "': " + why);
  };
  if (!pattern.starts_with('/')) throw bad("must begin with /");
  std::vector<segment> out;
  std::set<std::string> names;
  int rests = 0;
  for (auto part : split_path(pattern)) {
    if (!part.starts_with('{')) {
      if (part.find_first_of("{}") != std::string_view::npos) throw bad("a parameter takes a whole segment");
      out.push_back({segment::kind::literal, std::string(part)});
      continue;
    }
    if (!part.ends_with('}')) throw bad("a parameter takes a whole segment");
    auto name = part.substr(1, part.size() - 2);
    bool rest = name.ends_with("...");
    if (rest) name.remove_suffix(3);
    if (name.empty() || !names.emplace(name).second) throw bad("each parameter needs a name of its own");
    if (rest && ++rests > 1) throw bad("one {name...} at most");
    out.push_back({rest ? segment::kind::rest : segment::kind::one, std::string(name)});
  }
  return out;
}

using captures = std::vector<std::pair<std::string_view, std::string>>;  // name, encoded text

// With one {rest...} at most its length is known from the number of segments: no search.
bool match(const std::vector<segment>& pattern, const std::vector<std::string_view>& parts, captures& out) {
  out.clear();
  bool has_rest = std::any_of(pattern.begin(), pattern.end(),
                              [](const segment& s) { return s.what == segment::kind::rest; });
  if (has_rest ? parts.size() < pattern.size() : parts.size() != pattern.size()) return false;
  std::size_t spare = parts.size() - pattern.size();
  std::size_t at = 0;
  for (const auto& s : pattern) {
    switch (s.what) {
      case segment::kind::literal:
        if (parts[at++] != s.text) return false;
        break;
      case segment::kind::one:
        if (parts[at].empty()) return false;
        out.emplace_back(s.text, std::string(parts[at++]));
        break;
      case segment::kind::rest: {
        std::string joined(parts[at++]);
        for (std::size_t i = 0; i < spare; ++i) {
          joined += '/';
          joined += parts[at++];
        }
        if (joined.empty()) return false;
        out.emplace_back(s.text, std::move(joined));
        break;
      }
    }
  }
  return true;
}

// How much literal text stands before the first parameter; more of it goes first.
std::size_t literal_prefix(const std::vector<segment>& pattern) {
  std::size_t length = 0;
  for (const auto& s : pattern) {
    if (s.what != segment::kind::literal) return length;
    length += s.text.size() + 1;
  }
  return static_cast<std::size_t>(-1);
}

struct route {
  std::string method;
  std::vector<segment> pattern;
  handler run;
  route_options options;
  std::size_t rank;
  std::string text;  // the pattern as it was given
};

}  // namespace

struct router::impl {
  std::vector<route> routes;  // by rank, then in the order of adding
  handler unknown;
  router::wrong_method wrong;
  std::function<asio::awaitable<bool>(exchange&)> check;

  const route* find(const wire::request& r, captures& out, std::set<std::string>* allowed) const {
    auto encoded = std::string_view(r.target).substr(0, r.target.find('?'));
    auto parts = split_path(encoded);
    for (const auto& one : routes) {
      if (!match(one.pattern, parts, out)) continue;
      if (one.method == r.method || (r.method == "HEAD" && one.method == "GET")) return &one;
      if (allowed) allowed->insert(one.method);
    }
    return nullptr;
  }

  asio::awaitable<void> handle(exchange& ex) const {
    captures found;
    std::set<std::string> methods;
    const auto* one = find(ex.request(), found, &methods);
    if (one) {
      for (auto& [name, text] : found) {
        // The whole path was decoded before, so this cannot fail.
        ex.set_param(std::string(name), percent_decode(text).value_or(std::string()));
      }
      if (check && !co_await check(ex)) co_return;
      co_await one->run(ex);
    } else if (!methods.empty()) {
      if (methods.contains("GET")) methods.insert("HEAD");
      std::vector<std::string> allowed(methods.begin(), methods.end());
      co_await wrong(ex, allowed);
    } else {
      co_await unknown(ex);
    }
  }
};

router::router() : impl_(std::make_shared<impl>()) {
  impl_->unknown = [](exchange& ex) -> asio::awaitable<void> {
    problem p;
    p.status = 404;
    p.code = "not_found";
    p.detail = "nothing is at " + ex.request().path;
    co_await ex.reply(p.to_response());
  };
  impl_->wrong = [](exchange& ex, const std::vector<std::string>& allowed) -> asio::awaitable<void> {
    std::string list;
    for (const auto& method : allowed) {
      if (!list.empty()) list += ", ";
      list += method;
    }
    problem p;
    p.status = 405;
    p.code = "method_not_allowed";
    p.detail = ex.request().path + " takes " + list;
    auto answer = p.to_response();
    answer.headers.add("Allow", list);
    co_await ex.reply(std::move(answer));
  };
}

router::~router() = default;
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;

void router::on(std::string_view method, std::string_view pattern, handler h, route_options options) {
  auto parsed = parse_pattern(pattern);
  auto rank = literal_prefix(parsed);
  route one{std::string(method), std::move(parsed), std::move(h), options, rank, std::string(pattern)};
  auto& routes = impl_->routes;
  auto place = std::find_if(routes.begin(), routes.end(), [&](const route& r) { return r.rank < rank; });
  routes.insert(place, std::move(one));
}

std::vector<std::pair<std::string, std::string>> router::routes() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& one : impl_->routes) all.emplace_back(one.method, one.text);
  return all;
}

void router::on_unknown(handler h) {
  impl_->unknown = std::move(h);
}
void router::on_wrong_method(wrong_method h) {
  impl_->wrong = std::move(h);
}

void router::before(std::function<asio::awaitable<bool>(exchange&)> check) {
  impl_->check = std::move(check);
}

asio::awaitable<void> router::handle(exchange& ex) const {
  return impl_->handle(ex);
}

wire::service router::service() const {
  wire::service s;
  s.handle = [i = impl_](exchange& ex) { return i->handle(ex); };
  s.body = [i = impl_](const request& r, std::size_t default_bytes) {
    captures ignored;
    body_rule rule{default_bytes, false};
    if (const auto* one = i->find(r, ignored, nullptr)) {
      if (one->options.max_body > 0) rule.max_bytes = one->options.max_body;
      rule.streamed = one->options.streamed_body;
    }
    return rule;
  };
  return s;
}

}  // namespace troupe::wire
