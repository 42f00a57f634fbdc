// SPDX-License-Identifier: BSD-2-Clause
/// Files in, findings out.
#include "harness/fuzz/corpus.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace ct::harness::fuzz {
namespace {

/// FNV-1a: a name for bytes, nothing more.
std::uint64_t name_of(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::byte b : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::vector<std::string> corpus_files(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  if (error) {
    throw std::runtime_error(
        fmt::format("{}: {}; name a folder of inputs or an input", path, error.message()));
  }
  if (files.empty()) {
    throw std::runtime_error(fmt::format("{}: no inputs in this folder; name another one", path));
  }
  std::ranges::sort(files);
  return files;
}

input_bytes read_input(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) {
    throw std::runtime_error(fmt::format("{}: cannot be read; name another input", path));
  }
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<corpus_finding> replay_corpus(
    const target& of,
    std::span<const impl> impls,
    std::span<const std::string> paths,
    const std::function<bool(const std::string& path)>& seen) {
  std::vector<corpus_finding> findings;
  court from(impls);
  for (const std::string& path : paths) {
    if (seen && !seen(path)) break;
    std::string what = of.run(from, read_input(path));
    if (!what.empty()) findings.push_back({.path = path, .what = std::move(what)});
  }
  return findings;
}

std::size_t write_inputs(const std::string& folder, std::span<const input_bytes> inputs) {
  std::filesystem::create_directories(folder);
  for (const input_bytes& input : inputs) {
    const std::string path = fmt::format("{}/{:016x}", folder, name_of(input));
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(input.data()),
               static_cast<std::streamsize>(input.size()));
    if (!file) throw std::runtime_error(path + ": cannot be written; free space or name another");
  }
  return inputs.size();
}

}  // namespace ct::harness::fuzz
