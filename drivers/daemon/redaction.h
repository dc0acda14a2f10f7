// Secrets as *** in what sandboxes and agents say, before anything of it is stored or shown.
//
// A secret is found as it is, in base64, URL-encoded, and as a JSON string; also when it comes in pieces that
// follow each other. It is a defence against carelessness: who wants to hide a secret from it can.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/effect.h"

namespace troupe::drivers {

/// Thread-safe once made.
class redaction {
 public:
  static constexpr std::size_t least_bytes = 8;  // shorter values would hide ordinary words
  static constexpr std::string_view mark = "***";

  explicit redaction(const std::vector<std::string>& values);
  bool empty() const { return forms_.empty(); }

  void apply(std::string& text) const;
  /// Every text in it; names of members stay.
  void apply(nlohmann::json& value) const;

  /// The pieces as one text that follows `before`: what of a secret lies in them is taken out, and the mark
  /// stands where it began.
  void apply(const std::vector<std::string*>& pieces, std::string_view before) const;
  /// The length of the longest end of the text that may be the beginning of a secret.
  std::size_t open_end(std::string_view text) const;

 private:
  std::vector<std::string> forms_;  // longest first
};

/// The redaction of an organization's secrets, as they are now; never null. Any thread.
using find_redaction = std::function<std::shared_ptr<const redaction>(std::string_view org)>;

/// The same kind, whose outcomes and entries go through the redaction of the actor's organization.
effect_kind redacted(effect_kind kind, find_redaction find);
feed_kind redacted(feed_kind kind, find_redaction find);

}  // namespace troupe::drivers
