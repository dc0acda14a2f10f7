#include "actors/audit_log/chain.h"
#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

constexpr std::string_view the_log = "org/acme/audit-log";

std::function<bool(const json&)> of_kind(std::string kind) {
  return [kind](const json& e) { return e["kind"] == kind; };
}

json append(acme& i, std::string_view kind, json more = json::object()) {
  json body{{"time", i.now.now().time_since_epoch().count()}, {"principal", "ada"}, {"kind", kind}};
  body.update(more);
  const auto r = i.h.as_host(the_log, "audit.append", body);
  REQUIRE_MESSAGE(r.ok(), words(r));
  return body;
}

json list(acme& i, json filter) {
  const auto r = i.h.ask(the_log, "audit.list", std::move(filter));
  REQUIRE_MESSAGE(r.ok(), words(r));
  return r.result();
}

}  // namespace

TEST_CASE("the making of an organization is the first entry of its log") {
  acme i;
  const auto e = i.h.await_entry(the_log, "entries", of_kind("organization.created"));
  CHECK(e["seq"] == 1);
  CHECK(e["principal"] == "ada");
  CHECK(e["actor"] == "org/acme");
}

TEST_CASE("what is significant is logged with who, what and where; what failed is not") {
  acme i;
  i.add_repository("widgets");
  const std::string task =
      i.org("org.create_task", {{"repository", "widgets"}, {"description", "Fix the login"}})
          .result()["task"];
  CHECK(!i.org("org.create_task", {{"repository", "none"}, {"description", "x"}}).ok());
  REQUIRE(i.org("org.add_member", {{"user", "bob"}, {"role", "viewer"}}).ok());
  const auto member = i.h.await_entry(the_log, "entries", of_kind("member.added"));
  CHECK(member["payload"] == json{{"user", "bob"}, {"role", "viewer"}});
  i.heard(task, "task.initialize");
  i.h.await_entry(the_log, "entries", of_kind("task.created"));
  const auto created = list(i, {{"kind", "task.created"}})["entries"];
  REQUIRE(created.size() == 1);
  CHECK(created[0]["task"] == task);
  CHECK(created[0]["repository"] == "widgets");
  CHECK(created[0]["branch"] == "troupe/fix-the-login");
}

TEST_CASE("values of environments never reach the log") {
  acme i;
  REQUIRE(i.org("org.add_repository", {{"repository", "widgets"},
                                       {"url", "/srv/git/widgets"},
                                       {"environment", {{"PASSWORD", "sesame"}}}})
              .ok());
  const auto e = i.h.await_entry(the_log, "entries", of_kind("repository.added"));
  CHECK(e.dump().find("sesame") == std::string::npos);
  CHECK(e["payload"]["environment"] == json{"PASSWORD"});
}

TEST_CASE("entries are chained, in the stream and in the table alike") {
  acme i;
  i.h.await_entry(the_log, "entries", of_kind("organization.created"));
  for (int n = 0; n < 20; ++n) append(i, "test.entry", {{"payload", {{"n", n}}}});
  const auto entries = i.h.entries(the_log, "entries");
  chain_check check;
  for (const auto& e : entries) CHECK(!check.next(e));
  CHECK(check.seq() == 21);
  const auto v = i.h.ask(the_log, "audit.verify").result();
  CHECK(v["checked"] == 21);
  CHECK(v["broken_at"].is_null());
  CHECK(v["head"]["hash"] == check.hash());
  const auto rest = i.h.ask(the_log, "audit.verify", {{"after", 10}, {"limit", 5}}).result();
  CHECK(rest["checked"] == 5);
  CHECK(rest["last"] == 15);
}

TEST_CASE("entries are found by every filter, the newest first, in pages") {
  acme i;
  i.h.await_entry(the_log, "entries", of_kind("organization.created"));
  append(i, "task.created", {{"task", "t1"}, {"repository", "widgets"}, {"branch", "a"}});
  i.now.advance(std::chrono::seconds(10));
  append(i, "task.status_changed", {{"task", "t1"}, {"session", "s1"}});
  append(i, "task.status_changed", {{"task", "t2"}, {"principal", "bob"}});
  append(i, "taskless.thing");
  const auto seqs = [&](json filter) {
    std::vector<int> out;
    const auto found = list(i, std::move(filter));
    for (const auto& e : found["entries"]) out.push_back(e["seq"]);
    return out;
  };
  using numbers = std::vector<int>;
  CHECK(seqs({{"task", "t1"}}) == numbers{3, 2});
  CHECK(seqs({{"kind", "task."}}) == numbers{4, 3, 2});
  CHECK(seqs({{"kind", "task.status_changed"}, {"task", "t2"}}) == numbers{4});
  CHECK(seqs({{"principal", "bob"}}) == numbers{4});
  CHECK(seqs({{"repository", "widgets"}}) == numbers{2});
  CHECK(seqs({{"branch", "a"}}) == numbers{2});
  CHECK(seqs({{"session", "s1"}}) == numbers{3});
  CHECK(seqs({{"since", to_ms(i.now.now())}}) == numbers{5, 4, 3});
  CHECK(seqs({{"until", to_ms(i.now.now())}}) == numbers{2, 1});
  const auto page = list(i, {{"limit", 2}});
  CHECK(page["next"] == 4);
  CHECK(seqs({{"limit", 2}, {"before", 4}}) == numbers{3, 2});
}

TEST_CASE("a payload that is too long is replaced by its size") {
  acme i;
  append(i, "test.entry", {{"payload", {{"text", std::string(20'000, 'x')}}}});
  const auto e = i.h.await_entry(the_log, "entries", of_kind("test.entry"));
  CHECK(e["payload"]["cut"] == true);
  CHECK(e["payload"]["bytes"] > 20'000);
}

TEST_CASE("a log takes no entry from a client or from another organization") {
  acme i;
  CHECK(!i.h.call(the_log, "audit.append", {{"time", 1}, {"principal", "ada"}, {"kind", "forged"}}).ok());
  i.add_repository("widgets");
  const auto task = i.make_task();
  REQUIRE(i.h.call("access", "access.create_organization", {{"organization", "zeta"}}).ok());
  i.h.await("org/zeta", [](const json& shown) { return shown.contains("display_name"); });
  i.h.await_entry("org/zeta/audit-log", "entries", of_kind("organization.created"));
  i.say(task, "org/zeta/audit-log", "audit.append", {{"time", 1}, {"principal", "ada"}, {"kind", "forged"}});
  i.say(task, the_log, "audit.append", {{"time", 1}, {"principal", "ada"}, {"kind", "honest"}});
  i.h.await_entry(the_log, "entries", of_kind("honest"));
  for (const auto& e : i.h.entries("org/zeta/audit-log", "entries")) CHECK(e["kind"] != "forged");
}

TEST_CASE("a log goes on where it was after a restart") {
  acme i;
  append(i, "test.before");
  i.h.restart();
  append(i, "test.after");
  chain_check check;
  for (const auto& e : i.h.entries(the_log, "entries")) CHECK(!check.next(e));
  CHECK(check.seq() >= 2);
}
