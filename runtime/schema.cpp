#include "runtime/schema.h"

#include <stdexcept>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace troupe {
namespace {

constexpr std::size_t max_violations = 32;

void find_secrets(const nlohmann::json& node, std::vector<std::string>& path,
                  std::vector<std::vector<std::string>>& found) {
  if (!node.is_object()) return;
  if (node.value("writeOnly", false)) {
    found.push_back(path);
    return;
  }
  if (const auto properties = node.find("properties"); properties != node.end() && properties->is_object()) {
    for (const auto& [name, child] : properties->items()) {
      path.push_back(name);
      find_secrets(child, path, found);
      path.pop_back();
    }
  }
}

// valijson names a place as <root>[a][0]; a JSON pointer is /a/0.
std::string pointer(const std::vector<std::string>& context) {
  std::string out;
  for (const auto& step : context) {
    if (step.size() < 2 || step.front() != '[') continue;
    out += '/';
    for (const char c : step.substr(1, step.size() - 2)) {
      if (c == '~')
        out += "~0";
      else if (c == '/')
        out += "~1";
      else
        out += c;
    }
  }
  return out;
}

/// What the schema says about the place that an error's context names; null where that is not simple.
const nlohmann::json& rule_at(const nlohmann::json& schema, const std::vector<std::string>& context) {
  static const nlohmann::json none;
  const auto* at = &schema;
  for (const auto& step : context) {
    if (step.size() < 2 || step.front() != '[') continue;
    const auto name = step.substr(1, step.size() - 2);
    const auto member = [&](const char* keyword) { return at->is_object() && at->contains(keyword); };
    if (member("properties") && (*at)["properties"].contains(name)) {
      at = &(*at)["properties"][name];
    } else if (member("items") && (*at)["items"].is_object()) {
      at = &(*at)["items"];
    } else if (member("additionalProperties") && (*at)["additionalProperties"].is_object()) {
      at = &(*at)["additionalProperties"];
    } else {
      return none;
    }
  }
  return *at;
}

/// valijson says which keyword failed; whoever sent the body wants to know what would have been right.
std::string in_words(const nlohmann::json& rule, const std::string& description) {
  const auto of_rule = [&](const char* keyword) {
    const auto at = rule.is_object() ? rule.find(keyword) : rule.end();
    return at == rule.end() ? std::string() : at->is_string() ? at->get<std::string>() : at->dump();
  };
  const auto quoted = [&] {
    const auto end = description.rfind('\'');
    const auto begin = end == std::string::npos || end == 0 ? end : description.rfind('\'', end - 1);
    return begin == std::string::npos ? std::string() : description.substr(begin + 1, end - begin - 1);
  };
  if (description.starts_with("Failed to match regex")) return "does not match " + of_rule("pattern");
  if (description.starts_with("Failed to match against any enum")) return "is none of " + of_rule("enum");
  if (description.starts_with("Value type not permitted")) return "is not of type " + of_rule("type");
  if (description.starts_with("Missing required property")) return quoted() + " is missing";
  if (description.starts_with("Object contains a property")) return quoted() + " is not known here";
  return description;
}

/// That a part does not fit is said once, by the part.
bool repeats_a_part(const std::string& description) {
  return description.starts_with("Failed to validate against schema associated with") ||
         description.starts_with("Failed to validate item #");
}

}  // namespace

class schema::compiled {
 public:
  valijson::Schema schema;
  nlohmann::json document;
};

schema::schema(std::string_view name, std::string_view text) : compiled_(std::make_unique<compiled>()) {
  try {
    compiled_->document = nlohmann::json::parse(text);
    const auto& document = compiled_->document;
    valijson::adapters::NlohmannJsonAdapter adapter(document);
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(adapter, compiled_->schema);
    std::vector<std::string> path;
    find_secrets(document, path, secrets_);
  } catch (const std::exception& e) {
    throw std::logic_error("schema " + std::string(name) + ": " + e.what());
  }
}

schema::~schema() = default;

std::vector<violation> schema::check(const nlohmann::json& value) const {
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter adapter(value);
  std::vector<violation> found;
  if (validator.validate(compiled_->schema, adapter, &results)) return found;
  valijson::ValidationResults::Error error;
  while (found.size() < max_violations && results.popError(error)) {
    if (repeats_a_part(error.description)) continue;
    found.push_back(
        {pointer(error.context), in_words(rule_at(compiled_->document, error.context), error.description)});
  }
  if (found.empty()) found.push_back({"", "does not fit its schema"});
  return found;
}

nlohmann::json schema::redact(nlohmann::json value) const {
  for (const auto& path : secrets_) {
    auto* at = &value;
    for (const auto& step : path) {
      if (!at->is_object() || !at->contains(step)) {
        at = nullptr;
        break;
      }
      at = &(*at)[step];
    }
    if (at) *at = "***";
  }
  return value;
}

problem invalid_body(const std::vector<violation>& violations) {
  std::string detail;
  for (const auto& v : violations) {
    if (!detail.empty()) detail += "; ";
    detail += (v.pointer.empty() ? "the body" : v.pointer) + ": " + v.message;
  }
  return {422, "invalid_body", detail, violations, {}};
}

}  // namespace troupe
