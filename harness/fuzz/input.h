// SPDX-License-Identifier: BSD-2-Clause
/// Reads decisions from a fuzzer's bytes, and writes them for seeds; the end of an input reads as
/// zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ct::harness::fuzz {

using input_bytes = std::vector<std::byte>;

class input_reader {
 public:
  explicit input_reader(std::span<const std::byte> bytes) : left_(bytes) {}

  bool is_empty() const { return left_.empty(); }

  std::uint8_t u8() {
    if (left_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(left_.front());
    left_ = left_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  /// 0 to `bound` - 1.
  std::uint8_t below(std::uint8_t bound) { return static_cast<std::uint8_t>(u8() % bound); }
  /// As many as are left.
  std::span<const std::byte> bytes(std::size_t count) {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::byte> left_;
};

class input_writer {
 public:
  input_writer& u8(unsigned value) {
    out_.push_back(static_cast<std::byte>(value & 0xff));
    return *this;
  }
  input_writer& u16(unsigned value) { return u8(value >> 8).u8(value); }
  input_writer& bytes(std::span<const std::byte> more) {
    out_.insert(out_.end(), more.begin(), more.end());
    return *this;
  }
  std::size_t size() const { return out_.size(); }
  const input_bytes& done() const { return out_; }

 private:
  input_bytes out_;
};

}  // namespace ct::harness::fuzz
