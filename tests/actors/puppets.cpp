#include "tests/actors/puppets.h"

namespace troupe::testing {
namespace {

constexpr storage::migration tables[] = {
    {1,
     "CREATE TABLE heard (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL);"
     "CREATE TABLE refusal (id INTEGER PRIMARY KEY CHECK (id = 1), code TEXT NOT NULL,"
     " detail TEXT NOT NULL);"}};

#define ANYTHING(name) \
  { name ".body.json", "{\"type\": \"object\"}" }
constexpr schema_file task_schemas[] = {ANYTHING("task.initialize"),
                                        ANYTHING("task.apply_slot"),
                                        ANYTHING("task.delete"),
                                        ANYTHING("task.say"),
                                        ANYTHING("task.leave"),
                                        ANYTHING("task.refuse"),
                                        ANYTHING("task.apply_sandbox_state")};
constexpr schema_file sandbox_schemas[] = {ANYTHING("sandbox.create"), ANYTHING("sandbox.delete"),
                                           ANYTHING("sandbox.say"), ANYTHING("sandbox.leave")};
#undef ANYTHING

void keep(turn& t, std::string_view name, const json& body) {
  t.run("INSERT INTO heard (name, body) VALUES (?, ?)", name, body.dump());
}

template <const char* Name>
answer hear(turn& t, const json& body) {
  keep(t, Name, body);
  std::optional<problem> why;
  t.each("SELECT code, detail FROM refusal",
         [&](const storage::row& r) { why = conflict(r.get<std::string>(0), r.get<std::string>(1)); });
  if (why) return *why;
  return done();
}

answer say(turn& t, const json& body) {
  t.send(key(body.at("to").get<std::string>()), body.at("name").get<std::string>(), body.at("body"));
  return done();
}

answer leave(turn& t, const json&) {
  t.retire();
  return done();
}

answer refuse(turn& t, const json& body) {
  t.run("INSERT OR REPLACE INTO refusal VALUES (1, ?, ?)", body.at("code").get<std::string>(),
        body.at("detail").get<std::string>());
  return done();
}

json heard(const view& v) {
  auto all = json::array();
  v.each("SELECT name, body FROM heard ORDER BY id", [&](const storage::row& r) {
    all.push_back({{"name", r.get<std::string>(0)}, {"body", json::parse(r.get<std::string>(1))}});
  });
  return {{"heard", std::move(all)}};
}

constexpr char initialize[] = "task.initialize", apply_slot[] = "task.apply_slot", remove[] = "task.delete",
               sandbox_state[] = "task.apply_sandbox_state", create[] = "sandbox.create",
               leave_for_good[] = "sandbox.delete";

}  // namespace

const kind& puppet_task() {
  using enum lane;
  static const kind k{
      .name = "task",
      .schema = {tables, task_schemas},
      .commands = {{"task.initialize", from::parent(), interactive, hear<initialize>, "task.created", true},
                   {"task.apply_slot", from::kind("capacity", 0), background, hear<apply_slot>},
                   {"task.delete", from::parent(), interactive, hear<remove>},
                   {"task.apply_sandbox_state", from::kind("sandbox"), background, hear<sandbox_state>},
                   {"task.say", from::host(), background, say},
                   {"task.leave", from::host(), interactive, leave},
                   {"task.refuse", from::host(), interactive, refuse}},
      .snapshot = heard};
  return k;
}

const kind& puppet_sandbox() {
  using enum lane;
  static const kind k{
      .name = "sandbox",
      .schema = {tables, sandbox_schemas},
      .commands = {{"sandbox.create", from::parent(), interactive, hear<create>, "", true},
                   {"sandbox.delete", from::parent() | from::kind("task"), interactive, hear<leave_for_good>},
                   {"sandbox.say", from::host(), background, say},
                   {"sandbox.leave", from::host(), interactive, leave}},
      .snapshot = heard};
  return k;
}

}  // namespace troupe::testing
