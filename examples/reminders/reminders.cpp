#include "reminders/reminders.h"

using namespace troupe;

namespace reminders {
namespace {

constexpr storage::migration tables[] = {{1, R"(
  CREATE TABLE reminders (id TEXT PRIMARY KEY, text TEXT NOT NULL, due INTEGER NOT NULL, rang_at INTEGER) WITHOUT ROWID;
)"}};

constexpr std::string_view any_object = R"({"type": "object"})";
constexpr schema_file schemas[] = {
    {"list.open.body.json", any_object},
    {"list.ring.body.json", any_object},
    {"list.remind.body.json", R"({"type": "object", "required": ["text", "in_ms"], "properties": {
      "text": {"type": "string", "minLength": 1, "maxLength": 200}, "in_ms": {"type": "integer", "minimum": 0}}})"},
    {"list.remind.result.json", any_object},
    {"list.forget.body.json",
     R"({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}})"},
    {"list.forget.result.json", any_object},
};

answer open(turn&, const json&) {
  return done();
}

// The timer is a row of the same turn: there is no reminder without one, whatever becomes of the process.
answer remind(turn& t, const json& body) {
  const auto id = t.new_id();
  const auto due = t.now() + std::chrono::milliseconds(body["in_ms"].get<std::int64_t>());
  t.run("INSERT INTO reminders VALUES (?, ?, ?, NULL)", id, body["text"].get<std::string>(), to_ms(due));
  t.set_timer(id, due, "list.ring", {{"id", id}});
  return json{{"id", id}};
}

answer forget(turn& t, const json& body) {
  const auto id = body["id"].get<std::string>();
  t.run("DELETE FROM reminders WHERE id = ? AND rang_at IS NULL", id);
  if (t.changes() == 0) return not_found("there is no reminder " + id + " that has not rung");
  t.clear_timer(id);
  return done();
}

answer ring(turn& t, const json& body) {
  t.run("UPDATE reminders SET rang_at = ? WHERE id = ?", t.now_ms(), body["id"].get<std::string>());
  return done();
}

json snapshot(const view& v) {
  json waiting = json::array(), rang = json::array();
  v.each("SELECT text, due, rang_at IS NOT NULL FROM reminders ORDER BY due DESC LIMIT 100",
         [&](const storage::row& r) {
           (r.get<bool>(2) ? rang : waiting)
               .push_back({{"text", r.get<std::string>(0)}, {"due", r.get<std::int64_t>(1)}});
         });
  return {{"waiting", waiting}, {"rang", rang}};
}

}  // namespace

const kind& list() {
  static const kind k{
      .name = "list",
      .schema = {tables, schemas},
      .commands = {{"list.open", from::host(), lane::interactive, open, {}, /*creates=*/true},
                   {"list.remind", from::client("member"), lane::interactive, remind},
                   {"list.forget", from::client("member"), lane::interactive, forget},
                   {"list.ring", from::self(), lane::interactive, ring}},
      .snapshot = snapshot,
  };
  return k;
}

}  // namespace reminders
