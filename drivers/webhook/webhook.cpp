#include "drivers/webhook/webhook.h"

#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>

#include "drivers/daemon/perform.h"
#include "drivers/sandbox/egress_rule.h"

namespace troupe::drivers::webhook {
namespace {

constexpr int max_attempts = 8;
constexpr std::chrono::minutes give_up{15};

struct context {
  wire::client& http;
  read_secret secrets;
  options with;
};
using context_ptr = std::shared_ptr<const context>;
using run_ptr = std::shared_ptr<effect_run>;
using resolver = boost::asio::ip::tcp::resolver;

// Connecting is by name, after this look: a name that changes its address in between leads to a host whose
// certificate does not have the name.
wire::asio::awaitable<attempt<bool>> look_at(const wire::endpoint& to, const std::string& about) {
  resolver names(co_await wire::asio::this_coro::executor);
  boost::system::error_code ec;
  const auto port = std::to_string(to.port);
  const auto found =
      co_await names.async_resolve(to.host, port, wire::asio::redirect_error(wire::asio::use_awaitable, ec));
  if (ec) co_return transport(about + ": " + to.host + " was not found: " + ec.message());
  for (const auto& one : found) {
    const auto address = one.endpoint().address();
    if (!is_public(address))
      co_return invalid(
          about + ": " + to.host + " is " + address.to_string() +
          ", which is no public address; serve --allow-private-webhooks lets webhooks go there");
  }
  co_return true;
}

attempt<std::string> sign(const context& world, const effect_run& run, const std::string& about,
                          const std::string& body) {
  const auto name = run.body().value("secret", "");
  if (name.empty()) return std::string();
  const auto secret = world.secrets ? world.secrets(run.actor().id_of("org"), name) : std::nullopt;
  if (!secret)
    return invalid(about + ": it is to be signed with the secret `" + name +
                   "`, and the organization has none of that name; store it with `troupe secret set " + name +
                   "`");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return signature(*secret, std::chrono::duration_cast<std::chrono::seconds>(now).count(), body);
}

// The server, and what is asked of it; a fragment is nobody's but a browser's.
std::pair<std::string, std::string> split(const std::string& url) {
  const auto scheme = url.find("://");
  const auto end = scheme == std::string::npos ? scheme : url.find_first_of("/?#", scheme + 3);
  if (end == std::string::npos) return {url, "/"};
  auto target = url.substr(end, url.find('#') - end);
  return {url.substr(0, end), target.starts_with('/') ? target : "/" + target};
}

effect_coroutine post(context_ptr world, run_ptr run) {
  const auto url = text_field(run->body(), "url");
  const auto [server, target] = split(url);
  auto to = wire::endpoint::parse(server);
  const std::string about = "telling the webhook " + (to ? to->name() : "of the organization");
  if (!to || to->scheme == wire::endpoint::kind::unix_socket) co_return invalid(about + ": its URL is none");
  if (!world->with.allow_private) {
    if (to->scheme != wire::endpoint::kind::tls) co_return invalid(about + ": its URL must begin with https");
    auto looked = co_await look_at(*to, about);
    if (!looked) co_return looked.error();
  }
  wire::request out;
  out.method = "POST";
  out.target = target;
  out.body = field(run->body(), "event").dump(-1, ' ', false, json::error_handler_t::replace);
  out.headers.set("Content-Type", "application/json");
  out.headers.set("Troupe-Event", text_field(field(run->body(), "event"), "event"));
  out.headers.set("Troupe-Delivery", run->id());  // the same for each attempt
  auto signed_with = sign(*world, *run, about, out.body);
  if (!signed_with) co_return signed_with.error();
  if (!signed_with->empty()) out.headers.set("Troupe-Signature", *signed_with);
  const auto until = std::min(run->deadline(), wire::clock::now() + world->with.answer_limit);
  auto answer = co_await world->http.fetch(*to, std::move(out), until);
  if (!answer) {
    auto why = from_wire(about, answer.error());
    why.again = true;
    co_return why;
  }
  if (answer->status >= 200 && answer->status < 300) co_return json{{"status", answer->status}};
  auto why = invalid(
      about + ": it answered " + std::to_string(answer->status) +
      (answer->status / 100 == 3 ? "; redirects are not followed, give it the URL that it leads to" : ""));
  why.why.code = "webhook_refused";
  why.again = answer->status >= 500 || answer->status == 408 || answer->status == 429;
  co_return why;
}

}  // namespace

std::string signature(std::string_view secret, std::int64_t seconds, std::string_view body) {
  const auto at = std::to_string(seconds);
  const auto text = at + "." + std::string(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int size = 0;
  ::HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[mac[i] >> 4];
    hex += "0123456789abcdef"[mac[i] & 15];
  }
  return "t=" + at + ",v1=" + hex;
}

std::vector<effect_kind> effects(wire::executor ex, wire::client& http, read_secret secrets, options with) {
  const context_ptr world = std::make_shared<const context>(context{http, std::move(secrets), with});
  effect_kind k;
  k.name = "webhook.post";
  k.policy = after_restart::retry;
  k.max_attempts = max_attempts;
  k.deadline = give_up;
  k.start = [ex, world](run_ptr run) { perform(ex, run, post(world, run)); };
  return {std::move(k)};
}

}  // namespace troupe::drivers::webhook
