// What is long goes out compressed to who takes it so, and means the same.
#include <zlib.h>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;

namespace {

std::string gunzipped(std::string_view bytes) {
  z_stream z{};
  REQUIRE(::inflateInit2(&z, 15 + 16) == Z_OK);
  std::string out(16 << 20, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  CHECK(::inflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  ::inflateEnd(&z);
  return out;
}

double sent_bytes(served& s) {
  constexpr std::string_view name = "\ntroupe_websocket_bytes_sent_total ";
  const auto text = std::string(s.get("/metrics", "scraper").bytes());
  const auto found = text.find(name);
  REQUIRE(found != std::string::npos);
  return std::stod(text.substr(found + name.size()));
}

}  // namespace

TEST_CASE("a long answer is compressed for who takes gzip, a short one for nobody") {
  served s;
  wire::request r;
  r.target = "/openapi.json";
  const auto whole = s.send(r, "");
  CHECK(!whole.headers.has("Content-Encoding"));
  r.headers.set("Accept-Encoding", "gzip, deflate, br");
  const auto small = s.send(r, "");
  REQUIRE(small.headers.find("Content-Encoding") == "gzip");
  CHECK(small.bytes().size() < whole.bytes().size() / 2);
  CHECK(gunzipped(small.bytes()) == whole.bytes());
  r.target = "/v1/health";
  CHECK(!s.send(r, "").headers.has("Content-Encoding"));
}

TEST_CASE("who has a compressed snapshot or page is told that it is still the newest") {
  served s;
  s.post("/v1/actors/org/acme/note/n1/commands/note.write", {{"text", std::string(20'000, 'x')}});
  for (const char* target : {"/v1/actors/org/acme/note/n1/snapshot", "/plain/app.js"}) {
    INFO(target);
    wire::request r;
    r.target = target;
    r.headers.set("Accept-Encoding", "gzip");
    const auto first = s.send(r);
    REQUIRE(first.status == 200);
    CHECK(first.headers.find("Content-Encoding") == "gzip");
    const std::string etag(*first.headers.find("ETag"));
    CHECK(etag.starts_with("W/"));
    r.headers.set("If-None-Match", etag);
    CHECK(s.send(r).status == 304);
  }
}

TEST_CASE("a long frame is compressed for connections that agreed to it, and read as the same") {
  served s;
  const std::string text(200'000, 'x');
  const auto subscribe = [](talker& t) {
    CHECK(t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
    t.hear("snapshot");
  };
  talker writer(s), small(s, "mia-token", true, true), other(s, "vic-token", true, true);
  subscribe(small);
  subscribe(other);
  const auto before = sent_bytes(s);
  writer.ask({{"op", "command"},
              {"id", "w"},
              {"to", "org/acme/note/n1"},
              {"name", "note.write"},
              {"body", {{"text", text}}}});
  CHECK(small.hear("snapshot")["data"]["text"] == text);
  CHECK(other.hear("snapshot")["data"]["text"] == text);
  CHECK(sent_bytes(s) - before < 20'000);
  // Somebody who cannot read it gets it as it is.
  talker plain(s, "vic-token");
  CHECK(plain.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  CHECK(plain.hear("snapshot")["data"]["text"] == text);
  CHECK(sent_bytes(s) - before > 200'000);
}
