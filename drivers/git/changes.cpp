#include "drivers/git/changes.h"

#include <charconv>
#include <optional>

namespace troupe::drivers::git {
namespace {

using json = nlohmann::json;

// The fields of a NUL-separated text. A last one without its NUL was cut off and is dropped.
class fields {
 public:
  explicit fields(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    const auto end = rest_.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const auto field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return field;
  }

 private:
  std::string_view rest_;
};

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

const char* status_of(const changed_file& file, bool untracked) {
  if (untracked) return "untracked";
  switch (file.letter) {
    case 'A':
    case 'C':
      return "added";
    case 'D':
      return "deleted";
    case 'R':
      return "renamed";
    default:
      return "modified";
  }
}

}  // namespace

std::vector<changed_file> read_changes(std::string_view raw, std::string_view numstat) {
  std::vector<changed_file> files;
  fields entries(raw);
  // :mode mode id id LETTER[score] NUL path NUL [path NUL]
  while (const auto head = entries.next()) {
    if (head->empty() || head->front() != ':') break;
    changed_file file;
    const auto space = head->rfind(' ');
    if (space == std::string_view::npos || space + 1 >= head->size()) break;
    file.letter = (*head)[space + 1];
    auto path = entries.next();
    if (!path) break;
    if (file.letter == 'R' || file.letter == 'C') {
      file.old_path = *path;
      path = entries.next();
      if (!path) break;
    }
    file.path = *path;
    files.push_back(std::move(file));
  }
  fields counts(numstat);
  // added TAB deleted TAB path NUL, or added TAB deleted TAB NUL old NUL new NUL
  for (auto& file : files) {
    const auto line = counts.next();
    if (!line) break;
    const auto first = line->find('\t');
    const auto second = line->find('\t', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) break;
    file.binary = line->substr(0, first) == "-";
    file.additions = number(line->substr(0, first));
    file.deletions = number(line->substr(first + 1, second - first - 1));
    if (second + 1 == line->size()) {
      counts.next();
      counts.next();
    }
  }
  return files;
}

std::set<std::string> read_names(std::string_view nul_separated) {
  std::set<std::string> names;
  fields all(nul_separated);
  while (const auto name = all.next()) names.emplace(*name);
  return names;
}

json read_unmerged(std::string_view list) {
  std::map<std::string, unsigned> stages;  // bit 0: the common ancestor's, 1: ours, 2: theirs
  fields entries(list);
  // mode id STAGE TAB path NUL
  while (const auto entry = entries.next()) {
    const auto tab = entry->find('\t');
    if (tab == std::string_view::npos || tab == 0) break;
    const char stage = (*entry)[tab - 1];
    if (stage < '1' || stage > '3') break;
    stages[std::string(entry->substr(tab + 1))] |= 1u << (stage - '1');
  }
  static constexpr const char* how[] = {"both_modified", "both_deleted", "added_here", "deleted_there",
                                        "added_there",   "deleted_here", "both_added", "both_modified"};
  json files = json::array();
  for (const auto& [path, mask] : stages) {
    if (files.size() == max_unmerged) break;
    files.push_back({{"path", path}, {"how", how[mask]}});
  }
  const json result{{"files", std::move(files)}, {"count", stages.size()}};
  return json::parse(result.dump(-1, ' ', false, json::error_handler_t::replace));
}

void patch_reader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    auto part = bytes.substr(0, end == std::string_view::npos ? bytes.size() : end + 1);
    bytes.remove_prefix(part.size());
    if (partial_.empty() && !partial_cut_ && end != std::string_view::npos) {
      line(part);
      continue;
    }
    // A line longer than a file may have is of no use whole; what it begins with still says what it is.
    const auto room = max_file_diff + 1 > partial_.size() ? max_file_diff + 1 - partial_.size() : 0;
    if (part.size() > room) partial_cut_ = true;
    partial_ += part.substr(0, room);
    if (end != std::string_view::npos) {
      if (partial_cut_ && !partial_.ends_with('\n')) partial_ += '\n';
      line(partial_);
      partial_.clear();
      partial_cut_ = false;
    }
  }
}

// Lines of a file's content begin with a space, `+`, `-` or `\`, so that no content can look like a new file.
void patch_reader::line(std::string_view text) {
  if (text.starts_with("diff --git ")) next_file();
  if (text_ == nullptr) return;
  auto& file = files_[at_];
  if (file.cut) return;
  if (text_->size() + text.size() > max_file_diff || kept_ + text.size() > max_whole_diff) {
    file.cut = true;
    *text_ += "\\ The rest of this file's diff is not shown: it is too long\n";
    return;
  }
  *text_ += text;
  kept_ += text.size();
}

void patch_reader::next_file() {
  if (at_ < files_.size() && files_[at_].letter == 'T' && !second_half_) {
    second_half_ = true;
    return;
  }
  second_half_ = false;
  ++at_;  // from SIZE_MAX to 0 at first
  text_ = at_ < files_.size() && at_ < max_files ? &texts_[files_[at_].path] : nullptr;
}

void patch_reader::finish(bool whole) {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
  if (whole) return;
  for (auto i = at_ == SIZE_MAX ? 0 : at_; i < files_.size(); ++i) files_[i].cut = true;
}

json diff_result(patch_reader& patch, const std::set<std::string>& untracked, std::string_view head,
                 bool dirty) {
  json list = json::array();
  std::uint64_t additions = 0, deletions = 0;
  for (const auto& file : patch.files()) {
    additions += file.additions;
    deletions += file.deletions;
    if (list.size() == max_files) continue;
    json item = {{"path", file.path},
                 {"status", status_of(file, file.letter == 'A' && untracked.contains(file.path))},
                 {"additions", file.additions},
                 {"deletions", file.deletions},
                 {"binary", file.binary},
                 {"cut", file.cut}};
    if (!file.old_path.empty()) item["old_path"] = file.old_path;
    list.push_back(std::move(item));
  }
  json texts = json::object();
  for (auto& [path, text] : patch.texts()) texts[path] = std::move(text);
  json result = {{"head", head.empty() ? json(nullptr) : json(head)},
                 {"files", std::move(list)},
                 {"additions", additions},
                 {"deletions", deletions},
                 {"diff", std::move(texts)},
                 {"dirty", dirty}};
  // Names and contents are bytes; JSON is UTF-8. A wrong byte becomes U+FFFD here, once, for everyone after.
  return json::parse(result.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace troupe::drivers::git
