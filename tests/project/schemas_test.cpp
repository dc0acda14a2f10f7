// Schemas declare 2020-12 and mean the same in draft 7, which is what the validator knows.
#include <regex>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/project/tree.h"

using namespace troupe::project;
using nlohmann::json;

namespace {

const std::set<std::string>& keywords() {
  static const std::set<std::string> all{"$schema",
                                         "$id",
                                         "$ref",
                                         "$comment",
                                         "$defs",
                                         "definitions",
                                         "title",
                                         "description",
                                         "default",
                                         "examples",
                                         "readOnly",
                                         "writeOnly",
                                         "type",
                                         "enum",
                                         "const",
                                         "multipleOf",
                                         "maximum",
                                         "exclusiveMaximum",
                                         "minimum",
                                         "exclusiveMinimum",
                                         "maxLength",
                                         "minLength",
                                         "pattern",
                                         "format",
                                         "items",
                                         "maxItems",
                                         "minItems",
                                         "uniqueItems",
                                         "contains",
                                         "properties",
                                         "patternProperties",
                                         "additionalProperties",
                                         "propertyNames",
                                         "maxProperties",
                                         "minProperties",
                                         "required",
                                         "if",
                                         "then",
                                         "else",
                                         "allOf",
                                         "anyOf",
                                         "oneOf",
                                         "not",
                                         "contentEncoding",
                                         "contentMediaType"};
  return all;
}

// In draft 7 everything beside a $ref is ignored, in 2020-12 it counts: only what never counts may stand
// there.
const std::set<std::string>& beside_ref() {
  static const std::set<std::string> all{"$ref", "$comment", "title", "description", "examples", "default"};
  return all;
}

void check(const json& schema, const std::string& where) {
  if (schema.is_boolean()) return;
  REQUIRE_MESSAGE(schema.is_object(), where, " is not a schema");
  const bool ref = schema.contains("$ref");
  for (const auto& [name, value] : schema.items()) {
    const auto here = where + "/" + name;
    CHECK_MESSAGE(keywords().contains(name), here, " is not a keyword of both drafts");
    if (ref && where.find('#') != std::string::npos && !where.ends_with("#")) {
      CHECK_MESSAGE(beside_ref().contains(name), here, " stands beside a $ref");
    }
    if (name == "properties" || name == "patternProperties" || name == "$defs" || name == "definitions") {
      for (const auto& [key, inner] : value.items()) check(inner, here + "/" + key);
    } else if (name == "allOf" || name == "anyOf" || name == "oneOf") {
      for (std::size_t i = 0; i < value.size(); ++i) check(value[i], here + "/" + std::to_string(i));
    } else if (name == "items" || name == "contains" || name == "additionalProperties" ||
               name == "propertyNames" || name == "not" || name == "if" || name == "then" || name == "else") {
      // An array of items means a tuple in draft 7 and nothing in 2020-12; check() refuses it.
      check(value, here);
    }
  }
}

}  // namespace

TEST_CASE("a schema is JSON, declares 2020-12 and uses only keywords that draft 7 reads the same way") {
  int checked = 0;
  for (const auto* file : files({".json"}, {"schemas"})) {
    const auto schema = json::parse(file->text, nullptr, false);
    REQUIRE_MESSAGE(!schema.is_discarded(), file->path, " is not JSON");
    if (!schema.is_object()) continue;
    ++checked;
    CHECK_MESSAGE(schema.value("$schema", "") == "https://json-schema.org/draft/2020-12/schema", file->path);
    check(schema, file->path + "#");
  }
  CHECK(checked > 0);
}

TEST_CASE("a schema closes every object that it lists the properties of, or says why not") {
  for (const auto* file : files({".body.json"}, {"schemas"})) {
    const auto schema = json::parse(file->text, nullptr, false);
    if (!schema.is_object() || !schema.contains("properties")) continue;
    CHECK_MESSAGE(schema.contains("additionalProperties"), file->path,
                  ": a body with an unknown field must be refused, or the schema say otherwise");
  }
}

TEST_CASE("a table declares its primary key, and a table of one row says so") {
  for (const auto* file : files({".sql"}, {"schemas"})) {
    std::string statement;
    for (const auto& [number, text] : lines(file->text)) {
      statement += std::string(text.substr(0, text.find("--"))) + " ";
      if (text.find(';') == std::string_view::npos) continue;
      if (statement.find("CREATE TABLE") != std::string::npos) {
        CHECK_MESSAGE(statement.find("PRIMARY KEY") != std::string::npos, at(*file, number),
                      " ends a table without one");
      }
      statement.clear();
    }
  }
}

TEST_CASE("the OpenAPI document of sandboxd names each of its routes, and no other") {
  std::set<std::string> served;
  const std::regex route(R"re(\.on\(\s*"([A-Z]+)", "(/[^"]*)")re");
  for (const auto* file : files({".cpp"}, {"sandboxd"}))
    for (std::sregex_iterator at(file->text.begin(), file->text.end(), route), end; at != end; ++at)
      served.insert((*at)[1].str() + " " + (*at)[2].str());
  std::set<std::string> documented;
  for (const auto* file : files({"openapi.json"}, {"sandboxd"})) {
    const auto document = json::parse(file->text);
    for (const auto& [path, item] : document.at("paths").items())
      for (std::string method : {"get", "put", "post", "delete"})
        if (item.contains(method)) {
          for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
          documented.insert(method + " " + path);
        }
  }
  CHECK(served.size() > 40);
  for (const auto& one : served) CHECK_MESSAGE(documented.count(one), one, " is served and not documented");
  for (const auto& one : documented) CHECK_MESSAGE(served.count(one), one, " is documented and not served");
}
