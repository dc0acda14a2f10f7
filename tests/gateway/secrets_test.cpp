#include "net/gateway/secrets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

using namespace troupe::gateway;

namespace {

struct folder {
  folder() {
    auto name = (std::filesystem::temp_directory_path() / "secrets-test-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::string text_of(const std::filesystem::path& p) {
  std::ifstream in(p);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("a secret survives a restart, sealed, in a file of its owner alone") {
  folder f;
  auto key_file = f.path / "key";
  {
    auto store = open_secret_store(f.path / "s", sealing_key::from_file(key_file));
    CHECK(!store->put("acme", "TOKEN", "plain words"));
  }
  auto store = open_secret_store(f.path / "s", sealing_key::from_file(key_file));
  CHECK(store->read("acme", "TOKEN") == "plain words");
  auto file = f.path / "s" / "acme.json";
  CHECK(text_of(file).find("plain") == std::string::npos);
  for (const auto& p : {file, key_file}) {
    struct stat st {};
    REQUIRE(::stat(p.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
  }
}

TEST_CASE("a sealed value cannot be moved to another name, or opened with another key") {
  folder f;
  auto store = open_secret_store(f.path, sealing_key::from_hex(std::string(64, 'a')));
  CHECK(!store->put("acme", "A", "value of a"));
  auto file = f.path / "acme.json";
  auto text = text_of(file);
  text.replace(text.find("\"A\""), 3, "\"B\"");
  std::ofstream(file) << text;
  CHECK(!store->read("acme", "B"));
  CHECK(!store->put("acme", "C", "value of c"));
  auto other = open_secret_store(f.path, sealing_key::from_hex(std::string(64, 'b')));
  CHECK(!other->read("acme", "C"));
  CHECK(store->read("acme", "C") == "value of c");
}

TEST_CASE("a key that others may read, or that is none, is refused") {
  folder f;
  auto where = f.path / "key";
  sealing_key::from_file(where);
  std::filesystem::permissions(where, std::filesystem::perms(0644));
  CHECK_THROWS(sealing_key::from_file(where));
  std::filesystem::permissions(where, std::filesystem::perms(0600));
  std::ofstream(where) << "short\n";
  CHECK_THROWS(sealing_key::from_file(where));
  CHECK_THROWS(sealing_key::from_hex("xyz"));
}

TEST_CASE("names and values have limits") {
  folder f;
  auto store = open_secret_store(f.path, sealing_key::from_hex(std::string(64, 'a')));
  for (auto name : {"", "..", "a/b", "a b"}) CHECK(store->put("acme", name, "x")->status == 422);
  CHECK(store->put("..", "A", "x")->status == 404);
  CHECK(store->put("acme", "A", "")->status == 422);
  CHECK(store->put("acme", "A", std::string(secret_store::max_value_bytes + 1, 'x'))->status == 422);
  CHECK(!store->put("acme", "A", std::string(secret_store::max_value_bytes, 'x')));
  CHECK(store->remove("acme", "B")->status == 404);
}

TEST_CASE("a new key seals every secret anew, and the old one opens none of them") {
  folder f;
  const auto key_file = f.path / "key", files = f.path / "s", copy = f.path / "copy";
  {
    auto store = open_secret_store(files, sealing_key::from_file(key_file));
    CHECK(!store->put("acme", "A", "value of a"));
    CHECK(!store->put("other", "B", "value of b"));
  }
  const auto old = sealing_key::from_file(key_file);
  const auto updated = std::get<0>(open_secret_store(files, old)->list("acme"))[0].updated_at;
  CHECK(rotate_sealing_key(files, key_file) == 2);
  const auto store = open_secret_store(files, sealing_key::from_file(key_file));
  CHECK(store->read("acme", "A") == "value of a");
  CHECK(store->read("other", "B") == "value of b");
  CHECK(std::get<0>(store->list("acme"))[0].updated_at == updated);
  CHECK(!open_secret_store(files, old)->read("acme", "A"));
  CHECK(sealing_key::from_file(key_file).before() == nullptr);
  struct stat st {};
  REQUIRE(::stat(key_file.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE("a rotation that was cut off loses nothing, wherever it stood, and the next one finishes it") {
  for (const bool first_file_done : {false, true}) {
    folder f;
    const auto key_file = f.path / "key", files = f.path / "s";
    const std::string old(64, 'a'), now(64, 'b');
    {
      auto store = open_secret_store(files, sealing_key::from_hex(old));
      CHECK(!store->put("acme", "A", "value of a"));
      CHECK(!store->put("other", "B", "value of b"));
    }
    if (first_file_done) {
      auto store = open_secret_store(files, sealing_key::from_hex(now));
      CHECK(!store->put("acme", "A", "value of a"));
    }
    std::ofstream(key_file) << now << "\n" << old << "\n";
    ::chmod(key_file.c_str(), 0600);
    const auto between = open_secret_store(files, sealing_key::from_file(key_file));
    CHECK(between->read("acme", "A") == "value of a");
    CHECK(between->read("other", "B") == "value of b");
    CHECK(rotate_sealing_key(files, key_file) == 2);
    const auto after = open_secret_store(files, sealing_key::from_file(key_file));
    CHECK(after->read("acme", "A") == "value of a");
    CHECK(after->read("other", "B") == "value of b");
  }
}

TEST_CASE("a value that does not open stops a new key before anything is changed") {
  folder f;
  const auto files = f.path / "s";
  CHECK(!open_secret_store(files, sealing_key::from_hex(std::string(64, 'c')))->put("acme", "A", "value"));
  const auto before = text_of(files / "acme.json");
  CHECK_THROWS(seal_anew(files, sealing_key::from_hex(std::string(64, 'b'))));
  CHECK(text_of(files / "acme.json") == before);
}
