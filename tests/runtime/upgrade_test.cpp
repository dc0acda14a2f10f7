// A program with newer tables on the data folder of an older one.
#include "runtime/upgrade.h"

#include <fstream>

#include <doctest/doctest.h>

#include "runtime/backup.h"
#include "runtime/host.h"
#include "tests/storage/scratch.h"

using namespace troupe;

namespace {

constexpr storage::migration of_both[] = {
    {1, "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL)"},
    {2, "ALTER TABLE words ADD COLUMN letters INTEGER NOT NULL DEFAULT 7"}};
constexpr std::string_view any = R"({"type":"object"})";
constexpr schema_file files[] = {{"diary.open.body.json", any},
                                 {"diary.write.body.json", any},
                                 {"diary.write.result.json", any},
                                 {"diary.read.body.json", any},
                                 {"diary.read.result.json", any}};

answer open_diary(turn&, const json&) {
  return done();
}

answer write_word(turn& t, const json& body) {
  t.run("INSERT INTO words (word) VALUES (?)", body["word"].get<std::string>());
  return done();
}

template <int Version>
answer read_words(const view& v, const json&) {
  json all = json::array();
  v.each(Version == 1 ? "SELECT word FROM words" : "SELECT word || letters FROM words",
         [&](const storage::row& r) { all.push_back(r.get<std::string>(0)); });
  return json{{"words", all}};
}

template <int Version>
kind diary_of() {
  return {.name = "diary",
          .schema = {std::span(of_both).first(Version), files},
          .commands = {{"diary.open", from::host(), lane::interactive, open_diary, {}, /*creates=*/true},
                       {"diary.write", from::client("member"), lane::interactive, write_word}},
          .queries = {{"diary.read", "viewer", read_words<Version>}}};
}

// A program that knows the first `Version` migrations.
template <int Version>
class program {
 public:
  explicit program(const std::filesystem::path& data) : is_(diary_of<Version>()) {
    host_.emplace(host_options{.data = data, .kinds = {&is_}});
    host_->start();
  }
  void write(const char* diary, const char* word) {
    host_->call_as_host(key(diary), "diary.open", json::object(), "open", /*create=*/true);
    REQUIRE(host_
                ->call({.to = key(diary),
                        .id = word,
                        .name = "diary.write",
                        .body = {{"word", word}},
                        .principal = "me"})
                .ok());
  }
  json read(const char* diary) {
    const auto r =
        host_->ask({.to = key(diary), .name = "diary.read", .body = json::object(), .principal = "me"});
    return r.ok() ? r.result()["words"] : json(r.error().code);
  }

 private:
  kind is_;
  std::optional<host> host_;
};

}  // namespace

TEST_CASE("before a newer program changes a table there is a backup that the older one can serve") {
  scratch folder;
  program<1>(folder / "data").write("diary/ada", "one");
  CHECK(program<2>(folder / "data").read("diary/ada") == json{"one7"});
  REQUIRE(backups_in(before_upgrade(folder / "data")).size() == 1);
  restore(before_upgrade(folder / "data"), folder / "back");
  CHECK(program<1>(folder / "back").read("diary/ada") == json{"one"});
}

TEST_CASE("a start whose tables are those of the last one copies nothing") {
  scratch folder;
  program<1>(folder / "data").write("diary/ada", "one");
  program<1>(folder / "data").write("diary/ada", "two");
  CHECK(!std::filesystem::exists(before_upgrade(folder / "data")));
  program<2>(folder / "data").write("diary/ada", "three");
  CHECK(program<2>(folder / "data").read("diary/ada") == json{"one7", "two7", "three7"});
  CHECK(backups_in(before_upgrade(folder / "data")).size() == 1);
}

TEST_CASE("an older program on a newer folder refuses by name and changes nothing") {
  scratch folder;
  program<2>(folder / "data").write("diary/ada", "one");
  try {
    program<1> older(folder / "data");
    FAIL("it started");
  } catch (const storage::error& e) {
    CHECK(e.kind() == storage::failure::newer_schema);
    CHECK(std::string(e.what()).find("diary 2 to 1") != std::string::npos);
  }
  CHECK(program<2>(folder / "data").read("diary/ada") == json{"one7"});
}

TEST_CASE("without a backup nothing is migrated") {
  scratch folder;
  program<1>(folder / "data").write("diary/ada", "one");
  std::ofstream(before_upgrade(folder / "data")) << "a file where the folder of backups should be";
  CHECK_THROWS(program<2>(folder / "data"));
  CHECK(program<1>(folder / "data").read("diary/ada") == json{"one"});
}

TEST_CASE(
    "a broken file is copied as it is, keeps nobody from upgrading, and is quarantined where it is "
    "restored") {
  scratch folder;
  program<1>(folder / "data").write("diary/ada", "one");
  program<1>(folder / "data").write("diary/bob", "two");
  std::ofstream(folder / "data" / "diary/bob/actor.sqlite") << "no database at all";
  CHECK(program<2>(folder / "data").read("diary/ada") == json{"one7"});
  const auto made = back_up(folder / "data", folder / "backups");
  REQUIRE(made.damaged.size() == 1);
  CHECK(made.damaged[0] == key("diary/bob"));
  restore(folder / "backups", folder / "back");
  program<2> again(folder / "back");
  CHECK(again.read("diary/ada") == json{"one7"});
  CHECK(again.read("diary/bob") == "quarantined");
}
