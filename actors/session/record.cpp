#include "actors/session/record.h"

#include "actors/text.h"

namespace troupe::actors::sessions {

bool made(const view& v) {
  return v.one<int>("SELECT 1 FROM session").has_value();
}

record load(const view& v) {
  record r;
  v.each(
      "SELECT "
      "status, error, agent, title, title_by, created_by, created_at, updated_at, guard, prompt_seconds, "
      "permission_seconds, max_tokens, handle, sandbox_state, generation, cwd, environment, ask, asking, "
      "slot, wake, link, links, connection, link_generation, start_effect, start_request, feed, "
      "agent_session, replaying, context_due, mode_wanted, model_wanted, capabilities, agent_info, modes, "
      "models, config_options, commands, plan, guard_count, guard_total, turns, context_used, context_size, "
      "input_tokens, output_tokens, cached_read_tokens, cached_write_tokens, total_tokens, cost, "
      "cost_before, currency, summary, held, mcp_servers"
      " FROM session",
      [&](const auto& row) {
        int c = 0;
        const auto text = [&] { return row.template get<std::string>(c++); };
        const auto number = [&] { return row.template get<std::int64_t>(c++); };
        const auto real = [&] { return row.template get<double>(c++); };
        const auto parsed = [&] { return json::parse(text()); };
        r.status = text(), r.error = text(), r.agent = text(), r.title = text(), r.title_by = text(),
        r.created_by = text(), r.created_at = number(), r.updated_at = number(), r.guard = number() != 0,
        r.prompt_seconds = number(), r.permission_seconds = number(), r.max_tokens = number(),
        r.handle = text(), r.sandbox_state = text(), r.generation = number(), r.cwd = text(),
        r.environment = parsed(), r.ask = number(), r.asking = number() != 0, r.slot = number(),
        r.wake = number() != 0, r.link = text(), r.links = number(), r.connection = text(),
        r.link_generation = number(), r.start_effect = text(), r.start_request = text(), r.feed = text(),
        r.agent_session = text(), r.replaying = number() != 0, r.context_due = number() != 0,
        r.mode_wanted = text(), r.model_wanted = text(), r.capabilities = parsed(), r.agent_info = parsed(),
        r.modes = parsed(), r.models = parsed(), r.config_options = parsed(), r.commands = parsed(),
        r.plan = parsed(), r.guard_count = number(), r.guard_total = number(), r.turns = number(),
        r.context_used = number(), r.context_size = number(), r.input_tokens = number(),
        r.output_tokens = number(), r.cached_read_tokens = number(), r.cached_write_tokens = number(),
        r.total_tokens = number(), r.cost = real(), r.cost_before = real(), r.currency = text(),
        r.summary = text(), r.held = text(), r.mcp_servers = parsed();
      });
  r.loaded = static_cast<const fields&>(r);
  return r;
}

void save(turn& t, record& r) {
  r.error = clip(r.error, max_error);
  r.title = clip(r.title, max_title);
  if (r.loaded && static_cast<const fields&>(r) == *r.loaded) return;
  r.updated_at = t.now_ms();
  t.run(
      "INSERT INTO session (id, "
      "status, error, agent, title, title_by, created_by, created_at, updated_at, guard, prompt_seconds, "
      "permission_seconds, max_tokens, handle, sandbox_state, generation, cwd, environment, ask, asking, "
      "slot, wake, link, links, connection, link_generation, start_effect, start_request, feed, "
      "agent_session, replaying, context_due, mode_wanted, model_wanted, capabilities, agent_info, modes, "
      "models, config_options, commands, plan, guard_count, guard_total, turns, context_used, context_size, "
      "input_tokens, output_tokens, cached_read_tokens, cached_write_tokens, total_tokens, cost, "
      "cost_before, currency, summary, held, mcp_servers"
      ") VALUES (1, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
      ") ON CONFLICT (id) DO UPDATE SET "
      "status = excluded.status, error = excluded.error, agent = excluded.agent, "
      "title = excluded.title, title_by = excluded.title_by, created_by = excluded.created_by, "
      "created_at = excluded.created_at, updated_at = excluded.updated_at, guard = excluded.guard, "
      "prompt_seconds = excluded.prompt_seconds, permission_seconds = excluded.permission_seconds, "
      "max_tokens = excluded.max_tokens, handle = excluded.handle, "
      "sandbox_state = excluded.sandbox_state, generation = excluded.generation, cwd = excluded.cwd, "
      "environment = excluded.environment, ask = excluded.ask, asking = excluded.asking, "
      "slot = excluded.slot, wake = excluded.wake, link = excluded.link, links = excluded.links, "
      "connection = excluded.connection, link_generation = excluded.link_generation, "
      "start_effect = excluded.start_effect, start_request = excluded.start_request, "
      "feed = excluded.feed, agent_session = excluded.agent_session, replaying = excluded.replaying, "
      "context_due = excluded.context_due, mode_wanted = excluded.mode_wanted, "
      "model_wanted = excluded.model_wanted, capabilities = excluded.capabilities, "
      "agent_info = excluded.agent_info, modes = excluded.modes, models = excluded.models, "
      "config_options = excluded.config_options, commands = excluded.commands, plan = excluded.plan, "
      "guard_count = excluded.guard_count, guard_total = excluded.guard_total, "
      "turns = excluded.turns, context_used = excluded.context_used, "
      "context_size = excluded.context_size, input_tokens = excluded.input_tokens, "
      "output_tokens = excluded.output_tokens, cached_read_tokens = excluded.cached_read_tokens, "
      "cached_write_tokens = excluded.cached_write_tokens, total_tokens = excluded.total_tokens, "
      "cost = excluded.cost, cost_before = excluded.cost_before, currency = excluded.currency, "
      "summary = excluded.summary, held = excluded.held, mcp_servers = excluded.mcp_servers",
      r.status, r.error, r.agent, r.title, r.title_by, r.created_by, r.created_at, r.updated_at, r.guard,
      r.prompt_seconds, r.permission_seconds, r.max_tokens, r.handle, r.sandbox_state, r.generation, r.cwd,
      r.environment.dump(), r.ask, r.asking, r.slot, r.wake, r.link, r.links, r.connection, r.link_generation,
      r.start_effect, r.start_request, r.feed, r.agent_session, r.replaying, r.context_due, r.mode_wanted,
      r.model_wanted, r.capabilities.dump(), r.agent_info.dump(), r.modes.dump(), r.models.dump(),
      r.config_options.dump(), r.commands.dump(), r.plan.dump(), r.guard_count, r.guard_total, r.turns,
      r.context_used, r.context_size, r.input_tokens, r.output_tokens, r.cached_read_tokens,
      r.cached_write_tokens, r.total_tokens, r.cost, r.cost_before, r.currency, r.summary, r.held,
      r.mcp_servers.dump());
  r.loaded = static_cast<const fields&>(r);
}

std::optional<running_turn> current_turn(const view& v) {
  std::optional<running_turn> found;
  v.each("SELECT prompt, request, effect, started_at, ending, outcome, refused FROM turn",
         [&](const auto& row) {
           running_turn now;
           now.prompt = row.template get<std::string>(0);
           now.request = row.template get<std::string>(1);
           now.effect = row.template get<std::string>(2);
           now.started_at = row.template get<std::int64_t>(3);
           now.ending = row.template get<std::string>(4);
           if (const auto o = row.template get<std::string>(5); !o.empty()) now.outcome = json::parse(o);
           now.refused = row.template get<bool>(6);
           found = now;
         });
  return found;
}

void save_turn(turn& t, const running_turn& now) {
  t.run(
      "INSERT OR REPLACE INTO turn (id, prompt, request, effect, started_at, ending, outcome, refused) "
      "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
      now.prompt, now.request, now.effect, now.started_at, now.ending,
      now.outcome.is_null() ? std::string() : now.outcome.dump(), now.refused);
}

std::int64_t queued(const view& v) {
  return v.one<std::int64_t>("SELECT count(*) FROM prompt").value_or(0);
}

std::int64_t pending_permissions(const view& v) {
  return v.one<std::int64_t>("SELECT count(*) FROM permission WHERE state = 'pending'").value_or(0);
}

}  // namespace troupe::actors::sessions
