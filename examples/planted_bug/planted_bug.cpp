// A test of two purses that send each other money through the world outside, once with a mistake in it. The
// simulation finds the mistake, says what broke, and how to run exactly that again. docs/testing-actors.md
// explains it.
#include <iostream>

#include "runtime/testing/simulation.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::int64_t filled_with = 100;
bool forgets_failures = false;  // the mistake

constexpr storage::migration tables[] = {
    {1, "CREATE TABLE purse (id INTEGER PRIMARY KEY CHECK (id = 1), coins INTEGER NOT NULL)"}};
constexpr std::string_view any = R"({"type": "object"})";
constexpr schema_file schemas[] = {
    {"purse.fill.body.json", any}, {"purse.burn.body.json", any}, {"purse.burn.result.json", any}};

answer fill(turn& t, const json&) {
  t.run("INSERT OR IGNORE INTO purse VALUES (1, ?)", filled_with);
  return done();
}

// Coins go to a furnace, which may refuse them.
answer burn(turn& t, const json& body) {
  const auto n = body["coins"].get<std::int64_t>();
  if (t.one<std::int64_t>("SELECT coins FROM purse").value_or(0) < n)
    return conflict("too_few", "there are fewer coins");
  t.run("UPDATE purse SET coins = coins - ?", n);
  t.start({.kind = "furnace", .body = {{"coins", n}}, .then = "purse.burned", .context = {{"coins", n}}});
  return json{{"burning", n}};
}

answer burned(turn& t, const json& body) {
  const auto o = outcome::of(body);
  if (o.ok() || forgets_failures) return done();
  t.run("UPDATE purse SET coins = coins + ?", o.context["coins"].get<std::int64_t>());
  return done();
}

const kind purse{.name = "purse",
                 .schema = {tables, schemas},
                 .commands = {{"purse.fill", from::host(), lane::interactive, fill, {}, true},
                              {"purse.burn", from::client("member"), lane::interactive, burn},
                              {"purse.burned", from::effect(), lane::interactive, burned}}};

const key mine("purse/mine");

// What is gone was burned: the furnace said so.
void laws(simulation& s) {
  std::int64_t coins = filled_with;
  for (const auto& r : s.rows(mine, "SELECT body FROM rt_inbox WHERE name = 'purse.burned'")) {
    const auto outcome = json::parse(r[0].get<std::string>());
    if (outcome["ok"].get<bool>()) coins -= outcome["context"]["coins"].get<std::int64_t>();
  }
  const auto there = s.rows(mine, "SELECT coins FROM purse")[0][0].get<std::int64_t>();
  s.require(there == coins,
            "the purse holds " + std::to_string(there) + " coins and should hold " + std::to_string(coins));
}

exploration look() {
  return explore({.kinds = {&purse},
                  .effects = {{.name = "furnace", .max_attempts = 2}},
                  .open = [](simulation& s) { s.make(mine, "purse.fill", "fill"); },
                  .act =
                      [](simulation& s) {
                        s.command(mine, "purse.burn", {{"coins", 1 + s.dice(20)}});
                      },
                  .laws = laws,
                  .acts = 5},
                 {.points = 1500});
}

}  // namespace

int main() {
  const auto right = look();
  std::cout << "as it should be:  " << right.text() << '\n';
  forgets_failures = true;
  const auto wrong = look();
  std::cout << "with the mistake: " << wrong.text() << '\n';
  return !right.broken && wrong.broken ? 0 : 1;
}
