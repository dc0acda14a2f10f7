// What nobody meant to send, over HTTP, WebSocket and in bodies: changed at random from what is right. Each
// run has a seed of its own, which a failure shows; TROUPE_SEED=N runs that one again.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;

namespace {

class chance {
 public:
  explicit chance(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return n ? engine_() % n : 0; }
  template <class List>
  const auto& one_of(const List& list) {
    return list[below(std::size(list))];
  }

 private:
  std::mt19937 engine_;
};

unsigned seed_of_run() {
  const char* given = std::getenv("TROUPE_SEED");
  return given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
}

const std::string handshake =
    "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer mia-token\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: troupe.v1\r\n\r\n";

std::string post(const std::string& target, const std::string& body) {
  return "POST " + target +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer mia-token\r\nContent-Type: "
         "application/json\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::vector<std::string>& requests() {
  static const std::vector<std::string> all{
      "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n",
      "GET /v1/actors/org/acme/note/n1/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
      "mia-token\r\n"
      "If-None-Match: \"0123.4\"\r\n\r\n",
      "GET /v1/actors/org/acme/note/n1/streams/lines?after=0&limit=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
      "Cookie: a=b; troupe_session=mia-token\r\n\r\n",
      post("/v1/actors/org/acme/note/n1/commands/note.write", R"({"text":"hello \u00e9"})"),
      post("/v1/actors/org/acme/note/n1/queries/note.read", "{}"),
      post("/v1/session", R"({"word":"good-word"})"),
      "POST /v1/actors/org/acme/note/n1/commands/note.add HTTP/1.1\r\nHost: 127.0.0.1\r\n"
      "Authorization: Bearer mia-token\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"
      "b\r\n{\"count\":2}\r\n0\r\n\r\n",
      "OPTIONS /v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n\r\n",
      handshake};
  return all;
}

// Frames of a client, masked with zeros.
std::string frame(unsigned char first, const std::string& payload) {
  std::string out{static_cast<char>(first),
                  static_cast<char>(0x80 | std::min<std::size_t>(payload.size(), 125))};
  return out + std::string(4, '\0') + payload;
}

const std::vector<std::string>& frames() {
  static const std::vector<std::string> all{
      frame(0x81, R"({"op":"ping","id":"1"})"),
      frame(0x81, R"({"op":"subscribe","id":"2","topic":"org/acme/note/n1","mode":"patch"})"),
      frame(0x81, R"({"op":"query","id":"3","to":"org/acme/note/n1","name":"note.read","body":{}})"),
      frame(0x89, "ping"),
      frame(0x01, R"({"op":"pi)"),
      frame(0x80, R"(ng","id":"4"})"),
      frame(0xC1, std::string("\xaa\x56\x4a\x07\x00", 5)),
      frame(0x88, std::string("\x03\xe8", 2))};
  return all;
}

std::string changed(std::string text, const std::vector<std::string>& others, chance& c) {
  for (auto edits = c.below(6); edits > 0 && !text.empty(); --edits) {
    const auto at = c.below(text.size()), size = c.below(std::min<std::size_t>(text.size() - at, 40)) + 1;
    switch (c.below(6)) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << c.below(8)));
        break;
      case 1:
        text[at] = c.one_of(std::string_view("\r\n\0:;,% \xff{\"0", 13));
        break;
      case 2:
        text.erase(at, size);
        break;
      case 3:
        text.insert(at, text.substr(at, size));
        break;
      case 4:
        text.insert(at, std::string(size, static_cast<char>(c.below(256))));
        break;
      default:
        text.insert(at, c.one_of(others).substr(0, size));
        break;
    }
  }
  return text;
}

// Says the bytes, `later` once the server has answered, and no more; hears all that comes.
std::string exchanged(const served& s, const std::string& bytes, const std::string& later = {}) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{std::chrono::seconds(patience).count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(s.at.port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string heard;
  char some[16384];
  ssize_t n = 0;
  if (!later.empty()) {
    n = ::recv(fd, some, sizeof some, 0);
    heard.assign(some, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    (void)!::send(fd, later.data(), later.size(), MSG_NOSIGNAL);
  }
  ::shutdown(fd, SHUT_WR);
  while ((n = ::recv(fd, some, sizeof some, 0)) > 0) heard.append(some, static_cast<std::size_t>(n));
  CHECK_MESSAGE((n == 0 || errno == ECONNRESET), "the server neither answers nor ends the connection");
  ::close(fd);
  return heard;
}

struct faults {
  std::mutex mutex;
  std::vector<std::string> seen;
  void operator()(gateway::gateway_options& o) {
    o.log = [this](std::string_view area, std::string_view text) {
      const std::lock_guard lock(mutex);
      seen.push_back(std::string(area) + " " + std::string(text));
    };
  }
};

json anything(chance& c, int depth) {
  switch (c.below(depth > 0 ? 9 : 7)) {
    case 0:
      return nullptr;
    case 1:
      return c.below(2) == 0;
    case 2:
      return static_cast<std::int64_t>(c.below(1000)) - 500;
    case 3:
      return c.one_of(std::array{1e308, -0.0, 9007199254740993.0, 1e-7});
    case 4:
      return std::numeric_limits<std::uint64_t>::max();
    case 5:
      return std::string(c.below(300), static_cast<char>('a' + c.below(26)));
    case 6:
      return c.one_of(std::array<const char*, 4>{"", "\xf0\x9f\x98\x80", "\\u0000\n\"", "org/acme/note/n1"});
    case 7: {
      auto list = json::array();
      for (auto i = c.below(5); i > 0; --i) list.push_back(anything(c, depth - 1));
      return list;
    }
    default: {
      auto object = json::object();
      constexpr std::array<const char*, 8> names{"text", "id", "op", "count", "line", "body", "", "have"};
      for (auto i = c.below(5); i > 0; --i) object[c.one_of(names)] = anything(c, depth - 1);
      return object;
    }
  }
}

}  // namespace

TEST_CASE("whatever comes over HTTP is answered as HTTP or not at all, and fails nothing here") {
  const auto seed = seed_of_run();
  INFO("TROUPE_SEED=", seed);
  chance c(seed);
  faults faulty;
  served s([&](gateway::gateway_options& o) { faulty(o); });
  for (int i = 0; i < 500; ++i) {
    const auto said = changed(c.one_of(requests()), requests(), c);
    const auto heard = exchanged(s, said);
    INFO("said: ", said);
    INFO("heard: ", heard.substr(0, 300));
    const bool http = heard.empty() || heard.starts_with("HTTP/1.1 ");
    REQUIRE(http);
    const bool not_ours = heard.empty() || heard.substr(9, 3) != "500";
    REQUIRE(not_ours);
  }
  CHECK(s.get("/v1/health", "").status == 200);
  for (const auto& one : faulty.seen) CHECK_MESSAGE(false, one);
}

TEST_CASE("whatever frames come over a WebSocket, it ends by itself and the others go on") {
  const auto seed = seed_of_run();
  INFO("TROUPE_SEED=", seed);
  chance c(seed);
  faults faulty;
  served s([&](gateway::gateway_options& o) { faulty(o); });
  talker fine(s);
  const auto before = s.actors->stats().subscribers;
  for (int i = 0; i < 300; ++i) {
    std::string said;
    for (auto n = c.below(6) + 1; n > 0; --n) said += changed(c.one_of(frames()), frames(), c);
    const auto heard = exchanged(s, handshake, said);
    INFO("said: ", said);
    REQUIRE(heard.starts_with("HTTP/1.1 101"));
  }
  CHECK(fine.ask({{"op", "query"}, {"id", "q"}, {"to", "org/acme/note/n1"}, {"name", "note.read"}})["ok"] ==
        true);
  const auto until = wire::clock::now() + patience;
  while (s.actors->stats().subscribers != before && wire::clock::now() < until) std::this_thread::yield();
  CHECK(s.actors->stats().subscribers == before);
  for (const auto& one : faulty.seen) CHECK_MESSAGE(false, one);
}

TEST_CASE("whatever JSON comes as a body or a message is applied or refused with a code, never a fault") {
  const auto seed = seed_of_run();
  INFO("TROUPE_SEED=", seed);
  chance c(seed);
  faults faulty;
  served s([&](gateway::gateway_options& o) { faulty(o); });
  talker t(s, "mia-token");
  constexpr std::array<const char*, 5> targets{"/v1/actors/org/acme/note/n1/commands/note.write",
                                               "/v1/actors/org/acme/note/n1/commands/note.add",
                                               "/v1/actors/org/acme/note/n1/queries/note.read",
                                               "/v1/actors/org/acme/commands/org.make", "/v1/session"};
  for (int i = 0; i < 150; ++i) {
    const auto body = anything(c, 4);
    INFO("body: ", body.dump());
    // org.make of this kit and note.add take any object, and mean what they find in it.
    const std::string target = c.one_of(targets);
    const auto answer = s.post(target, body, "mia-token");
    if (answer.status < 300) continue;
    const bool refused = answer.status >= 400 && answer.status < 500;
    const bool open = target.ends_with("org.make") || target.ends_with("note.add");
    CHECK_MESSAGE((refused || open), target, " ", answer.status);
    CHECK(json::parse(answer.bytes())["code"].is_string());
  }
  constexpr std::array<const char*, 5> ops{"subscribe", "unsubscribe", "command", "query", "no-such"};
  for (int i = 0; i < 300; ++i) {
    auto message = anything(c, 3);
    if (!message.is_object()) message = json::object();
    message["id"] = "m" + std::to_string(i);
    message["op"] = c.one_of(ops);
    if (c.below(2)) message["topic"] = c.below(2) ? json("org/acme/note/n1#lines") : anything(c, 1);
    if (c.below(2)) message["to"] = "org/acme/note/n1";
    if (c.below(2)) message["name"] = "note.write";
    INFO("message: ", message.dump());
    const auto r = t.ask(message);  // every frame is checked against the contract
    if (r["ok"] == false) CHECK(r["error"]["code"].is_string());
  }
  CHECK(s.get("/v1/health", "").status == 200);
}
