// What people read: diffs, transcripts, audit entries.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "cli/audit_view.h"
#include "cli/diff_view.h"
#include "cli/task_view.h"
#include "cli/transcript_view.h"
#include "tests/cli/capture.h"

using namespace troupe::cli;
using nlohmann::json;
using troupe::cli::testing::capture;

namespace {

json update(json what) {
  return {{"type", "update"}, {"update", std::move(what)}};
}

json said(const char* kind, const char* words) {
  return update({{"sessionUpdate", kind}, {"content", {{"type", "text"}, {"text", words}}}});
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a diff shows additions green, deletions red, hunks cyan and headers bold") {
  const terminal colour(stdout, true, 80);
  const auto text =
      coloured_diff(colour, "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n");
  CHECK(has(text, "\x1b[1m--- a/x"));
  CHECK(has(text, "\x1b[36m@@ -1 +1 @@"));
  CHECK(has(text, "\x1b[31m-old"));
  CHECK(has(text, "\x1b[32m+new"));
  CHECK(has(text, "\n same\n"));
}

TEST_CASE("a diff that is too long says how much it leaves out") {
  const terminal to(stdout, false, 80);
  std::string diff = "diff --git a/x b/x\n@@ -0,0 +1,9 @@\n";
  for (int i = 0; i < 9; ++i) diff += "+line\n";
  const auto text = coloured_diff(to, diff, "", 4);
  CHECK(std::count(text.begin(), text.end(), '\n') == 5);
  CHECK(has(text, "… 7 more lines"));
}

TEST_CASE("a diff cannot smuggle escape sequences onto the terminal") {
  CHECK_FALSE(has(coloured_diff(terminal(stdout, false, 80), "+\x1b[2J\x1b]0;owned\x07x\n"), "\x1b"));
}

TEST_CASE("an edit shows the lines that differ and two around them") {
  const terminal to(stdout, false, 80);
  CHECK(edit_diff(to, "a\nb\nc\nd\ne\n", "a\nb\nX\nd\ne\n", "", 99) == "  a\n  b\n- c\n+ X\n  d\n  e\n");
  CHECK(edit_diff(to, std::nullopt, "one\ntwo\n", "", 99) == "+ one\n+ two\n");
  CHECK(edit_diff(to, "same\n", "same\n", "", 99) == "  same\n");
}

TEST_CASE("chunks of one message flow together, another speaker begins a line") {
  capture out;
  transcript_view view(out.to, "scripted");
  view.show(said("agent_message_chunk", "Hello "), 0);
  view.show(said("agent_message_chunk", "world."), 0);
  view.show(said("agent_thought_chunk", "Hm."), 0);
  view.settle();
  CHECK(out.text() == "  scripted  Hello world.\n  thinking  Hm.\n");
}

TEST_CASE("a long message is wrapped at words and stays in its column") {
  capture out(false, 40);
  transcript_view view(out.to, "agent");
  view.show(said("agent_message_chunk", "one two three four five six seven eight nine"), 0);
  view.settle();
  CHECK(out.text() == "  agent     one two three four five six\n            seven eight nine\n");
}

TEST_CASE("a tool call opens with its title and closes with how it went and how long it took") {
  capture out;
  transcript_view view(out.to, "agent");
  view.show(update({{"sessionUpdate", "tool_call"},
                    {"toolCallId", "1"},
                    {"title", "make test"},
                    {"status", "pending"}}),
            1000);
  const json output{{"type", "content"},
                    {"content", {{"type", "text"}, {"text", "```console\nall good\n```"}}}};
  view.show(
      update(
          {{"sessionUpdate", "tool_call_update"}, {"toolCallId", "1"}, {"content", json::array({output})}}),
      1100);
  view.show(update({{"sessionUpdate", "tool_call_update"},
                    {"toolCallId", "1"},
                    {"status", "completed"},
                    {"content", json::array({output})}}),
            1250);
  const auto text = out.text();
  CHECK(has(text, "  ● make test\n"));
  CHECK(has(text, "    ✔ 250 ms\n"));
  CHECK(text.find("all good") == text.rfind("all good"));
}

TEST_CASE("a failed call says so, and an update of an unknown call opens it") {
  capture out;
  transcript_view view(out.to, "agent");
  view.show(update({{"sessionUpdate", "tool_call_update"},
                    {"toolCallId", "x"},
                    {"title", "rm"},
                    {"status", "failed"}}),
            5);
  CHECK(has(out.text(), "  ● rm\n    ✘ failed"));
}

TEST_CASE("a plan is shown whole once, then only what moved") {
  capture out;
  transcript_view view(out.to, "agent");
  const auto plan = [](const char* status) {
    return update({{"sessionUpdate", "plan"},
                   {"entries", json::array({{{"content", "one"}, {"status", status}},
                                            {{"content", "two"}, {"status", "pending"}}})}});
  };
  view.show(plan("pending"), 0);
  view.show(plan("pending"), 0);
  view.show(plan("completed"), 0);
  CHECK(out.text() == "  plan\n    ○ one\n    ○ two\n  plan\n    ✔ one\n");
}

TEST_CASE("the end of a turn says why when it is not the usual one") {
  capture out;
  transcript_view view(out.to, "agent");
  view.show({{"type", "turn_ended"}, {"stop_reason", "end_turn"}, {"duration_ms", 40}}, 0);
  view.show({{"type", "turn_ended"}, {"stop_reason", "cancelled"}, {"duration_ms", 40}}, 0);
  view.show({{"type", "turn_ended"}, {"stop_reason", "error"}, {"error", {{"message", "no key"}}}}, 0);
  CHECK(out.text() == "  turn ended after 40 ms\n  turn ended: cancelled after 40 ms\n  ✘ no key\n");
}

TEST_CASE("what an agent prints beside the protocol shows as it came") {
  capture out;
  transcript_view view(out.to, "agent");
  view.show(
      {{"type", "agent_output"}, {"message", {{"raw", "Warning: \x1b[2Jold key"}, {"error", "no JSON"}}}}, 0);
  CHECK(out.text() == "  agent printed: Warning: old key\n");
}

TEST_CASE("entries that nobody has heard of and fields of the wrong type are survived") {
  capture out;
  transcript_view view(out.to, "agent");
  for (const auto& entry : {json(), json(3), json::object(), json{{"type", 7}}, json{{"type", "new"}},
                            update({{"sessionUpdate", "tool_call"}, {"toolCallId", 5}, {"content", "x"}}),
                            update({{"sessionUpdate", "plan"}, {"entries", 1}}),
                            json{{"type", "update"}, {"update", json::array()}}}) {
    CHECK_NOTHROW(view.show(entry, 0));
  }
}

TEST_CASE("an audit entry is one line within the terminal, with its payload as words") {
  const terminal to(stdout, false, 100);
  const auto line = audit_line(to, {{"seq", 4},
                                    {"time", 1000},
                                    {"principal", "ada"},
                                    {"kind", "task.created"},
                                    {"repository", "widgets"},
                                    {"branch", "fix"},
                                    {"payload", {{"title", "Fix it"}}}});
  CHECK(has(line, "ada"));
  CHECK(has(line, "task.created"));
  CHECK(has(line, "widgets fix"));
  CHECK(has(line, "title=Fix it"));
  CHECK(columns(line) <= 100);
}

TEST_CASE("what is nested in an audit entry reads as words, too") {
  const terminal to(stdout, false, 200);
  const json payload{{"items",
                      {{"disk", {{"effective", "8192 MB"}, {"state", "best_effort"}, {"why", "no quota"}}},
                       {"cpu", {{"state", "not_enforced"}}}}},
                     {"environment", {"HOME", "API_KEY"}},
                     {"nothing", json::object()}};
  const auto line = audit_line(to, {{"kind", "sandbox.weakened"}, {"time", 1000}, {"payload", payload}});
  CHECK(has(line, "items=cpu not enforced, disk best effort"));
  CHECK(has(line, "environment=HOME, API_KEY"));
  CHECK_FALSE(has(line, "nothing"));
  CHECK_FALSE(has(line, "{"));
}

TEST_CASE("a change of files is counted in words") {
  const terminal to(stdout, false, 80);
  CHECK(diff_numbers(to, {{"files", 2}, {"additions", 3}, {"deletions", 1}}) == "2 files  +3 −1");
  CHECK(diff_numbers(to, {{"files", 0}, {"additions", 0}, {"deletions", 0}}).empty());
}
