#include "drivers/daemon/redaction.h"

#include <doctest/doctest.h>

using namespace troupe::drivers;
using nlohmann::json;

namespace {

const std::string secret = "sk-ant+planted/0123?";
const redaction secrets({secret + "\n", "short",
                         "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----"});

std::string masked(std::string text) {
  secrets.apply(text);
  return text;
}

std::vector<std::string> masked(std::vector<std::string> pieces, const std::string& before = {}) {
  std::vector<std::string*> all;
  for (auto& one : pieces) all.push_back(&one);
  secrets.apply(all, before);
  return pieces;
}

}  // namespace

TEST_CASE("a secret is taken out of a text as it is, URL-encoded, and as a string of JSON") {
  CHECK(masked("the key is " + secret + ", twice " + secret) == "the key is ***, twice ***");
  CHECK(masked("?key=sk-ant%2Bplanted%2F0123%3F&x") == "?key=***&x");
  CHECK(masked("nothing here") == "nothing here");
}

TEST_CASE("a secret in base64 is found wherever it stands in what was encoded") {
  // base64 of "key: SECRET", "a=SECRET;" and SECRET alone.
  for (const auto* text : {"a2V5OiBzay1hbnQrcGxhbnRlZC8wMTIzPw==", "YT1zay1hbnQrcGxhbnRlZC8wMTIzPzs=",
                           "c2stYW50K3BsYW50ZWQvMDEyMz8="}) {
    CAPTURE(text);
    const auto left = masked(std::string(text));
    CHECK(left.find("***") != std::string::npos);
    CHECK(left.size() < 16);
  }
}

TEST_CASE("a line of a secret with many lines is a secret, and a value of a few bytes is none") {
  CHECK(masked("got MIIEvQIBADANBgkqhkiG9w0B here") == "got *** here");
  CHECK(masked("this is short") == "this is short");
}

TEST_CASE("a secret in pieces is marked where it began, and nothing of it is left in the others") {
  CHECK(masked(std::vector<std::string>{"key sk-a", "nt+plan", "ted/0123? ok"}) ==
        std::vector<std::string>{"key ***", "", " ok"});
  CHECK(masked(std::vector<std::string>{"nt+planted/0123?", " and on"}, "sk-a") ==
        std::vector<std::string>{"***", " and on"});
  CHECK(secrets.open_end("the key is sk-ant+pl") == 9);
  CHECK(secrets.open_end("the key.") == 0);
}

TEST_CASE("every text of a document is looked at, and the names of its members stay") {
  json value{{"a", {secret, 1, nullptr}}, {secret, "x " + secret}};
  secrets.apply(value);
  CHECK(value["a"][0] == "***");
  CHECK(value[secret] == "x ***");
}
