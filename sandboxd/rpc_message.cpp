#include "sandboxd/rpc_message.h"

#include <nlohmann/json.hpp>

#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

// What is shown of a line that is not a message.
constexpr std::size_t max_shown_bytes = 64 * 1024;

class look : public json::json_sax_t {
 public:
  explicit look(rpc_message& out) : out_(out) {}

  bool null() override { return scalar("null"); }
  bool boolean(bool v) override { return scalar(v ? "true" : "false"); }
  bool number_integer(json::number_integer_t v) override { return scalar(std::to_string(v)); }
  bool number_unsigned(json::number_unsigned_t v) override { return scalar(std::to_string(v)); }
  bool number_float(json::number_float_t, const json::string_t& text) override { return scalar(text); }
  bool string(json::string_t& v) override {
    if (depth_ == 1 && at_ == member::method) out_.method = v;
    return depth_ == 1 && at_ == member::id ? scalar(json(v).dump()) : scalar("");
  }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(json::string_t& name) override {
    if (depth_ != 1) return true;
    at_ = name == "id" ? member::id : name == "method" ? member::method : member::other;
    if (at_ == member::method) out_.has_method = true;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& e) override {
    std::string_view what = e.what();
    if (auto at = what.find("] "); at != what.npos) what.remove_prefix(at + 2);
    out_.fault = what;
    return false;
  }

 private:
  enum class member { other, id, method };

  bool scalar(std::string text) {
    if (depth_ == 0) out_.fault = "not a JSON object";
    if (depth_ == 1 && at_ == member::id) out_.id = std::move(text);
    return true;
  }
  bool open(bool object) {
    if (depth_ == 0 && !object) out_.fault = "not a JSON object";
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  rpc_message& out_;
  std::size_t depth_ = 0;
  member at_ = member::other;
};

}  // namespace

rpc_message look_at(std::string_view text) {
  rpc_message out;
  look into(out);
  out.is_json = json::sax_parse(text, &into);
  if (!out.is_json && out.fault.empty()) out.fault = "not JSON";
  return out;
}

std::string on_one_line(std::string text) {
  for (auto& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text;
}

std::string invalid_stdout(std::string_view error, std::string_view raw) {
  json out;
  out["jsonrpc"] = "2.0";
  out["method"] = "_adapter/invalid_stdout";
  out["params"]["error"] = valid_utf8(error);
  out["params"]["raw"] = valid_utf8(raw.substr(0, max_shown_bytes));
  return out.dump();
}

std::string agent_exited(std::optional<int> code) {
  json out;
  out["jsonrpc"] = "2.0";
  out["method"] = "_adapter/agent_exited";
  out["params"]["code"] = code ? json(*code) : json(nullptr);
  out["params"]["success"] = code == 0;
  return out.dump();
}

}  // namespace troupe::sandboxd
