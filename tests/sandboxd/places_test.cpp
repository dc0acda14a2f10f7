// Processes, terminals and files over HTTP.
#include <sys/stat.h>

#include <future>
#include <sstream>

#include "tests/sandboxd/serving.h"

using namespace troupe;
using namespace troupe::tests;

namespace {

json shell(const std::string& script) {
  return {{"command", "sh"}, {"args", {"-c", script}}};
}

std::string decoded(const std::string& base64) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, have = 0;
  for (char c : base64) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    if ((have += 6) >= 8) out += static_cast<char>(bits >> (have -= 8));
  }
  return out;
}

std::string log_of(serving& s, const std::string& id, const std::string& query = "") {
  std::string out;
  auto logs = s.get("/v1/processes/" + id + "/logs" + query);
  for (auto& e : logs.body["entries"]) out += decoded(e["data"]);
  return out;
}

std::string header_block(std::string name, std::size_t size, char type, const std::string& link = "") {
  std::string h(512, '\0');
  auto put = [&](std::size_t at, const std::string& text) { h.replace(at, text.size(), text); };
  char number[16];
  put(0, name);
  put(100, "0000644");
  std::snprintf(number, sizeof number, "%011zo", size);
  put(124, number);
  put(148, "        ");
  h[156] = type;
  put(157, link);
  put(257, "ustar");
  unsigned sum = 0;
  for (unsigned char c : h) sum += c;
  std::snprintf(number, sizeof number, "%06o", sum);
  put(148, number);
  h[154] = '\0';
  return h;
}

std::string tar_file(const std::string& name, const std::string& contents) {
  auto out = header_block(name, contents.size(), '0') + contents;
  out.resize((out.size() + 511) / 512 * 512);
  return out;
}

const wire::headers as_tar{{"content-type", "application/x-tar"}};

}  // namespace

TEST_CASE("run gives both streams, the exit code, and null for a signal") {
  serving s;
  auto said = s.post("/v1/processes/run", shell("echo out; echo err >&2; exit 3"));
  CHECK(said.body["stdout"] == "out\n");
  CHECK(said.body["stderr"] == "err\n");
  CHECK(said.body["exitCode"] == 3);
  CHECK(said.body["timedOut"] == false);
  CHECK(s.post("/v1/processes/run", shell("kill -9 $$")).body["exitCode"].is_null());
}

TEST_CASE("a run beyond its time is killed with all that it started, and its output is kept") {
  serving s;
  auto body = shell("echo $$; (setsid sleep 1000 & echo $!; wait) ; sleep 1000");
  body["timeoutMs"] = 1000;
  auto said = s.post("/v1/processes/run", body);
  CHECK(said.body["timedOut"] == true);
  CHECK(said.body["exitCode"].is_null());
  std::istringstream pids(said.body["stdout"].get<std::string>());
  int count = 0;
  for (pid_t pid; pids >> pid; ++count) CHECK(!alive(pid));
  CHECK(count == 2);
}

TEST_CASE("run cuts each stream at its limit and says so") {
  serving s;
  auto body = shell("head -c 100000 /dev/zero | tr '\\0' x; echo short >&2");
  body["maxOutputBytes"] = 1000;
  auto said = s.post("/v1/processes/run", body);
  CHECK(said.body["stdout"] == std::string(1000, 'x'));
  CHECK(said.body["stdoutTruncated"] == true);
  CHECK(said.body["stderr"] == "short\n");
  CHECK(said.body["stderrTruncated"] == false);
}

TEST_CASE("what cannot be run is refused in the contract's words") {
  serving s;
  CHECK(s.post("/v1/processes/run", {{"command", "  "}}).body["detail"] ==
        "invalid request: command must not be empty");
  CHECK(s.post("/v1/processes/run", json::object()).status == 422);
  CHECK(s.call("POST", "/v1/processes/run", "{").status == 400);
  CHECK(s.call("POST", "/v1/processes/run", "{}", {{"content-type", "text/plain"}}).status == 415);
  auto missing = s.post("/v1/processes/run", {{"command", "no-such-program"}});
  CHECK(missing.status == 502);
  CHECK(missing.body["detail"] ==
        "stream error: failed to spawn process: No such file or directory (os error 2)");
  CHECK(s.post("/v1/processes/run", {{"command", "true"}, {"cwd", "/no/such/folder"}}).status == 502);
}

TEST_CASE("a repeated key runs and creates once") {
  serving s;
  auto counting = shell("echo x >> " + (s.folder / "count") + "; wc -l < " + (s.folder / "count"));
  auto first = s.post("/v1/processes/run", counting, "r");
  CHECK(first.body["stdout"] == "1\n");
  CHECK(s.post("/v1/processes/run", counting, "r").text == first.text);
  auto created = s.post("/v1/processes", {{"command", "cat"}}, "c");
  CHECK(s.post("/v1/processes", {{"command", "cat"}}, "c").body["id"] == created.body["id"]);
  CHECK(s.get("/v1/processes").body["processes"].size() == 1);
  s.kill(SIGKILL);
  s.start();
  CHECK(s.post("/v1/processes/run", counting, "r").text == first.text);
}

TEST_CASE("a process takes input, numbers its output, and ends when it is told to") {
  serving s;
  auto id = s.post("/v1/processes", {{"command", "cat"}}).body["id"].get<std::string>();
  auto at = "/v1/processes/" + id;
  CHECK(s.post(at + "/input", {{"data", "aGVsbG8K"}}).body["bytesWritten"] == 6);
  CHECK(s.post(at + "/input", {{"data", "you\n"}, {"encoding", "utf8"}}).status == 200);
  CHECK(eventually([&] { return log_of(s, id) == "hello\nyou\n"; }));
  CHECK(s.post(at + "/input", {{"data", "!"}}).status == 400);
  CHECK(s.post(at + "/input", {{"data", "x"}, {"encoding", "rot13"}}).body["detail"] ==
        "invalid request: encoding must be one of: base64, utf8, text");
  CHECK(s.post(at + "/input", {{"data", std::string(70000, 'x')}, {"encoding", "utf8"}}).status == 413);
  CHECK(s.call("DELETE", at).status == 409);
  CHECK(s.call("POST", at + "/stop").body["status"] == "exited");
  CHECK(s.post(at + "/input", {{"data", "eA=="}}).status == 409);
  CHECK(s.call("DELETE", at).status == 204);
  CHECK(s.get(at).body["details"] == json{{"id", id}, {"resource", "process"}});
}

TEST_CASE("logs are filtered by stream, tail and since, and can be followed") {
  serving s;
  auto id = s.post("/v1/processes", shell("echo 1; echo e >&2; read x; echo 2; read x; echo 3; sleep 1000"))
                .body["id"]
                .get<std::string>();
  auto at = "/v1/processes/" + id;
  CHECK(eventually([&] { return log_of(s, id).size() == 4; }));
  auto followed = std::async(std::launch::async, [&] {
    return s.events(at + "/logs?follow=true&stream=stdout", 0,
                    [](auto& e) { return decoded(e.data["data"]) == "3\n"; });
  });
  for (int i = 0; i < 2; ++i) {
    auto before = log_of(s, id).size();
    s.post(at + "/input", {{"data", "\n"}, {"encoding", "utf8"}});
    CHECK(eventually([&] { return log_of(s, id).size() > before; }));
  }
  auto seen = followed.get();
  REQUIRE(seen.size() == 3);
  CHECK(seen[1].id == 3);
  CHECK(log_of(s, id, "?stream=stderr") == "e\n");
  CHECK(log_of(s, id, "?tail=1") == "3\n");
  CHECK(log_of(s, id, "?since=3") == "3\n");
  CHECK(s.get(at + "/logs?stream=nothing").status == 400);
}

TEST_CASE("kill ends the whole tree of a process") {
  serving s;
  auto id =
      s.post("/v1/processes", shell("setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done'"))
          .body["id"]
          .get<std::string>();
  REQUIRE(eventually([&] { return !log_of(s, id).empty(); }));
  pid_t inner = std::stoi(log_of(s, id));
  CHECK(alive(inner));
  s.call("POST", "/v1/processes/" + id + "/kill");
  CHECK(eventually([&] { return !alive(inner); }));
}

TEST_CASE("the limit of processes holds and can be changed") {
  serving s;
  auto config = s.get("/v1/processes/config").body;
  CHECK(config["maxConcurrentProcesses"] == 64);
  config["maxConcurrentProcesses"] = 1;
  CHECK(s.post("/v1/processes/config", config).body == config);
  CHECK(s.post("/v1/processes", {{"command", "cat"}}).status == 200);
  CHECK(s.post("/v1/processes", {{"command", "cat"}}).status == 409);
  config["maxOutputBytes"] = 0;
  CHECK(s.post("/v1/processes/config", config).status == 400);
}

TEST_CASE("the log of a talkative process stays within its bound") {
  serving s;
  auto config = s.get("/v1/processes/config").body;
  config["maxLogBytesPerProcess"] = 200'000;
  s.post("/v1/processes/config", config);
  auto id = s.post("/v1/processes", shell("head -c 3000000 /dev/zero | tr '\\0' y; echo end"))
                .body["id"]
                .get<std::string>();
  REQUIRE(eventually([&] { return log_of(s, id, "?tail=1").find("end\n") != std::string::npos; }));
  CHECK(log_of(s, id).size() < 400'000);
}

TEST_CASE("a terminal has a size that can be changed, and many can look at it") {
  serving s;
  auto id = s.post("/v1/processes", {{"command", "sh"}, {"tty", true}}).body["id"].get<std::string>();
  auto at = "/v1/processes/" + id;
  CHECK(s.post(at + "/terminal/resize", {{"cols", 132}, {"rows", 43}}).body ==
        json{{"cols", 132}, {"rows", 43}});
  CHECK(s.get(at + "/terminal/ws").status == 400);

  std::string first, second;
  json exit;
  wire::blocking_client client;
  client.run([&](wire::client& c) -> wire::asio::awaitable<void> {
    auto until = wire::clock::now() + patience;
    wire::websocket_options o1, o2;
    auto a = co_await c.connect_websocket(s.to, at + "/terminal/ws", o1, until);
    auto b = co_await c.connect_websocket(s.to, at + "/terminal/ws", o2, until);
    if (!a || !b) co_return;
    auto hello = co_await a->read();
    if (hello) CHECK(json::parse(hello->data) == json{{"type", "ready"}, {"processId", id}});
    co_await b->read();
    std::string binary = "x";
    co_await a->write(binary, false);
    auto complaint = co_await a->read();
    if (complaint) CHECK(json::parse(complaint->data)["type"] == "error");
    json typed{{"type", "input"}, {"data", "stty size; exit 7\n"}};
    co_await a->write(typed.dump());
    while (auto m = co_await a->read()) {
      if (m->text)
        exit = json::parse(m->data);
      else
        first += m->data;
    }
    CHECK(a->closed().code == wire::close_none);
    while (auto m = co_await b->read())
      if (!m->text) second += m->data;
  });
  CHECK(first.find("43 132") != std::string::npos);
  CHECK(second.find("43 132") != std::string::npos);
  CHECK(exit == json{{"type", "exit"}, {"exitCode", 7}});
  CHECK(log_of(s, id).find("43 132") != std::string::npos);
}

TEST_CASE("files are written, looked at, listed, moved and deleted") {
  serving s;
  CHECK(s.call("PUT", "/v1/fs/file?path=a/b/c.txt", "hello").body["bytesWritten"] == 5);
  auto path = s.folder / "a/b/c.txt";
  CHECK(s.get("/v1/fs/stat?path=~/a/b/c.txt").body["path"] == path);
  CHECK(s.get("/v1/fs/stat?path=" + path).body["size"] == 5);
  auto listed = s.get("/v1/fs/entries?path=a/b").body;
  REQUIRE(listed.size() == 1);
  CHECK(listed[0]["name"] == "c.txt");
  CHECK(listed[0]["path"] == path);
  CHECK(listed[0]["entryType"] == "file");
  CHECK(s.get("/v1/fs/file?path=" + path).text == "hello");
  auto middle = s.call("GET", "/v1/fs/file?path=" + path, "", {{"range", "bytes=1-3"}});
  CHECK(middle.status == 206);
  CHECK(middle.text == "ell");
  CHECK(middle.headers.find("content-range") == "bytes 1-3/5");
  CHECK(s.call("GET", "/v1/fs/file?path=" + path, "", {{"range", "bytes=9-"}}).status == 416);
  s.call("PUT", "/v1/fs/file?path=d", "other");
  CHECK(s.post("/v1/fs/move", {{"from", "a/b/c.txt"}, {"to", "d"}}).body["detail"] ==
        "invalid request: destination already exists: " + (s.folder / "d"));
  CHECK(s.post("/v1/fs/move", {{"from", "a/b/c.txt"}, {"to", "d"}, {"overwrite", true}}).status == 200);
  CHECK(s.get("/v1/fs/file?path=d").text == "hello");
  CHECK(s.call("POST", "/v1/fs/mkdir?path=e/f").status == 200);
  CHECK(s.call("POST", "/v1/fs/mkdir?path=e/f").status == 200);
  CHECK(s.call("DELETE", "/v1/fs/entry?path=e").body["detail"] ==
        "stream error: Directory not empty (os error 39)");
  CHECK(s.call("DELETE", "/v1/fs/entry?path=e&recursive=true").status == 200);
  CHECK(s.get("/v1/fs/stat?path=e").body["detail"] == "invalid request: path not found: " + (s.folder / "e"));
  CHECK(s.get("/v1/fs/file?path=a").body["detail"] ==
        "invalid request: path is not a file: " + (s.folder / "a"));
  CHECK(s.get("/v1/fs/file?path=../x").status == 400);
  CHECK(s.get("/v1/fs/file").status == 400);
}

TEST_CASE("a large file passes both ways in pieces") {
  serving s;
  std::string large;
  for (int i = 0; large.size() < 9'000'000; ++i) large += std::to_string(i) + "\n";
  CHECK(s.call("PUT", "/v1/fs/file?path=large", large).body["bytesWritten"] == large.size());
  CHECK(s.get("/v1/fs/file?path=large").text == large);
}

TEST_CASE("moving over a filled folder that holds what is moved loses nothing") {
  serving s;
  s.call("PUT", "/v1/fs/file?path=top/inner/f", "kept");
  auto moved = s.post("/v1/fs/move", {{"from", "top/inner"}, {"to", "top"}, {"overwrite", true}});
  CHECK(moved.status == 200);
  CHECK(s.get("/v1/fs/file?path=top/f").text == "kept");
}

TEST_CASE("with a root nothing outside of it is read, written, listed, moved or removed") {
  temporary_folder outside;
  temporary_folder root;
  ::symlink(outside.path().c_str(), (root / "way-out").c_str());
  ::symlink("../../../../../../etc", (root / "up").c_str());
  FILE* f = ::fopen((outside / "secret").c_str(), "w");
  REQUIRE(f);
  ::fputs("secret", f);
  ::fclose(f);
  serving s({"--root", root.path()});
  CHECK(s.call("PUT", "/v1/fs/file?path=" + (root / "inside"), "fine").status == 200);
  for (auto& path : {outside / "secret", root / "way-out/secret", root / "../" + outside.path() + "/secret",
                     root / "up/passwd", std::string("/etc/passwd"), root / "x/../../../etc/passwd"}) {
    auto q = "?path=" + wire::percent_encode(path);
    CHECK_MESSAGE(s.get("/v1/fs/file" + q).status == 400, path);
    CHECK_MESSAGE(s.get("/v1/fs/stat" + q).status == 400, path);
    CHECK_MESSAGE(s.call("PUT", "/v1/fs/file" + q, "overwritten").status == 400, path);
    CHECK_MESSAGE(s.call("DELETE", "/v1/fs/entry" + q).status == 400, path);
    CHECK_MESSAGE(s.post("/v1/fs/move", {{"from", path}, {"to", root / "taken"}}).status == 400, path);
    CHECK_MESSAGE(
        s.post("/v1/fs/move", {{"from", root / "inside"}, {"to", path}, {"overwrite", true}}).status == 400,
        path);
  }
  CHECK(s.get("/v1/fs/entries?path=" + (root / "way-out")).status == 400);
  CHECK(std::filesystem::file_size(outside / "secret") == 6);
  // The link itself may go; what it names stays.
  CHECK(s.call("DELETE", "/v1/fs/entry?recursive=true&path=" + (root / "way-out")).status == 200);
  CHECK(std::filesystem::exists(outside / "secret"));
}

TEST_CASE("a FIFO cannot hang the daemon") {
  serving s;
  REQUIRE(::mkfifo((s.folder / "pipe").c_str(), 0600) == 0);
  CHECK(s.get("/v1/fs/file?path=pipe").status == 400);
  CHECK(s.call("PUT", "/v1/fs/file?path=pipe", "x").status >= 400);
  CHECK(s.get("/v1/health").status == 200);
}

TEST_CASE("a tar is unpacked below its folder, and a member that leaves it stops it") {
  serving s;
  auto good = header_block("dir/", 0, '5') + tar_file("dir/one", "1") +
              tar_file("./two", std::string(70000, '2')) + header_block("dir/link", 0, '2', "one") +
              std::string(1024, '\0');
  auto said = s.call("POST", "/v1/fs/upload-batch?path=up", good, as_tar);
  CHECK(said.status == 200);
  CHECK(said.body["paths"].size() == 4);
  CHECK(s.get("/v1/fs/file?path=up/dir/one").text == "1");
  CHECK(s.get("/v1/fs/file?path=up/two").text.size() == 70000);
  CHECK(s.get("/v1/fs/file?path=up/dir/link").text == "1");
  auto bad = tar_file("early", "e") + tar_file("../late", "l") + std::string(1024, '\0');
  CHECK(s.call("POST", "/v1/fs/upload-batch?path=up", bad, as_tar).status == 400);
  CHECK(s.get("/v1/fs/file?path=up/early").text == "e");
  CHECK(s.get("/v1/fs/stat?path=late").status == 400);
  CHECK(s.call("POST", "/v1/fs/upload-batch?path=up", good.substr(0, 3000), as_tar).status == 502);
  CHECK(s.call("POST", "/v1/fs/upload-batch?path=up", "x").status == 400);
}

TEST_CASE("told to end, the daemon ends its agents and processes and leaves with 0") {
  serving s;
  auto orphan = s.ask("c", 1, "orphan").body["result"].get<pid_t>();
  auto pid = s.post("/v1/processes", {{"command", "sleep"}, {"args", {"1000"}}}).body["pid"].get<pid_t>();
  CHECK(s.kill(SIGTERM) == 0);
  CHECK(!alive(orphan));
  CHECK(!alive(pid));
}

TEST_CASE("two daemons do not share a state folder") {
  serving s;
  serving other;
  other.kill(SIGKILL);
  auto line = std::string(SANDBOXD_PROGRAM) + " serve --port 0 --state " + (s.folder / "state") + " 2>&1";
  FILE* p = ::popen(line.c_str(), "r");
  REQUIRE(p);
  char said[1024] = {};
  [[maybe_unused]] auto n = ::fread(said, 1, sizeof said - 1, p);
  CHECK(::pclose(p) != 0);
  CHECK(std::string(said).find("another daemon uses the state folder") != std::string::npos);
}
