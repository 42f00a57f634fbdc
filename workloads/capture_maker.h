// SPDX-License-Identifier: BSD-2-Clause
/// For tests: captures as byte strings (pcap, pcapng, gzipped) and files that vanish with their
/// scope.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>
#include <zlib.h>

namespace ct::workloads::testing {

struct made_packet {
  std::int64_t time_ns = 0;
  std::string frame;
  std::uint32_t wire_bytes = 0;  ///< 0: as long as the frame
};

inline void append_u16(std::string& to, std::uint32_t value) {
  to += static_cast<char>(value & 0xff);
  to += static_cast<char>(value >> 8 & 0xff);
}

inline void append_u32(std::string& to, std::uint32_t value) {
  append_u16(to, value & 0xffff);
  append_u16(to, value >> 16);
}

/// A classic capture with nanosecond stamps, or microseconds.
inline std::string make_pcap(const std::vector<made_packet>& packets,
                             std::uint32_t link = 1,
                             bool is_nano = true) {
  std::string file;
  append_u32(file, is_nano ? 0xa1b23c4d : 0xa1b2c3d4);
  append_u16(file, 2);
  append_u16(file, 4);
  append_u32(file, 0);
  append_u32(file, 0);
  append_u32(file, 65535);
  append_u32(file, link);
  for (const made_packet& packet : packets) {
    const std::int64_t fraction = packet.time_ns % 1'000'000'000;
    const auto bytes = static_cast<std::uint32_t>(packet.frame.size());
    append_u32(file, static_cast<std::uint32_t>(packet.time_ns / 1'000'000'000));
    append_u32(file, static_cast<std::uint32_t>(is_nano ? fraction : fraction / 1000));
    append_u32(file, bytes);
    append_u32(file, packet.wire_bytes == 0 ? bytes : packet.wire_bytes);
    file += packet.frame;
  }
  return file;
}

inline void append_block(std::string& to, std::uint32_t type, std::string body) {
  while (body.size() % 4 != 0) body += '\0';
  const auto bytes = static_cast<std::uint32_t>(body.size() + 12);
  append_u32(to, type);
  append_u32(to, bytes);
  to += body;
  append_u32(to, bytes);
}

/// The section header and one interface with nanosecond stamps: what precedes the first packet of a
/// pcapng.
inline std::string make_pcapng_head(std::uint32_t link = 1) {
  std::string file;
  std::string section;
  append_u32(section, 0x1a2b3c4d);
  append_u16(section, 1);
  append_u16(section, 0);
  append_u32(section, 0xffffffff);
  append_u32(section, 0xffffffff);
  append_block(file, 0x0a0d0d0a, section);
  std::string interface;
  append_u16(interface, link);
  append_u16(interface, 0);
  append_u32(interface, 65535);
  append_u16(interface, 9);  // if_tsresol
  append_u16(interface, 1);
  append_u32(interface, 9);
  append_u32(interface, 0);  // opt_endofopt
  append_block(file, 1, interface);
  return file;
}

inline std::string make_pcapng(const std::vector<made_packet>& packets, std::uint32_t link = 1) {
  std::string file = make_pcapng_head(link);
  for (const made_packet& packet : packets) {
    const auto bytes = static_cast<std::uint32_t>(packet.frame.size());
    std::string body;
    append_u32(body, 0);
    append_u32(body, static_cast<std::uint32_t>(packet.time_ns >> 32));
    append_u32(body, static_cast<std::uint32_t>(packet.time_ns & 0xffffffff));
    append_u32(body, bytes);
    append_u32(body, packet.wire_bytes == 0 ? bytes : packet.wire_bytes);
    append_block(file, 6, body + packet.frame);
  }
  return file;
}

inline std::string gzipped(const std::string& plain) {
  z_stream stream{};
  // 31: the largest window, with a gzip header instead of zlib's.
  if (deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string packed(deflateBound(&stream, static_cast<uLong>(plain.size())) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// A directory for one test, with what is in it.
class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "ctbench-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = name;
  }
  ~scratch() { std::filesystem::remove_all(directory_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

 private:
  std::filesystem::path directory_;
};

/// Standard input is `path` for as long as this lives.
class stdin_from {
 public:
  explicit stdin_from(const std::string& path) : saved_(dup(STDIN_FILENO)) {
    if (std::freopen(path.c_str(), "rb", stdin) == nullptr) throw std::runtime_error("freopen");
  }
  ~stdin_from() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }
  stdin_from(const stdin_from&) = delete;
  stdin_from& operator=(const stdin_from&) = delete;

 private:
  int saved_;
};

}  // namespace ct::workloads::testing
