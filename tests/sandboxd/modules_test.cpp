// The daemon's parts by themselves: lines, messages, paths, spool, keys, tar, processes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <random>
#include <set>

#include "sandboxd/file_tree.h"
#include "sandboxd/key_ledger.h"
#include "sandboxd/line_splitter.h"
#include "sandboxd/paths.h"
#include "sandboxd/process_tree.h"
#include "sandboxd/reading.h"
#include "sandboxd/rpc_message.h"
#include "sandboxd/spawn.h"
#include "sandboxd/spool.h"
#include "sandboxd/tar_reader.h"
#include "tests/sandboxd/serving.h"

using namespace troupe;
using namespace troupe::sandboxd;
using namespace troupe::tests;

namespace {

std::mt19937 seeded(unsigned seed) {
  return std::mt19937(seed);
}

template <class Random>
std::size_t below(Random& r, std::size_t n) {
  return std::uniform_int_distribution<std::size_t>(0, n - 1)(r);
}

using line_list = std::vector<std::pair<std::string, bool>>;

line_list split(const std::string& bytes, const std::vector<std::size_t>& cuts, std::size_t limit) {
  line_splitter s(limit);
  line_list out;
  auto give = [&](std::string_view line, bool whole) { out.emplace_back(line, whole); };
  std::size_t at = 0;
  for (auto cut : cuts) {
    s.feed(std::string_view(bytes).substr(at, cut - at), give);
    at = cut;
  }
  s.feed(std::string_view(bytes).substr(at), give);
  s.finish(give);
  return out;
}

std::vector<std::string> contents(spool& s, std::uint64_t after = 0) {
  std::vector<std::string> out;
  spool::cursor at(s, after);
  for (;;) {
    auto record = at.next();
    REQUIRE(record.ok());
    if (!record.value()) return out;
    out.push_back(record.value()->bytes);
  }
}

std::unique_ptr<spool> open_spool(const std::string& folder, spool_options o) {
  auto opened = spool::open(folder, o);
  REQUIRE(opened.ok());
  return std::move(opened).value();
}

std::unique_ptr<key_ledger> open_ledger(const std::string& path, ledger_options o = {}) {
  auto opened = key_ledger::open(path, o);
  REQUIRE(opened.ok());
  return std::move(opened).value();
}

remembered outcome_of(std::string body, std::uint64_t position = 1) {
  remembered out;
  out.status = 200;
  out.content_type = "application/json";
  out.body = std::move(body);
  out.position = position;
  return out;
}

}  // namespace

TEST_CASE("any cut of the bytes gives the same lines") {
  auto r = seeded(1);
  for (int round = 0; round < 500; ++round) {
    std::string bytes;
    for (auto n = below(r, 200); n > 0; --n) bytes += "ab\n\r\n{x\xFF\0"[below(r, 9)];
    std::set<std::size_t> cuts;
    for (auto n = below(r, 20); n > 0; --n) cuts.insert(below(r, bytes.size() + 1));
    auto whole = split(bytes, {}, 8);
    CHECK(split(bytes, {cuts.begin(), cuts.end()}, 8) == whole);
    for (auto& [line, complete] : whole) {
      CHECK(!line.empty());
      CHECK(line.find('\n') == line.npos);
      CHECK(line.size() <= 8);
    }
  }
}

TEST_CASE("a line over the limit shows its beginning and spoils no other") {
  auto lines = split("first\n" + std::string(100, 'x') + "\nlast", {}, 10);
  CHECK(lines == line_list{{"first", true}, {std::string(10, 'x'), false}, {"last", true}});
}

TEST_CASE("a look at a message agrees with a whole parse of it") {
  auto r = seeded(2);
  std::vector<std::string> seeds{
      R"({"jsonrpc":"2.0","id":1,"method":"a/b","params":{"id":2,"method":[{"id":3}]}})",
      R"({"id":"x","result":{"a":[1,2.5,-3e4,null,true,"\u00e9\n"]}})",
      R"({"method":"n"})",
      R"([1,2])",
      "5",
      "{}",
      R"({"id":null,"error":{"code":-1}})"};
  for (int round = 0; round < 5000; ++round) {
    auto text = seeds[below(r, seeds.size())];
    for (auto n = below(r, 4); n > 0; --n) text[below(r, text.size())] = "{}[]\",:1a \\\x80\n"[below(r, 13)];
    auto whole = json::parse(text, nullptr, false);
    auto seen = look_at(text);
    REQUIRE_MESSAGE(seen.is_json == !whole.is_discarded(), text);
    REQUIRE_MESSAGE(seen.fault.empty() == whole.is_object(), text);
    if (!whole.is_object()) continue;
    CHECK_MESSAGE(seen.has_method == whole.contains("method"), text);
    bool scalar = whole.contains("id") && !whole["id"].is_structured();
    CHECK_MESSAGE(seen.id.has_value() == scalar, text);
    if (scalar && !whole["id"].is_number_float()) CHECK_MESSAGE(*seen.id == whole["id"].dump(), text);
  }
}

TEST_CASE("a member's name never leaves its folder, whatever it is made of") {
  auto r = seeded(3);
  for (int round = 0; round < 5000; ++round) {
    std::string name;
    for (auto n = below(r, 12); n > 0; --n) {
      static const std::vector<std::string> parts{"a",   "..", ".", "/",   "//", "b/",
                                                  "../", "\\", " ", "...", "~"};
      name += parts[below(r, parts.size())];
    }
    auto checked = member_path(name);
    auto wanted = std::filesystem::path("/base") / name;
    auto normal = wanted.lexically_normal().string();
    if (checked)
      CHECK_MESSAGE((normal == "/base" || normal == "/base/" || normal.rfind("/base/", 0) == 0), name);
    else
      CHECK_MESSAGE((name.front() == '/' || name.find("..") != name.npos), name);
  }
}

TEST_CASE("no path reads what is outside of the root, through links and dots of any kind") {
  temporary_folder all;
  auto root = all / "root";
  std::filesystem::create_directories(root + "/a/b");
  std::filesystem::create_directories(all / "outside");
  std::ofstream(all / "outside/f") << "OUT";
  std::ofstream(all / "f") << "OUT";
  std::ofstream(root + "/f") << "in";
  std::ofstream(root + "/a/f") << "in";
  ::symlink("..", (root + "/a/up").c_str());
  ::symlink("../..", (root + "/a/upup").c_str());
  ::symlink(all.path().c_str(), (root + "/abs").c_str());
  ::symlink("a/b", (root + "/in").c_str());
  ::symlink("/proc/self/root", (root + "/magic").c_str());
  auto tree = file_tree::open(root, root + "/a");
  REQUIRE(tree.ok());
  auto r = seeded(4);
  int opened_some = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string path = below(r, 2) ? root : below(r, 2) ? "" : "~";
    for (auto n = below(r, 7); n > 0; --n) {
      static const std::vector<std::string> parts{"a",    "b",   "..", ".",     "up",
                                                  "upup", "abs", "in", "magic", "outside"};
      path += "/" + parts[below(r, parts.size())];
    }
    path += "/f";
    auto opened = tree->open(path, open_mode::read, 0);
    if (!opened) continue;
    ++opened_some;
    char text[4] = {};
    REQUIRE(::read(opened->get(), text, 3) > 0);
    REQUIRE_MESSAGE(std::string(text) == "in", path);
  }
  CHECK(opened_some > 100);
}

TEST_CASE("the spool agrees with a model through appends, acknowledgements and restarts") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    temporary_folder folder;
    auto r = seeded(seed);
    spool_options o{4000, seed % 2 ? 30u : 0u, 700};
    auto s = open_spool(folder / "s", o);
    std::map<std::uint64_t, std::string> model;
    std::uint64_t last = 0, acked = 0;
    bool consumer = false;
    for (int step = 0; step < 400; ++step) {
      switch (below(r, 12)) {
        case 0:
          s.reset();
          s = open_spool(folder / "s", o);
          break;
        case 1:
          if (seed % 3 == 0) break;  // some never get a consumer
          acked = std::max<std::uint64_t>(acked, below(r, last + 1));
          consumer = true;
          REQUIRE(s->acknowledge(acked).ok());
          break;
        default:
          model[++last] = std::string(below(r, 120), static_cast<char>('a' + step % 26));
          REQUIRE(s->append(0, step, model[last]).value() == last);
      }
      CHECK(s->last() == last);
      auto got = contents(*s);
      // Whatever is there is the unbroken end of what was written.
      auto n = last - got.size();
      for (auto& bytes : got) REQUIRE(bytes == model[++n]);
      REQUIRE(s->first() == last + 1 - got.size());
      if (consumer) {
        CHECK(s->first() <= acked + 1);
        std::uint64_t held = 0;
        for (auto i = acked + 1; i <= last; ++i) held += model[i].size() + 24;
        CHECK(s->held_bytes() == held);
        CHECK(s->full() == (held >= o.capacity_bytes));
      } else {
        CHECK(s->stored_bytes() <= o.capacity_bytes + 2 * o.segment_bytes);
        if (o.ring_records) CHECK(got.size() == std::min<std::uint64_t>(last, o.ring_records));
        CHECK(!s->full());
      }
    }
  }
}

TEST_CASE("a record that the end of the program cut is dropped, and those before it stay") {
  temporary_folder folder;
  auto s = open_spool(folder / "s", {});
  for (auto text : {"one", "two", "three"}) REQUIRE(s->append(0, 0, text).ok());
  s.reset();
  auto file = folder / "s/00000000000000000001.seg";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 2);
  s = open_spool(folder / "s", {});
  CHECK(contents(*s) == std::vector<std::string>{"one", "two"});
  CHECK(s->append(0, 0, "again").value() == 3);
  CHECK(contents(*s, 1) == std::vector<std::string>{"two", "again"});
}

TEST_CASE("keys and their outcomes survive the program, and what was begun is interrupted") {
  temporary_folder folder;
  auto l = open_ledger(folder / "keys");
  CHECK(l->begin("a", 1, 0) == key_ledger::seen::fresh);
  CHECK(l->begin("b", 2, 0) == key_ledger::seen::fresh);
  CHECK(l->begin("c", 3, 0) == key_ledger::seen::fresh);
  CHECK(l->begin("a", 1, 0) == key_ledger::seen::running);
  l->finish("a", outcome_of("A"), 0);
  l->abandon("c");
  for (int lives = 0; lives < 2; ++lives) {
    l.reset();
    l = open_ledger(folder / "keys");
    CHECK(l->begin("a", 1, 0) == key_ledger::seen::finished);
    CHECK(l->recall("a").value().body == "A");
    CHECK(l->begin("a", 9, 0) == key_ledger::seen::mismatch);
    CHECK(l->begin("b", 2, 0) == key_ledger::seen::interrupted);
  }
  CHECK(l->begin("c", 3, 0) == key_ledger::seen::fresh);
}

TEST_CASE("only keys whose outcome was noted make room, the oldest first, and otherwise there is none") {
  temporary_folder folder;
  auto l = open_ledger(folder / "keys", {3, 1 << 20, INT64_MAX});
  for (int i = 1; i <= 3; ++i) {
    auto key = std::to_string(i);
    CHECK(l->begin(key, 0, 0) == key_ledger::seen::fresh);
    l->finish(key, outcome_of("x", static_cast<std::uint64_t>(i)), 0);
  }
  CHECK(l->begin("4", 0, 1'000'000'000) == key_ledger::seen::full);
  l->release_to(2);
  CHECK(l->begin("4", 0, 0) == key_ledger::seen::fresh);
  CHECK(l->begin("2", 0, 0) == key_ledger::seen::finished);
  CHECK(l->begin("3", 0, 0) == key_ledger::seen::finished);
  CHECK(l->begin("1", 0, 0) == key_ledger::seen::fresh);
  CHECK(l->release("3"));
  CHECK(l->begin("5", 0, 0) == key_ledger::seen::fresh);
  CHECK(l->begin("6", 0, 0) == key_ledger::seen::full);
}

TEST_CASE("the file of keys is rewritten when most of it is dead, and loses no outcome") {
  temporary_folder folder;
  auto l = open_ledger(folder / "keys", {10, 64 << 20, INT64_MAX});
  for (int i = 0; i < 200; ++i) {
    auto key = std::to_string(i);
    REQUIRE(l->begin(key, 0, 0) == key_ledger::seen::fresh);
    l->finish(key, outcome_of(std::string(50'000, static_cast<char>('a' + i % 26))), 0);
    REQUIRE(l->release(key));
  }
  CHECK(std::filesystem::file_size(folder / "keys") < 3'000'000);
  l.reset();
  l = open_ledger(folder / "keys", {10, 64 << 20, INT64_MAX});
  for (int i = 195; i < 200; ++i) {
    CHECK(l->begin(std::to_string(i), 0, 0) == key_ledger::seen::finished);
    CHECK(l->recall(std::to_string(i)).value().body == std::string(50'000, static_cast<char>('a' + i % 26)));
  }
}

TEST_CASE("tar is read the same in whatever pieces it comes, and broken bytes never hang it") {
  temporary_folder folder;
  std::filesystem::create_directories(folder / "in/deep");
  std::ofstream(folder / "in/small") << "small";
  std::ofstream(folder / ("in/deep/" + std::string(180, 'n'))) << std::string(3000, 'z');
  for (std::string format : {"ustar", "gnu", "pax"}) {
    if (format == "ustar") std::filesystem::remove(folder / ("in/deep/" + std::string(180, 'n')));
    auto command = "tar -C " + (folder / "in") + " --format=" + format + " -cf " + (folder / "t") + " .";
    REQUIRE(std::system(command.c_str()) == 0);
    if (format == "ustar")
      std::ofstream(folder / ("in/deep/" + std::string(180, 'n'))) << std::string(3000, 'z');
    std::ifstream file(folder / "t", std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    auto read = [&](const std::string& all, std::size_t step) {
      tar_reader t;
      std::string out;
      for (std::size_t at = 0; at < all.size(); at += step) {
        t.feed(all.substr(at, step));
        for (auto e = t.next(); e.kind != tar_reader::event::type::need_more; e = t.next()) {
          if (e.kind == tar_reader::event::type::archive_end) return out + "<end>";
          if (e.kind == tar_reader::event::type::broken) return out + "<broken>";
          if (e.kind == tar_reader::event::type::member) out += "<" + e.member.name + ">";
          out += e.piece;
        }
      }
      return out;
    };
    auto whole = read(bytes, bytes.size());
    CHECK(whole.find("small") != whole.npos);
    if (format != "ustar") CHECK(whole.find("/" + std::string(180, 'n') + ">") != whole.npos);
    CHECK(whole.substr(whole.size() - 5) == "<end>");
    for (std::size_t step : {1u, 7u, 511u, 513u, 4096u}) CHECK(read(bytes, step) == whole);
    auto r = seeded(5);
    for (int round = 0; round < 300; ++round) {
      auto broken = bytes;
      for (int n = 0; n < 5; ++n) broken[below(r, broken.size())] = static_cast<char>(below(r, 256));
      read(broken, 1 + below(r, 1000));
    }
  }
}

TEST_CASE("a started process gets no descriptor of its starter and leads a session") {
  descriptor open_here(::open("/dev/null", O_RDONLY));  // not close-on-exec
  program what;
  what.path = "/bin/sh";
  what.arguments = {"sh", "-c", "ls /proc/self/fd | wc -l; ps -o sid= -p $$ | tr -d ' '; echo $$"};
  what.environment = {"PATH=/usr/bin:/bin"};
  auto started = start_program(what);
  REQUIRE(started.ok());
  ::fcntl(started->output.get(), F_SETFL, 0);
  std::string said;
  char piece[256];
  for (ssize_t n; (n = ::read(started->output.get(), piece, sizeof piece)) > 0;) said.append(piece, n);
  ::waitpid(started->pid, nullptr, 0);
  // 0, 1, 2 and the folder that ls reads.
  auto pid = std::to_string(started->pid);
  CHECK(said == "4\n" + pid + "\n" + pid + "\n");
}

TEST_CASE("what cannot be started says which step failed, and with what") {
  program what;
  what.path = "/nonexistent/program";
  what.arguments = {"program"};
  auto started = start_program(what);
  REQUIRE(!started.ok());
  CHECK(started.error().number == ENOENT);
  CHECK(started.error().text == "start /nonexistent/program");
}

TEST_CASE("invalid UTF-8 becomes replacement characters and valid stays as it is") {
  auto r = seeded(6);
  CHECK(valid_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\xAD") == "gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\xAD");
  CHECK(valid_utf8("a\xFF"
                   "b\xC3") ==
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD");
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (auto n = below(r, 12); n > 0; --n)
      bytes += static_cast<char>(below(r, 2) ? 0x80 + below(r, 128) : below(r, 128));
    auto fixed = valid_utf8(bytes);
    // The library refuses to write what is not UTF-8.
    CHECK_NOTHROW(json(fixed).dump());
    CHECK(valid_utf8(fixed) == fixed);
    CHECK(from_base64(base64(bytes)) == bytes);
  }
}
