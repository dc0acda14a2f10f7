#include "actors/audit_log/chain.h"

#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "actors/audit_log/auditor.h"
#include "actors/sha256.h"

using namespace troupe::actors;
using json = nlohmann::json;

namespace {

std::vector<json> chain_of(int entries) {
  std::vector<json> out;
  std::string previous(chain_start());
  for (int i = 1; i <= entries; ++i) {
    json e{{"seq", i}, {"kind", "task.created"}, {"payload", {{"n", i}}}, {"previous", previous}};
    e["hash"] = previous = chain_hash(e);
    out.push_back(e);
  }
  return out;
}

int followed(const std::vector<json>& entries) {
  chain_check check;
  int n = 0;
  for (const auto& e : entries) {
    if (check.next(e)) break;
    ++n;
  }
  return n;
}

}  // namespace

TEST_CASE("SHA-256 is the published one") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("an untouched chain follows to its end") {
  CHECK(followed(chain_of(5)) == 5);
}

TEST_CASE("an altered entry breaks the chain there") {
  auto entries = chain_of(5);
  entries[2]["payload"]["n"] = 99;
  CHECK(followed(entries) == 2);
}

TEST_CASE("an altered entry with a hash of its own breaks the chain at the next") {
  auto entries = chain_of(5);
  entries[2]["payload"]["n"] = 99;
  entries[2]["hash"] = chain_hash(entries[2]);
  CHECK(followed(entries) == 3);
}

TEST_CASE("a removed entry and two exchanged ones break the chain") {
  auto removed = chain_of(5);
  removed.erase(removed.begin() + 1);
  CHECK(followed(removed) == 1);
  auto exchanged = chain_of(5);
  std::swap(exchanged[1], exchanged[2]);
  CHECK(followed(exchanged) == 1);
}

TEST_CASE("a chain can be followed from an entry that is known") {
  const auto entries = chain_of(5);
  chain_check check(3, entries[2]["hash"].get<std::string>());
  CHECK(!check.next(entries[3]));
  CHECK(!check.next(entries[4]));
  CHECK(check.seq() == 5);
}

TEST_CASE("an audit payload holds no value of an environment and no hash, and long texts cut") {
  const auto payload =
      audit_payload({{"environment", {{"API_KEY", "sesame"}, {"HOST", {{"secret", "host"}}}}},
                     {"hash", std::string(64, 'a')},
                     {"session", std::string(64, 'b')},
                     {"repository", {{"environment", {{"PASSWORD", "swordfish"}}}}},
                     {"prompt", std::string(5000, 'x')}});
  const auto text = payload.dump();
  CHECK(text.find("sesame") == text.npos);
  CHECK(text.find("swordfish") == text.npos);
  CHECK(!payload.contains("hash"));
  CHECK(payload["session"] == std::string(16, 'b'));
  CHECK(payload["environment"] == json{"API_KEY", "HOST"});
  CHECK(payload["prompt"].get<std::string>().size() <= 200);
}
