// The least of a durable actor: a counter that survives whatever happens to its process. Run it twice.
#include <iostream>

#include "runtime/host.h"

using namespace troupe;

namespace {

constexpr storage::migration tables[] = {{1, R"(
  CREATE TABLE count (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
  INSERT INTO count VALUES (1, 0);
)"}};

constexpr schema_file schemas[] = {
    {"counter.open.body.json", R"({"type": "object"})"},
    {"counter.add.body.json",
     R"({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}})"},
    {"counter.add.result.json", R"({"type": "object"})"},
};

answer open(turn&, const json&) {
  return done();
}

answer add(turn& t, const json& body) {
  t.run("UPDATE count SET value = value + ?", body["n"].get<std::int64_t>());
  return json{{"value", t.one<std::int64_t>("SELECT value FROM count").value()}};
}

const kind counter{
    .name = "counter",
    .schema = {tables, schemas},
    .commands = {{"counter.open", from::host(), lane::interactive, open, {}, /*creates=*/true},
                 {"counter.add", from::client("member"), lane::interactive, add}},
};

}  // namespace

int main(int argc, char** argv) {
  host h({.data = argc > 1 ? argv[1] : "hello-data", .kinds = {&counter}});
  h.start();
  const key hello("counter/hello");
  h.call_as_host(hello, "counter.open", json::object(), "open", /*create=*/true);

  const auto r = h.call({.to = hello,
                         .id = random_ids().next(system_clock().now()),
                         .name = "counter.add",
                         .body = {{"n", 1}},
                         .principal = "you"});
  if (!r.ok()) {
    std::cerr << r.error().detail << '\n';
    return 1;
  }
  std::cout << "this actor was greeted " << r.result()["value"] << " times\n";
}
