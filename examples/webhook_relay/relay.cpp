#include "webhook_relay/relay.h"

using namespace troupe;

namespace relay {
namespace {

constexpr storage::migration tables[] = {{1, R"(
  CREATE TABLE deliveries (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, error TEXT NOT NULL
  ) WITHOUT ROWID;
)"}};

constexpr std::string_view any_object = R"({"type": "object"})";
constexpr schema_file schemas[] = {
    {"relay.open.body.json", any_object},
    {"relay.deliver.body.json", R"({"type": "object", "required": ["url", "body"], "properties": {
      "url": {"type": "string", "pattern": "^https?://"}, "body": {"type": "object"}}})"},
    {"relay.deliver.result.json", any_object},
};

answer open(turn&, const json&) {
  return done();
}

// Accepted means: it will be delivered, or the table says why not.
answer deliver(turn& t, const json& body) {
  const auto id = t.new_id(), url = body["url"].get<std::string>();
  t.run("INSERT INTO deliveries VALUES (?, ?, 'waiting', NULL, '')", id, url);
  t.start(
      {.kind = "webhook", .body = body, .then = "relay.delivered", .context = {{"id", id}}, .resource = url});
  return json{{"id", id}};
}

answer delivered(turn& t, const json& body) {
  const auto o = outcome::of(body);
  const auto id = o.context["id"].get<std::string>();
  if (o.ok()) {
    t.run("UPDATE deliveries SET state = 'delivered', status = ? WHERE id = ?",
          o.result()["status"].get<std::int64_t>(), id);
  } else {
    t.run("UPDATE deliveries SET state = 'given up', error = ? WHERE id = ?", o.error().detail, id);
  }
  return done();
}

json snapshot(const view& v) {
  json deliveries = json::array();
  v.each("SELECT id, url, state, error FROM deliveries ORDER BY id DESC LIMIT 100",
         [&](const storage::row& r) {
           deliveries.push_back({{"id", r.get<std::string>(0)},
                                 {"url", r.get<std::string>(1)},
                                 {"state", r.get<std::string>(2)},
                                 {"error", r.get<std::string>(3)}});
         });
  return {{"deliveries", deliveries},
          {"waiting",
           v.one<std::int64_t>("SELECT count(*) FROM deliveries WHERE state = 'waiting'").value_or(0)}};
}

}  // namespace

const kind& relay() {
  static const kind k{
      .name = "relay",
      .schema = {tables, schemas},
      .commands = {{"relay.open", from::host(), lane::interactive, open, {}, /*creates=*/true},
                   {"relay.deliver", from::client("member"), lane::interactive, deliver},
                   {"relay.delivered", from::effect(), lane::interactive, delivered}},
      .snapshot = snapshot,
  };
  return k;
}

}  // namespace relay
