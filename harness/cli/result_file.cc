// SPDX-License-Identifier: BSD-2-Clause
/// Writes beside the file first and renames: a reader never sees half of it.
#include "harness/cli/result_file.h"

#include "harness/cli/choice.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw usage_error("--json " + path + ": " + why + "; name a file that can be written");
}

/// True if `path` exists and a rename would destroy what it is: a device, a pipe.
bool is_special(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_regular_file(path, ignored);
}

/// The file itself if `path` is a symbolic link to it: the link stays.
fs::path target_of(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  return error ? fs::path(path) : target;
}

fs::path directory_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

/// Empty if every byte has arrived.
std::string write_whole(const fs::path& to, const std::string& text) {
  std::FILE* file = std::fopen(to.c_str(), "wb");
  if (file == nullptr) return std::strerror(errno);
  const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_error = errno;
  if (std::fclose(file) != 0) return std::strerror(errno);
  return is_written ? "" : std::strerror(write_error);
}

}  // namespace

std::string result_text(std::string_view verb_name, std::uint64_t seed, const outcome& found) {
  nlohmann::ordered_json file;
  file["schema"] = "ctbench/1";
  file["verb"] = verb_name;
  file["verdict"] = found.verdict;
  file["exit"] = found.exit;
  file["seed"] = seed;
  file["figures"] = found.figures;
  file["rows"] = found.rows;
  // A path may hold bytes that are not UTF-8: those are replaced rather than the file refused.
  return file.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void expect_writable(const std::string& path) {
  std::error_code ignored;
  if (path.empty()) refuse("''", "is no file name");
  if (fs::is_directory(path, ignored)) refuse(path, "is a directory");
  if (is_special(path)) {
    if (access(path.c_str(), W_OK) != 0) refuse(path, std::strerror(errno));
    return;
  }
  const fs::path target = target_of(path);
  if (access(directory_of(target).c_str(), W_OK | X_OK) != 0) refuse(path, std::strerror(errno));
  if (fs::exists(target, ignored) && access(target.c_str(), W_OK) != 0) {
    refuse(path, std::strerror(errno));
  }
}

void write_result(const std::string& path, const std::string& text) {
  if (is_special(path)) {
    const std::string error = write_whole(path, text);
    if (!error.empty()) refuse(path, error);
    return;
  }
  const fs::path target = target_of(path);
  const fs::path draft =
      directory_of(target) / ("." + target.filename().string() + "." + std::to_string(getpid()));
  std::string error = write_whole(draft, text);
  if (error.empty() && std::rename(draft.c_str(), target.c_str()) != 0)
    error = std::strerror(errno);
  if (error.empty()) return;
  unlink(draft.c_str());
  refuse(path, error);
}

}  // namespace ct::harness
