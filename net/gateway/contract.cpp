#include "net/gateway/contract.h"

#include <nlohmann/json.hpp>

namespace troupe::gateway {

namespace {

using nlohmann::json;

bool has_file(const kind& k, const std::string& name) {
  for (const auto& file : k.schema.files)
    if (file.name == name) return true;
  return false;
}

json ref(const kind& k, const std::string& file) {
  return {{"$ref", "/schemas/" + std::string(k.name) + "/" + file}};
}

json schema_or_object(const kind& k, const std::string& file) {
  return has_file(k, file) ? ref(k, file) : json{{"type", "object"}};
}

json media(json schema) {
  return {{"application/json", {{"schema", std::move(schema)}}}};
}

json problems() {
  return {
      {"description", "Problem details (RFC 9457) with a stable code"},
      {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/problem"}}}}}}}};
}

json key_parameter(const kind& k) {
  return {{"name", "key"},
          {"in", "path"},
          {"required", true},
          {"description", "a key whose kind is " + std::string(k.name) + "; keeps its slashes"},
          {"schema", {{"type", "string"}, {"maxLength", 255}}}};
}

json operation(const kind& k, const std::string& name, const std::string& words, bool command) {
  json parameters = json::array({key_parameter(k)});
  if (command)
    parameters.push_back(
        {{"name", "Idempotency-Key"},
         {"in", "header"},
         {"description", "the command's id: sent again it is answered with the recorded result"},
         {"schema", {{"type", "string"}, {"minLength", 1}, {"maxLength", 128}}}});
  parameters.push_back(
      {{"name", "timeout_ms"}, {"in", "query"}, {"schema", {{"type", "integer"}, {"minimum", 1}}}});
  return {{"operationId", name},
          {"summary", words},
          {"tags", json::array({k.name})},
          {"parameters", std::move(parameters)},
          {"requestBody", {{"content", media(schema_or_object(k, name + ".body.json"))}}},
          {"responses",
           {{"200",
             {{"description", "The result; ETag is the actor's revision"},
              {"content", media(schema_or_object(k, name + ".result.json"))}}},
            {"default", problems()}}}};
}

json get(const std::string& words, json parameters, json responses) {
  return {{"get",
           {{"summary", words}, {"parameters", std::move(parameters)}, {"responses", std::move(responses)}}}};
}

json info(const std::string& version) {
  return {{"title", "Troupe"}, {"version", version}, {"license", {{"name", "Apache-2.0"}}}};
}

json problem_schema() {
  return {{"type", "object"},
          {"required", json::array({"title", "status", "code"})},
          {"properties",
           {{"type", {{"type", "string"}}},
            {"title", {{"type", "string"}}},
            {"status", {{"type", "integer"}}},
            {"code", {{"type", "string"}}},
            {"detail", {{"type", "string"}}},
            {"instance", {{"type", "string"}}},
            {"violations",
             {{"type", "array"},
              {"items",
               {{"type", "object"},
                {"properties", {{"pointer", {{"type", "string"}}}, {"message", {{"type", "string"}}}}}}}}}}}};
}

json text_constant(const char* value) {
  return {{"const", value}};
}

json frame(const char* op, json properties, std::vector<std::string> required) {
  properties["op"] = text_constant(op);
  required.insert(required.begin(), "op");
  return {{"name", op},
          {"payload", {{"type", "object"}, {"required", required}, {"properties", std::move(properties)}}}};
}

}  // namespace

std::string openapi_of(const std::vector<const kind*>& kinds, const std::string& version) {
  json paths = json::object();
  json ok_json = {{"200", {{"description", "As JSON"}, {"content", media({{"type", "object"}})}}},
                  {"default", problems()}};
  for (const auto* k : kinds) {
    for (const auto& row : k->commands) {
      if (row.sender.role().empty()) continue;
      std::string name(row.name);
      auto words = "Command, role " + std::string(row.sender.role()) + " or above";
      paths["/v1/actors/{key}/commands/" + name]["post"] = operation(*k, name, words, true);
    }
    for (const auto& row : k->queries) {
      std::string name(row.name);
      auto words = "Query, role " + std::string(row.role) + " or above";
      paths["/v1/actors/{key}/queries/" + name]["post"] = operation(*k, name, words, false);
    }
    for (const auto& row : k->streams) {
      std::string name(row.name);
      json parameters =
          json::array({key_parameter(*k),
                       {{"name", "after"}, {"in", "query"}, {"schema", {{"type", "integer"}}}},
                       {{"name", "limit"}, {"in", "query"}, {"schema", {{"type", "integer"}}}}});
      json page = {
          {"type", "object"},
          {"properties",
           {{"entries",
             {{"type", "array"},
              {"items", {{"properties", {{"data", schema_or_object(*k, name + ".entry.json")}}}}}}}}}};
      json responses = {
          {"200",
           {{"description", "A page, or events with Accept: text/event-stream"},
            {"content", {{"application/json", {{"schema", page}}}, {"text/event-stream", json::object()}}}}},
          {"default", problems()}};
      paths["/v1/actors/{key}/streams/" + name + "#" + std::string(k->name)] =
          get("Stream of " + std::string(k->name) + ", role " + std::string(row.role) + " or above",
              std::move(parameters), std::move(responses));
    }
    if (k->snapshot) {
      json parameters = json::array({key_parameter(*k)});
      json responses = {{"200",
                         {{"description", "The snapshot; ETag is its revision"},
                          {"content", media(schema_or_object(*k, "snapshot.json"))}}},
                        {"304", {{"description", "If-None-Match names the newest"}}},
                        {"default", problems()}};
      paths["/v1/actors/{key}/snapshot#" + std::string(k->name)] =
          get("Snapshot of " + std::string(k->name), std::move(parameters), std::move(responses));
    }
  }
  paths["/v1/health"] = get("Whether the server is up; no authentication", json::array(), ok_json);
  paths["/v1/session"] = get("Who is asking", json::array(), ok_json);
  json doc = {{"openapi", "3.1.0"},
              {"info", info(version)},
              {"paths", std::move(paths)},
              {"security", json::array({{{"bearer", json::array()}}})},
              {"components",
               {{"schemas", {{"problem", problem_schema()}}},
                {"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
  return doc.dump();
}

std::string asyncapi_of(const std::vector<const kind*>& kinds, const std::string& version) {
  json text = {{"type", "string"}}, number = {{"type", "integer"}}, object = {{"type", "object"}};
  json snapshots = json::array(), entries = json::array();
  for (const auto* k : kinds) {
    if (k->snapshot && has_file(*k, "snapshot.json")) snapshots.push_back(ref(*k, "snapshot.json"));
    for (const auto& row : k->streams) {
      auto file = std::string(row.name) + ".entry.json";
      if (has_file(*k, file)) entries.push_back(ref(*k, file));
    }
  }
  json to_server = json::array(
      {frame("subscribe",
             {{"id", text},
              {"topic", text},
              {"mode", text},
              {"after", number},
              {"have", number},
              {"incarnation", text}},
             {"id", "topic"}),
       frame("unsubscribe", {{"id", text}, {"topic", text}}, {"id", "topic"}),
       frame("ping", {{"id", text}}, {"id"}),
       frame("command",
             {{"id", text}, {"to", text}, {"name", text}, {"body", object}, {"timeout_ms", number}},
             {"id", "to", "name"}),
       frame("query", {{"id", text}, {"to", text}, {"name", text}, {"body", object}, {"timeout_ms", number}},
             {"id", "to", "name"})});
  json any_snapshot = snapshots.empty() ? object : json{{"anyOf", snapshots}};
  json any_entry = entries.empty() ? object : json{{"anyOf", entries}};
  json entry = {{"type", "object"},
                {"properties", {{"seq", number}, {"time", number}, {"turn", number}, {"data", any_entry}}}};
  json to_client = json::array(
      {frame("hello", {{"protocol", text}, {"server", object}, {"principal", object}},
             {"protocol", "server", "principal"}),
       frame("snapshot",
             {{"topic", text}, {"incarnation", text}, {"revision", number}, {"data", any_snapshot}},
             {"topic", "incarnation", "revision", "data"}),
       frame("patch",
             {{"topic", text},
              {"incarnation", text},
              {"from", number},
              {"revision", number},
              {"hash", text},
              {"patch", {{"type", "array"}, {"items", object}}}},
             {"topic", "incarnation", "from", "revision", "hash", "patch"}),
       frame("entries",
             {{"topic", text},
              {"incarnation", text},
              {"after", number},
              {"first", number},
              {"last", number},
              {"end", number},
              {"entries", {{"type", "array"}, {"items", entry}}}},
             {"topic", "after", "first", "last", "end", "entries"}),
       frame("reset", {{"topic", text}, {"incarnation", text}, {"first", number}}, {"topic", "first"}),
       frame("gone", {{"topic", text}, {"reason", text}}, {"topic", "reason"}),
       frame("reply",
             {{"ok", {{"type", "boolean"}}},
              {"turn", number},
              {"revision", number},
              {"incarnation", text},
              {"result", json::object()},
              {"error", problem_schema()}},
             {"id", "ok"})});
  json messages = json::object();
  auto operation = [&](const char* action, json& frames) {
    json refs = json::array();
    for (auto& one : frames) {
      auto name = one["name"].get<std::string>();
      refs.push_back({{"$ref", "#/channels/ws/messages/" + name}});
      messages[name] = std::move(one);
    }
    return json{{"action", action}, {"channel", {{"$ref", "#/channels/ws"}}}, {"messages", std::move(refs)}};
  };
  // As the server sees it: it receives what clients say.
  json operations{{"fromClient", operation("receive", to_server)},
                  {"toClient", operation("send", to_client)}};
  json channel{{"address", "/v1/ws"},
               {"description", "WebSocket, subprotocol troupe.v1, one JSON object per text message"},
               {"messages", std::move(messages)}};
  json doc = {{"asyncapi", "3.0.0"},
              {"info", info(version)},
              {"channels", {{"ws", std::move(channel)}}},
              {"operations", std::move(operations)}};
  return doc.dump();
}

}  // namespace troupe::gateway
