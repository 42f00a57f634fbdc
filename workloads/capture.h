// SPDX-License-Identifier: BSD-2-Clause
/// A capture: packets read from a pcap or pcapng file, gzipped or not, a batch at a time.
///
/// Memory is bounded by one batch, whatever the size of the file; the batch's bytes lie in one
/// arena that the next batch reuses. libpcap decodes the formats, zlib inflates underneath it and
/// passes plain files through. A capture that was cut gives every packet that is whole, then names
/// its end (`damage`): what was read is good, the input as a whole is not. Limits: one link type a
/// capture (libpcap's rule for pcapng); a reader of a growing file would see a cut. Source:
/// pcap-savefile(5), the pcapng draft (opsawg), zlib's gzread().
#pragma once

#include "spec/ct_system.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace ct::workloads {

/// Input that cannot be used at all. what() is one line: what is wrong, where, what to do.
class input_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One packet of a capture. The frame belongs to the reader and stays until its next batch.
struct captured_packet {
  std::span<const std::byte> frame;
  std::uint32_t wire_bytes = 0;  ///< before the snap length cut it
  std::int64_t time_ns = 0;      ///< since 1970
};

/// Packets a batch unless the caller asks for another number: the type-erased face is crossed
/// seldom, and 256 frames of 1500 bytes stay inside L2.
inline constexpr std::size_t batch_packets_max = 256;

/// A batch ends early when its frames fill this much, so that a jumbo snap length cannot blow it
/// up.
inline constexpr std::size_t batch_bytes_max = std::size_t{1} << 20;

/// Reads one capture from its beginning to its end.
class capture {
 public:
  /// Opens `path`, `-` for standard input. Throws input_error if it is missing, a directory, empty,
  /// no capture, or of a link type that is not in ct::link_type. A file that ends inside its own
  /// header is a cut capture without packets, not an error.
  explicit capture(std::string path);
  ~capture();
  capture(const capture&) = delete;
  capture& operator=(const capture&) = delete;

  /// The next packets, at most `most`; none at the end. Invalidates the batch before.
  std::span<const captured_packet> next(std::size_t most = batch_packets_max);

  const std::string& path() const { return path_; }
  link_type link() const { return link_; }
  /// Delivered so far.
  std::uint64_t packet_count() const { return packet_count_; }
  /// Empty, or once the end was reached: one line that says after which packet the capture is cut
  /// or damaged and what to do.
  const std::string& damage() const { return damage_; }

  /// Bytes of the file that were read, compressed if it is; and its size, 0 if unknown (a pipe).
  std::uint64_t bytes_read() const;
  std::uint64_t bytes_total() const { return bytes_total_; }

 private:
  struct stream;

  void open_file();
  void expect_a_capture();
  void start_libpcap();
  bool read_one();
  void note_the_end(const char* libpcap_says);

  std::string path_;
  std::unique_ptr<stream> stream_;
  link_type link_ = link_type::ethernet;
  std::uint64_t packet_count_ = 0;
  std::uint64_t bytes_total_ = 0;
  bool has_ended_ = false;
  std::string damage_;
  std::vector<captured_packet> batch_;
  std::vector<std::byte> arena_;         ///< the frames of batch_, one after the other
  std::vector<std::size_t> frame_ends_;  ///< [packet of batch_], in arena_
};

/// Throws what opening `path` would throw. Leaves pipes and standard input alone: they can be read
/// once.
void expect_usable(const std::string& path);

/// `path` as messages name it: `-` is standard input.
std::string shown_path(const std::string& path);

}  // namespace ct::workloads
