#include "net/gateway/context.h"

#include <algorithm>
#include <thread>

#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/wire/deflate.h"
#include "net/wire/text.h"

namespace troupe::gateway {

void compress(wire::response& answer, std::variant<std::string, wire::shared_bytes> gzipped) {
  answer.body = std::move(gzipped);
  answer.headers.add("Content-Encoding", "gzip");
  answer.headers.add("Vary", "Accept-Encoding");
  // The same, but not byte for byte.
  if (auto etag = answer.headers.find("ETag"); etag && !etag->starts_with("W/"))
    answer.headers.set("ETag", "W/" + std::string(*etag));
}

namespace {

constexpr std::string_view cookie_name = "troupe_session";

std::optional<std::string_view> cookie_of(const wire::request& r) {
  for (const auto& [name, value] : r.headers) {
    if (!wire::equal_ignoring_case(name, "Cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      auto end = rest.find(';');
      auto pair = wire::trim(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (pair.starts_with(cookie_name) && pair.size() > cookie_name.size() &&
          pair[cookie_name.size()] == '=')
        return pair.substr(cookie_name.size() + 1);
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> bearer_of(const wire::request& r) {
  auto field = r.headers.find("Authorization");
  if (!field || field->size() < 7 || !wire::equal_ignoring_case(field->substr(0, 7), "Bearer "))
    return std::nullopt;
  return wire::trim(field->substr(7));
}

// An address in place of a name: no DNS, so no rebinding.
bool is_address(std::string_view host) {
  if (host.starts_with('[')) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// One for each core: more would wake each other for fewer connections each, and send no faster.
std::vector<std::shared_ptr<wake_group>> groups_on(const wire::executor& ex) {
  std::vector<std::shared_ptr<wake_group>> all;
  for (unsigned i = 0; i < std::max(2u, std::thread::hardware_concurrency()); ++i)
    all.push_back(std::make_shared<wake_group>(wire::executor(asio::make_strand(ex))));
  return all;
}

std::string_view authority_of(std::string_view origin) {
  auto mark = origin.find("://");
  return mark == std::string_view::npos ? std::string_view() : origin.substr(mark + 3);
}

}  // namespace

context::context(wire::executor ex, host& h, authenticator& p, gateway_options o)
    : executor(std::move(ex)),
      actors(h),
      people(p),
      options(std::move(o)),
      looking(h),
      backups(h, options.backup_also),
      outgoing(executor),
      groups(groups_on(executor)) {}

std::optional<caller> context::identify(const wire::request& r) const {
  std::optional<identified> found;
  if (auto token = bearer_of(r)) {
    found = people.by_token(*token);
  } else if (auto cookie = cookie_of(r)) {
    found = people.by_cookie(*cookie);
    if (!found) found = people.anonymous();
  } else {
    found = people.anonymous();
  }
  if (!found) return std::nullopt;
  return caller{std::move(found->who), std::move(found->handle)};
}

wire::handler context::for_people(caller_handler h) {
  return [self = shared_from_this(), h = std::move(h)](wire::exchange& ex) -> asio::awaitable<void> {
    auto who = self->identify(ex.request());
    if (!who) {
      auto why = self->not_known(ex.request());
      co_await self->refuse(ex, why, ex.request().path);
      co_return;
    }
    co_await h(ex, *who);
  };
}

problem context::not_known(const wire::request& r) {
  if (!bearer_of(r) && !cookie_of(r)) return unauthorized();
  const auto address = throttle::counted_as(r.peer.address);
  if (auto left = guesses.wait(address)) return too_many_attempts(*left);
  guesses.wrong(address);
  return unauthorized();
}

// The last hop that is no proxy of ours is who asks: what stands before it, anybody may have written.
void context::believe_proxy(wire::request& r) const {
  const auto trusted = [&](std::string_view text) {
    const auto address = ip_address::parse(text);
    return address &&
           std::ranges::any_of(options.trusted_proxies, [&](const auto& n) { return n.holds(*address); });
  };
  if (options.trusted_proxies.empty() || r.peer.unix_socket || !trusted(r.peer.address)) return;
  std::string hops;
  for (const auto& [name, value] : r.headers)
    if (wire::equal_ignoring_case(name, "X-Forwarded-For")) hops += (hops.empty() ? "" : ",") + value;
  const auto list = wire::split_list(hops);
  const auto client =
      std::find_if(list.rbegin(), list.rend(), [&](const auto& hop) { return !trusted(hop); });
  if (client != list.rend()) {
    r.peer.address = *client;
    r.peer.loopback = false;
  }
  if (auto scheme = r.headers.find("X-Forwarded-Proto"))
    r.peer.secure = wire::equal_ignoring_case(wire::trim(*scheme), "https");
  if (auto host = r.headers.find("X-Forwarded-Host")) r.headers.set("Host", std::string(wire::trim(*host)));
}

bool context::origin_allowed(const wire::request& r) const {
  auto origin = r.headers.find("Origin");
  if (!origin) return true;
  auto host = r.headers.find("Host");
  if (host && wire::equal_ignoring_case(authority_of(*origin), wire::trim(*host))) return true;
  return std::any_of(options.allow_origins.begin(), options.allow_origins.end(),
                     [&](const auto& allowed) { return wire::equal_ignoring_case(allowed, *origin); });
}

asio::awaitable<void> context::reply(wire::exchange& ex, wire::response answer) {
  auto origin = ex.request().headers.find("Origin");
  if (origin && !options.allow_origins.empty()) {
    answer.headers.add("Access-Control-Allow-Origin", std::string(*origin));
    answer.headers.add("Access-Control-Expose-Headers", "ETag, Retry-After, Troupe-Turn");
    answer.headers.add("Vary", "Origin");
  }
  if (answer.bytes().size() >= compressed_from && ex.request().headers.has_token("Accept-Encoding", "gzip") &&
      !answer.headers.has("Content-Encoding") && !answer.headers.has("Content-Range"))
    compress(answer, wire::gzip(answer.bytes(), 1));
  if (ex.request().peer.secure) answer.headers.add("Strict-Transport-Security", "max-age=31536000");
  counted.request(answer.status);
  co_await ex.reply(std::move(answer));
}

asio::awaitable<void> context::refuse(wire::exchange& ex, problem why, std::string instance) {
  co_await reply(ex, refusal(why, instance));
}

asio::awaitable<bool> context::admit(wire::exchange& ex) {
  believe_proxy(ex.request());
  const auto& r = ex.request();
  auto name = r.host_name();
  bool known = r.peer.unix_socket || is_address(name) || name == "localhost" ||
               std::find(own_names.begin(), own_names.end(), name) != own_names.end();
  if (!known) {
    problem why{
        421, "host_not_allowed",
        "this server does not answer to the name '" + name + "'; start it with --host-name to allow it"};
    co_await refuse(ex, why, r.path);
    co_return false;
  }
  if (!origin_allowed(r)) {
    auto why = forbidden("pages of " + std::string(*r.headers.find("Origin")) +
                         " may not use this server; start it with --allow-origin to allow them");
    why.code = "origin_not_allowed";
    counted.request(why.status);
    co_await ex.reply(refusal(why, r.path));  // without what would let that page read it
    co_return false;
  }
  co_return true;
}

context::seat::~seat() {
  std::lock_guard lock(context_->mutex_);
  auto found = context_->seats_.find(user_);
  if (found != context_->seats_.end() && --found->second == 0) context_->seats_.erase(found);
}

std::shared_ptr<context::seat> context::take_seat(const std::string& user) {
  {
    std::lock_guard lock(mutex_);
    auto& taken = seats_[user];
    if (taken >= options.limits.connections_per_principal) return nullptr;
    ++taken;
  }
  return std::make_shared<seat>(shared_from_this(), user);
}

void context::join(std::weak_ptr<open_connection> one) {
  std::lock_guard lock(mutex_);
  open_.remove_if([](const auto& weak) { return weak.expired(); });
  open_.push_back(std::move(one));
}

void context::recheck_all() {
  std::vector<std::shared_ptr<open_connection>> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& weak : open_)
      if (auto one = weak.lock()) all.push_back(std::move(one));
  }
  for (const auto& one : all) one->recheck();
}

asio::awaitable<bool> context::brought_about(const key& k, const caller& by) {
  if (!options.materialize || !by.who.may(k.id_of("org"), "viewer")) co_return false;
  // It may have been made since it was found missing.
  if (actors.exists(k)) co_return true;
  auto start = [&](auto done) { options.materialize(k, by.who.user, std::move(done)); };
  auto made = co_await called_back<bool>(start, wire::clock::now() + options.limits.materialize_timeout);
  co_return made.value_or(false);
}

std::shared_ptr<wake_group> context::group_of(const wire::executor& strand) const {
  for (const auto& group : groups)
    if (group->strand == strand) return group;
  return std::make_shared<wake_group>(strand);
}

std::string context::next_connection_id() {
  return "c" + std::to_string(++connections_);
}

}  // namespace troupe::gateway
