#include <doctest/doctest.h>

#include "actors/json_read.h"
#include "actors/session/chunk_joiner.h"
#include "actors/session/scope.h"
#include "actors/text.h"

using namespace troupe::actors;
using namespace troupe::actors::sessions;
using nlohmann::json;

namespace {

json chunk(const std::string& text, const std::string& message = "") {
  json u{{"sessionUpdate", "agent_message_chunk"}, {"content", {{"type", "text"}, {"text", text}}}};
  if (!message.empty()) u["messageId"] = message;
  return u;
}

// What a transcript would hold of these updates.
std::vector<json> joined(const std::vector<json>& updates) {
  std::vector<json> out;
  chunk_joiner j;
  for (const auto& u : updates) {
    if (j.add(u)) continue;
    if (auto held = j.flush()) out.push_back(*held);
    if (!j.add(u)) out.push_back(u);
  }
  if (auto held = j.flush()) out.push_back(*held);
  return out;
}

const json claude_options = json::parse(R"([{"kind":"allow_always","optionId":"allow_always"},
  {"kind":"allow_once","optionId":"allow"},{"kind":"reject_once","optionId":"reject"}])");
const json codex_edit =
    json::parse(R"([{"optionId":"approved","kind":"allow_once"},{"optionId":"abort","kind":"reject_once"}])");

}  // namespace

TEST_CASE("text chunks of one message become one entry with all of their text") {
  const auto out = joined({chunk("", "m1"), chunk("Hello ", "m1"), chunk("world", "m1")});
  REQUIRE(out.size() == 1);
  CHECK(out[0] == chunk("Hello world", "m1"));
}

TEST_CASE("chunks of two messages are not joined") {
  CHECK(joined({chunk("a", "m1"), chunk("b", "m2")}).size() == 2);
}

TEST_CASE("a chunk with anything beside its text stays as it came") {
  auto marked = chunk("b");
  marked["_meta"] = {{"k", 1}};
  auto image = chunk("");
  image["content"] = {{"type", "image"}, {"data", "…"}};
  const std::vector<json> updates{chunk("a"), marked, image, chunk("c")};
  CHECK(joined(updates) == updates);
}

TEST_CASE("thoughts and messages do not mix") {
  auto thought = chunk("hm");
  thought["sessionUpdate"] = "agent_thought_chunk";
  CHECK(joined({thought, chunk("a"), chunk("b")}) == std::vector<json>{thought, chunk("ab")});
}

TEST_CASE("a joined text stays below the size that pages show whole") {
  const std::string half(chunk_joiner::max_text / 2 + 1, 'x');
  CHECK(joined({chunk(half), chunk(half)}).size() == 2);
}

TEST_CASE("an answer is mapped by the kind of option, never by its id or place") {
  CHECK(option_for(claude_options, "allow_once") == "allow");
  CHECK(option_for(claude_options, "allow_always") == "allow_always");
  CHECK(option_for(claude_options, "reject") == "reject");
  CHECK(option_for(codex_edit, "reject") == "abort");
}

TEST_CASE("an agent without always is told once, and one without once is never told always") {
  CHECK(option_for(codex_edit, "allow_always") == "approved");
  const json only_always = json::array({{{"kind", "allow_always"}, {"optionId", "a"}}});
  CHECK_FALSE(option_for(only_always, "allow_once"));
  CHECK_FALSE(option_for(only_always, "reject"));
}

TEST_CASE("always covers edits as a kind, and commands only in the words that were shown") {
  CHECK(permission_scope("edit", "Write a") == permission_scope("edit", "Write b"));
  CHECK(permission_scope("execute", "rm a") != permission_scope("execute", "rm b"));
  CHECK(permission_scope("", "a") != permission_scope("", "b"));
  const std::string long_text(600, 'x');
  CHECK(permission_scope("execute", long_text + "a") != permission_scope("execute", long_text + "b"));
}

TEST_CASE("cut text stays valid UTF-8 and says that it was cut") {
  const std::string text = "ääääääää";
  for (std::size_t n = 3; n < text.size(); ++n) {
    CHECK_NOTHROW((void)json(clip(text, n)).dump());
    CHECK_NOTHROW((void)json(tail(text, n)).dump());
    CHECK(clip(text, n).size() <= n);
    CHECK(clip(text, n).ends_with("…"));
  }
  CHECK(clip(text, text.size()) == text);
}

TEST_CASE("fields of another type read as empty") {
  const json odd{{"a", 1}, {"b", "2"}, {"c", 1e300}};
  CHECK(text_field(odd, "a").empty());
  CHECK(number_field(odd, "b") == 0);
  CHECK(number_field(odd, "c") == 0);
  CHECK(text_field(json::array(), "a").empty());
}
