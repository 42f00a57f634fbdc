// SPDX-License-Identifier: BSD-2-Clause
/// Inputs in files: a corpus is a folder of them. The plain driver: every compiler, no libFuzzer.
#pragma once

#include "harness/fuzz/target.h"
#include "spec/impl.h"

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ct::harness::fuzz {

/// The files of a folder, by name; a file stands for itself. Throws std::runtime_error, one line,
/// for what is not there or a folder without files.
std::vector<std::string> corpus_files(const std::string& path);

/// Throws std::runtime_error, one line.
input_bytes read_input(const std::string& path);

struct corpus_finding {
  std::string path;
  std::string what;
};

/// Runs every file. `seen` is called before each, and may ask to stop by answering false.
std::vector<corpus_finding> replay_corpus(
    const target& of,
    std::span<const impl> impls,
    std::span<const std::string> paths,
    const std::function<bool(const std::string& path)>& seen = {});

/// Writes inputs into a folder, which it makes, each under the hash of its bytes. Returns how many.
std::size_t write_inputs(const std::string& folder, std::span<const input_bytes> inputs);

}  // namespace ct::harness::fuzz
