// What the agent prints, in batches of the feed. Every update goes to the transcript as it came; some also
// change what the snapshot shows. Unknown kinds are kept. An agent is not trusted: every field is read as if
// it might be missing.
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/session/chunk_joiner.h"
#include "actors/session/handlers.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

class batch {
 public:
  batch(turn& t, record& r) : t_(t), r_(r) {}

  void take(const json& entry) {
    if (entry.contains("gap")) return add({{"type", "gap"}, {"missing", entry["gap"]}});
    const auto& message = field(entry, "message");
    const auto method = text_field(message, "method");
    const auto& id = field(message, "id");
    if (method == "session/update")
      update(field(field(message, "params"), "update"));
    else if (method == "session/request_permission" && !id.is_null())
      permission(id, field(message, "params"));
    else if (method.empty() && !id.is_null())
      response(id, message);
    else
      other(method, message);
  }

  void flush() {
    if (auto joined = chunks_.flush()) {
      if (text_field(*joined, "sessionUpdate") == "agent_message_chunk")
        remember(t_, "agent", text_of_chunk(*joined));
      json entry{{"type", "update"}, {"update", std::move(*joined)}};
      if (chunks_.joined() > 1) entry["chunks"] = chunks_.joined();
      t_.append("transcript", entry);
    }
  }

 private:
  static std::string text_of_chunk(const json& update) {
    return text_field(field(update, "content"), "text");
  }

  // Order is kept: what is held comes before what follows it.
  void add(const json& entry) {
    flush();
    t_.append("transcript", entry);
  }

  // A loaded session is told again by the agent before it answers session/load; the transcript has it
  // already.
  static bool is_history(std::string_view kind) {
    return kind.ends_with("_chunk") || kind == "tool_call" || kind == "tool_call_update" || kind == "plan";
  }

  void update(const json& u) {
    const auto kind = text_field(u, "sessionUpdate");
    if (r_.replaying && is_history(kind)) return;
    learn(kind, u);
    if (chunks_.add(u)) return;
    flush();
    if (!chunks_.add(u)) t_.append("transcript", {{"type", "update"}, {"update", u}});
  }

  void learn(std::string_view kind, const json& u) {
    if (kind == "tool_call" || kind == "tool_call_update") {
      if (kind == "tool_call") r_.guard_count = 0;
      merge_tool_call(t_, u);
    } else if (kind == "plan") {
      learn_plan(field(u, "entries"));
    } else if (kind == "usage_update") {
      learn_usage(u);
    } else if (kind == "session_info_update") {
      learn_title(text_field(u, "title"));
    } else if (kind == "available_commands_update") {
      learn_commands(field(u, "availableCommands"));
    } else if (kind == "current_mode_update") {
      const auto mode = text_field(u, "currentModeId");
      if (!mode.empty() && r_.modes.is_object()) r_.modes["currentModeId"] = mode;
    } else if (kind == "config_option_update") {
      if (const auto& options = field(u, "configOptions"); options.is_array()) r_.config_options = options;
    }
  }

  void learn_plan(const json& entries) {
    if (!entries.is_array()) return;
    r_.plan = json::array();
    for (const auto& e : entries) {
      if (r_.plan.size() >= max_plan_entries) break;
      r_.plan.push_back({{"content", clip(text_field(e, "content"), 500)},
                         {"priority", clip(text_field(e, "priority"), 20)},
                         {"status", clip(text_field(e, "status"), 20)}});
    }
  }

  void learn_usage(const json& u) {
    r_.context_used = number_field(u, "used");
    r_.context_size = number_field(u, "size");
    const auto& cost = field(u, "cost");
    if (cost.is_null()) return;
    r_.cost = real_field(cost, "amount");
    r_.currency = clip(text_field(cost, "currency"), 8);
  }

  void learn_title(const std::string& title) {
    if (title.empty() || r_.title_by == "person") return;
    r_.title = title;
    r_.title_by = "agent";
  }

  void learn_commands(const json& commands) {
    if (!commands.is_array()) return;
    r_.commands = json::array();
    for (const auto& c : commands) {
      if (r_.commands.size() >= max_commands) break;
      r_.commands.push_back({{"name", clip(text_field(c, "name"), 100)},
                             {"description", clip(text_field(c, "description"), 200)}});
    }
  }

  void permission(const json& id, const json& params) {
    flush();
    ask_permission(t_, r_, id, params);
  }

  void response(const json& id, const json& message) {
    if (r_.replaying) {
      // The answer to session/load ends the repetition. Others of the driver's handshake have ids that begin
      // with ours; an id that is none of ours means that the driver speaks otherwise, and nothing may be
      // dropped for ever.
      const auto text = id.is_string() ? id.get<std::string>() : std::string();
      const bool handshake = text.starts_with(r_.start_request) && text != r_.start_request &&
                             text != r_.start_request + "-load";
      if (!handshake && !field(message, "result").contains("protocolVersion")) r_.replaying = false;
      return;
    }
    const auto now = current_turn(t_);
    if (!now || !id.is_string() || id.get<std::string>() != now->request) return;
    flush();
    if (const auto& error = field(message, "error"); !error.is_null()) {
      auto kept = error.is_object() ? error : json{{"message", error}};
      kept["message"] = clip(error_text(error), max_error);
      end_turn(t_, r_, {.stop_reason = "error", .error = std::move(kept)});
      return;
    }
    const auto& result = field(message, "result");
    auto reason = text_field(result, "stopReason");
    end_turn(
        t_, r_,
        {.stop_reason = reason.empty() ? "end_turn" : clip(reason, 64), .usage = field(result, "usage")});
  }

  // Agents put the words in `message`, in `data.message` or in `data.details`.
  static std::string error_text(const json& error) {
    auto text = text_field(error, "message");
    const auto& data = field(error, "data");
    for (const auto* name : {"message", "details"})
      if (const auto more = text_field(data, name); !more.empty() && more != text) text += ": " + more;
    return text.empty() ? "the agent gave an error without words" : text;
  }

  void other(const std::string& method, const json& message) {
    if (method == "_adapter/agent_exited") {
      add({{"type", "agent_exited"}, {"message", field(message, "params")}});
    } else if (method == "_adapter/invalid_stdout") {
      add({{"type", "agent_output"}, {"message", field(message, "params")}});
    } else {
      add({{"type", "message"}, {"message", message}});
    }
  }

  turn& t_;
  record& r_;
  chunk_joiner chunks_;
};

}  // namespace

answer apply_updates(turn& t, const json& body) {
  auto r = load(t);
  if (r.feed.empty() || body.value("feed", "") != r.feed) return done();
  batch b(t, r);
  for (const auto& entry : body.at("entries")) b.take(entry);
  b.flush();
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::sessions
