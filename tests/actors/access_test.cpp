#include "actors/access/access.h"

#include <condition_variable>
#include <mutex>

#include <doctest/doctest.h>

#include "actors/access/directory.h"
#include "actors/access/directory_feed.h"
#include "actors/access/secret.h"
#include "actors/audit_log/audit_log.h"
#include "actors/audit_log/auditor.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"
#include "actors/roles.h"
#include "runtime/inspect.h"
#include "tests/actors/puppets.h"
#include "tests/kit/actor_host.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

// The singletons and organizations, on a clock that the test moves; the first user is `owner`.
struct instance {
  moved_clock now;
  actor_host h{
      {.kinds = {&access(), &capacity(), &organization(), &audit_log(), &puppet_task(), &puppet_sandbox()},
       .effects = {"git.probe"},
       .audit = make_auditor(),
       .time = &now}};

  instance() {
    REQUIRE(h.as_host("access", "access.initialize", {{"user", "owner"}}, true).ok());
    REQUIRE(h.as_host("capacity", "capacity.initialize", json::object(), true).ok());
  }

  reply as(std::string user, std::string_view name, json body) {
    return h.call("access", name, std::move(body), std::move(user));
  }
  std::string sign_in(const std::string& user, const std::string& cookie) {
    const auto word = make_secret("link");
    REQUIRE(as("owner", "access.create_link", {{"user", user}, {"hash", hash_of_secret(word)}}).ok());
    const auto r = h.as_host("access", "access.redeem_link",
                             {{"link", hash_of_secret(word)}, {"session", hash_of_secret(cookie)}});
    REQUIRE(r.ok());
    return r.result()["session"];
  }
};

std::string code(const reply& r) {
  return r.ok() ? "" : r.error().code;
}

}  // namespace

TEST_CASE("the first start makes one administrator, a second start none") {
  instance i;
  const auto again = i.h.as_host("access", "access.initialize", {{"user", "other"}}, true);
  CHECK(again.result() == json{{"created", false}, {"user", "owner"}});
  CHECK(i.h.snapshot("access")["user_count"] == 1);
  CHECK(i.h.snapshot("access")["users"][0]["admin"] == true);
}

TEST_CASE("nobody takes a name under which the program acts") {
  instance i;
  CHECK(code(i.as("owner", "access.create_user", {{"user", "host"}})) == "reserved_name");
  CHECK(code(i.as("owner", "access.create_user", {{"user", "$host"}})) == "invalid_body");
}

TEST_CASE("a sign-in link works once") {
  instance i;
  const auto word = hash_of_secret("word"), cookie = hash_of_secret("cookie");
  REQUIRE(i.as("owner", "access.create_link", {{"hash", word}}).ok());
  const auto first = i.h.as_host("access", "access.redeem_link", {{"link", word}, {"session", cookie}});
  REQUIRE(first.ok());
  CHECK(first.result()["user"] == "owner");
  const auto second =
      i.h.as_host("access", "access.redeem_link", {{"link", word}, {"session", hash_of_secret("other")}});
  CHECK(second.error().status == 401);
  CHECK(code(second) == "link_invalid");
}

TEST_CASE("a sign-in link is over after ten minutes") {
  instance i;
  const auto word = hash_of_secret("word");
  REQUIRE(i.as("owner", "access.create_link", {{"hash", word}}).ok());
  i.now.advance(access_limits::link_lifetime);
  CHECK(code(i.h.as_host("access", "access.redeem_link",
                         {{"link", word}, {"session", hash_of_secret("c")}})) == "link_invalid");
}

TEST_CASE("an unknown link and a used one are answered alike") {
  instance i;
  const auto word = hash_of_secret("word");
  REQUIRE(i.as("owner", "access.create_link", {{"hash", word}}).ok());
  REQUIRE(
      i.h.as_host("access", "access.redeem_link", {{"link", word}, {"session", hash_of_secret("c")}}).ok());
  const auto used =
      i.h.as_host("access", "access.redeem_link", {{"link", word}, {"session", hash_of_secret("d")}});
  const auto unknown = i.h.as_host("access", "access.redeem_link",
                                   {{"link", hash_of_secret("never")}, {"session", hash_of_secret("d")}});
  CHECK(used.error() == unknown.error());
}

TEST_CASE("a client cannot redeem a link by itself") {
  instance i;
  CHECK(
      !i.as("owner", "access.redeem_link", {{"link", hash_of_secret("w")}, {"session", hash_of_secret("c")}})
           .ok());
}

TEST_CASE("tokens are for oneself, an administrator makes them for anybody") {
  instance i;
  for (const auto* user : {"ada", "bob"}) REQUIRE(i.as("owner", "access.create_user", {{"user", user}}).ok());
  CHECK(i.as("ada", "access.create_token", {{"hash", hash_of_secret("a")}}).result()["user"] == "ada");
  CHECK(i.as("owner", "access.create_token", {{"user", "bob"}, {"hash", hash_of_secret("b")}}).ok());
  CHECK(i.as("ada", "access.create_token", {{"user", "bob"}, {"hash", hash_of_secret("c")}}).error().status ==
        403);
}

TEST_CASE("another's token and one that does not exist are refused alike") {
  instance i;
  for (const auto* user : {"ada", "bob"}) REQUIRE(i.as("owner", "access.create_user", {{"user", user}}).ok());
  const std::string theirs =
      i.as("bob", "access.create_token", {{"hash", hash_of_secret("b")}}).result()["token"];
  CHECK(i.as("ada", "access.revoke_token", {{"token", theirs}}).error().status == 404);
  CHECK(i.as("ada", "access.revoke_token", {{"token", "0123456789abcdef"}}).error().status == 404);
  CHECK(i.as("bob", "access.revoke_token", {{"token", theirs}}).ok());
  CHECK(i.as("bob", "access.revoke_token", {{"token", theirs}}).error().status == 404);
}

TEST_CASE("a token that would be over already is refused, and so is the twenty-first") {
  instance i;
  CHECK(code(i.as("owner", "access.create_token",
                  {{"hash", hash_of_secret("x")}, {"expires_at", to_ms(i.now.now())}})) ==
        "expires_in_the_past");
  for (int n = 0; n < access_limits::tokens_per_user; ++n) {
    REQUIRE(i.as("owner", "access.create_token", {{"hash", hash_of_secret(std::to_string(n))}}).ok());
  }
  CHECK(code(i.as("owner", "access.create_token", {{"hash", hash_of_secret("more")}})) == "too_many_tokens");
}

TEST_CASE("one more browser session than a user may have ends the oldest") {
  instance i;
  std::string first;
  for (int n = 0; n <= access_limits::sessions_per_user; ++n) {
    const auto id = i.sign_in("owner", "cookie" + std::to_string(n));
    if (n == 0) first = id;
    i.now.advance(1s);
  }
  const auto sessions =
      i.h.ask("access", "access.list_credentials", {{"user", "owner"}}).result()["sessions"];
  CHECK(sessions.size() == access_limits::sessions_per_user);
  for (const auto& s : sessions) CHECK(s["id"] != first);
}

TEST_CASE("the last administrator is neither disabled nor demoted") {
  instance i;
  CHECK(code(i.as("owner", "access.disable_user", {{"user", "owner"}})) == "last_admin");
  CHECK(code(i.as("owner", "access.update_user", {{"user", "owner"}, {"admin", false}})) == "last_admin");
  REQUIRE(i.as("owner", "access.create_user", {{"user", "ada"}, {"admin", true}}).ok());
  CHECK(i.as("ada", "access.disable_user", {{"user", "owner"}}).ok());
}

TEST_CASE("the states of a user are those of its table") {
  instance i;
  REQUIRE(i.as("owner", "access.create_user", {{"user", "ada"}}).ok());
  CHECK(code(i.as("owner", "access.enable_user", {{"user", "ada"}})) == "wrong_state");
  CHECK(code(i.as("owner", "access.remove_user", {{"user", "ada"}})) == "wrong_state");
  CHECK(i.as("owner", "access.disable_user", {{"user", "ada"}}).ok());
  CHECK(code(i.as("owner", "access.disable_user", {{"user", "ada"}})) == "wrong_state");
  CHECK(i.as("owner", "access.enable_user", {{"user", "ada"}}).ok());
  CHECK(i.as("owner", "access.disable_user", {{"user", "ada"}}).ok());
  CHECK(i.as("owner", "access.remove_user", {{"user", "ada"}}).ok());
  CHECK(i.as("owner", "access.enable_user", {{"user", "ada"}}).error().status == 404);
}

TEST_CASE("a disabled user has no credentials, also after being enabled again") {
  instance i;
  REQUIRE(i.as("owner", "access.create_user", {{"user", "ada"}}).ok());
  REQUIRE(i.as("ada", "access.create_token", {{"hash", hash_of_secret("a")}}).ok());
  i.sign_in("ada", "cookie");
  REQUIRE(i.as("owner", "access.disable_user", {{"user", "ada"}}).ok());
  CHECK(code(i.as("ada", "access.create_token", {{"hash", hash_of_secret("b")}})) == "user_disabled");
  REQUIRE(i.as("owner", "access.enable_user", {{"user", "ada"}}).ok());
  const auto left = i.h.ask("access", "access.list_credentials", {{"user", "ada"}}).result();
  CHECK(left == json{{"tokens", json::array()}, {"sessions", json::array()}});
}

TEST_CASE("credentials that are over are removed by themselves") {
  instance i;
  REQUIRE(i.as("owner", "access.create_token",
               {{"hash", hash_of_secret("a")}, {"expires_at", to_ms(i.now.now()) + 60'000}})
              .ok());
  i.sign_in("owner", "cookie");
  i.now.advance(61s);
  const auto s = i.h.await("access", [](const json& shown) { return shown["users"][0]["tokens"] == 0; });
  CHECK(s["users"][0]["sessions"] == 1);
  i.now.advance(access_limits::session_lifetime);
  i.h.await("access", [](const json& shown) { return shown["users"][0]["sessions"] == 0; });
}

TEST_CASE("an organization is made with its owner, once") {
  instance i;
  const auto made =
      i.as("owner", "access.create_organization", {{"organization", "acme"}, {"display_name", "Acme"}});
  REQUIRE(made.ok());
  CHECK(made.result()["key"] == "org/acme");
  const auto s = i.h.await("org/acme", [](const json& shown) { return shown.contains("display_name"); });
  CHECK(s["display_name"] == "Acme");
  CHECK(s["members"][0]["user"] == "owner");
  CHECK(s["members"][0]["role"] == "owner");
  CHECK(code(i.as("owner", "access.create_organization", {{"organization", "acme"}})) == "exists");
}

TEST_CASE("memberships are pushed up, and a removed member's user can be removed only afterwards") {
  instance i;
  REQUIRE(i.as("owner", "access.create_user", {{"user", "ada"}}).ok());
  REQUIRE(i.as("owner", "access.create_organization", {{"organization", "acme"}}).ok());
  i.h.await("org/acme", [](const json& shown) { return shown.contains("display_name"); });
  const auto role = [](const json& shown) { return shown["users"][0]["organizations"].value("acme", ""); };
  REQUIRE(i.h.call("org/acme", "org.add_member", {{"user", "ada"}, {"role", "member"}}, "owner").ok());
  i.h.await("access", [&](const json& shown) { return role(shown) == "member"; });
  REQUIRE(i.as("owner", "access.disable_user", {{"user", "ada"}}).ok());
  CHECK(code(i.as("owner", "access.remove_user", {{"user", "ada"}})) == "has_memberships");
  REQUIRE(i.h.call("org/acme", "org.remove_member", {{"user", "ada"}}, "owner").ok());
  i.h.await("access", [&](const json& shown) { return role(shown).empty(); });
  CHECK(i.as("owner", "access.remove_user", {{"user", "ada"}}).ok());
}

TEST_CASE("no secret and no hash of one stands in snapshot, audit or history") {
  instance i;
  const auto hash = hash_of_secret("trp_secret"), word = hash_of_secret("word"),
             cookie = hash_of_secret("cookie");
  REQUIRE(i.as("owner", "access.create_token", {{"hash", hash}}).ok());
  REQUIRE(i.as("owner", "access.create_link", {{"hash", word}}).ok());
  REQUIRE(i.h.as_host("access", "access.redeem_link", {{"link", word}, {"session", cookie}}).ok());
  std::string seen = i.h.snapshot("access").dump();
  for (const auto& e : i.h.entries("access", "audit")) seen += e.dump();
  const auto history = inspector(*i.h).history(key("access"), 0, 100);
  seen += std::get<json>(history).dump();
  CHECK(seen.find("session.started") != seen.npos);
  CHECK(seen.find("access.redeem_link") != seen.npos);
  for (const auto& secret : {hash, word, cookie}) CHECK(seen.find(secret) == seen.npos);
}

TEST_CASE("the directory follows the access actor: who is made, given and revoked is known at once") {
  instance i;
  directory known(i.now);
  directory_feed feed(*i.h, known);
  REQUIRE(feed.await_loaded(10s));
  CHECK(known.by_user("owner")->admin);
  std::mutex mutex;
  std::condition_variable changed;
  int changes = 0;
  known.on_change([&] {
    const std::lock_guard lock(mutex);
    ++changes;
    changed.notify_all();
  });
  const auto until = [&](auto fits) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, fits);
  };
  const auto token = make_secret("trp");
  const std::string id =
      i.as("owner", "access.create_token", {{"hash", hash_of_secret(token)}}).result()["token"];
  CHECK(until([&] { return known.by_token(token).has_value(); }));
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(i.as("owner", "access.revoke_token", {{"token", id}}).ok());
  CHECK(until([&] { return !known.by_token(token); }));
  CHECK(std::chrono::steady_clock::now() - start < 1s);
}

TEST_CASE("the directory reads users beyond one page") {
  instance i;
  for (int n = 0; n < access_limits::directory_page + 5; ++n) {
    REQUIRE(i.as("owner", "access.create_user", {{"user", "user" + std::to_string(n)}}).ok());
  }
  directory known(i.now);
  directory_feed feed(*i.h, known);
  REQUIRE(feed.await_loaded(10s));
  for (int n = 0; n < access_limits::directory_page + 5; ++n)
    CHECK(known.by_user("user" + std::to_string(n)));
}
