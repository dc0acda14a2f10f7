#include "actors/audit_log/audit_log.h"

#include <stdexcept>

#include "actors/audit_log/chain.h"
#include "actors/audit_log/handlers.h"
#include "actors/body.h"
#include "actors/roles.h"
#include "schemas/audit_log.h"

namespace troupe::actors {

using namespace audit_actor;

const kind& audit_log() {
  using enum lane;
  static const auto anybody =
      from::kind("org") | from::kind("task") | from::kind("session") | from::kind("sandbox");
  static const kind k{
      .name = "audit-log",
      .singleton = true,
      .schema = schemas::audit_log,
      .commands =
          {
              {"audit.initialize", from::parent(), background, initialize, "", true},
              {"audit.append", anybody | from::host(), background, append},
          },
      .queries =
          {
              {"audit.list", role::viewer, list},
              {"audit.verify", role::viewer, verify},
          },
      .snapshot = snapshot,
      .streams = {{"entries", role::viewer}},
      .record_changes = false,
  };
  return k;
}

namespace audit_actor {

head head_of(const view& v) {
  head h{0, std::string(chain_start())};
  v.each("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1", [&](const storage::row& r) {
    h = {r.get<std::uint64_t>(0), r.get<std::string>(1)};
  });
  return h;
}

answer initialize(turn&, const json&) {
  return done();
}

answer append(turn& t, const json& body) {
  const auto last = head_of(t);
  auto payload = body.value("payload", json::object());
  if (const auto size = payload.dump().size(); size > audit_limits::payload_bytes) {
    payload = {{"cut", true}, {"bytes", size}};
  }
  const auto text = [&](const char* name) { return or_null(text_of(body, name)); };
  json entry{{"seq", last.seq + 1},
             {"time", *integer_of(body, "time")},
             {"principal", text("principal")},
             {"kind", text("kind")},
             {"actor", t.from().actor.empty() ? json(nullptr) : json(t.from().actor)},
             {"repository", text("repository")},
             {"task", text("task")},
             {"branch", text("branch")},
             {"session", text("session")},
             {"payload", std::move(payload)},
             {"previous", last.hash}};
  entry["hash"] = chain_hash(entry);
  t.run(
      "INSERT INTO entries (seq, time, principal, kind, actor, repository, task, branch, session, payload, "
      "previous, hash)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      last.seq + 1, entry["time"].get<std::int64_t>(), entry["principal"].get<std::string>(),
      entry["kind"].get<std::string>(), text_of(entry, "actor"), text_of(entry, "repository"),
      text_of(entry, "task"), text_of(entry, "branch"), text_of(entry, "session"), entry["payload"].dump(),
      last.hash, entry["hash"].get<std::string>());
  // Readers of the stream and of the table must name an entry alike.
  if (t.append("entries", entry) != last.seq + 1) {
    throw std::logic_error("the stream of " + t.self().str() +
                           " and its table do not agree on the number of an entry");
  }
  return done();
}

}  // namespace audit_actor
}  // namespace troupe::actors
