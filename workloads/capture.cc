// SPDX-License-Identifier: BSD-2-Clause
/// libpcap above zlib, and what is said of a file that ends too early.
#include "workloads/capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <zlib.h>

namespace ct::workloads {
namespace {

constexpr const char* how_to_record = "record one with: tcpdump -w FILE.pcap";
constexpr const char* how_to_repair = "record or copy it again";

/// Enough for the magic number of both formats.
constexpr std::size_t head_bytes_max = 4;

/// zlib's and stdio's buffers: each a few thousand packets, so that neither costs a call a packet.
constexpr unsigned gzip_buffer_bytes = 1U << 17;
constexpr std::size_t stdio_buffer_bytes = std::size_t{1} << 17;

/// The last second that a classic pcap can name (the year 2106); twice as long still fits into 63
/// bits of ns.
constexpr std::int64_t time_s_max = (std::int64_t{1} << 32) - 1;
constexpr std::int64_t ns_per_s = 1'000'000'000;
static_assert(time_s_max < INT64_MAX / ns_per_s / 2);

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw input_error("capture " + shown_path(path) + ": " + what);
}

std::optional<link_type> link_type_of(int datalink) {
  switch (datalink) {
    case DLT_NULL:
      return link_type::null;
    case DLT_EN10MB:
      return link_type::ethernet;
    case DLT_RAW:
      return link_type::raw;
    case DLT_LOOP:
      return link_type::loop;
    case DLT_LINUX_SLL:
      return link_type::linux_sll;
    case DLT_IPV4:
      return link_type::ipv4;
    case DLT_IPV6:
      return link_type::ipv6;
    case DLT_LINUX_SLL2:
      return link_type::linux_sll2;
    default:
      return std::nullopt;
  }
}

std::string datalink_text(int datalink) {
  const char* name = pcap_datalink_val_to_name(datalink);
  const char* description = pcap_datalink_val_to_description(datalink);
  if (name == nullptr) return "number " + std::to_string(datalink);
  return description == nullptr ? name : std::string(name) + " (" + description + ")";
}

/// The magic numbers of pcap (microseconds, nanoseconds, with Kuznetzov's longer packet headers) in
/// both byte orders, and of pcapng, which reads the same both ways.
bool is_magic(std::span<const unsigned char> head) {
  if (head.size() < head_bytes_max) return false;
  const std::uint32_t big = static_cast<std::uint32_t>(head[0]) << 24 |
                            static_cast<std::uint32_t>(head[1]) << 16 |
                            static_cast<std::uint32_t>(head[2]) << 8 | head[3];
  constexpr std::array<std::uint32_t, 4> magics = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0x0a0d0d0a};
  return std::ranges::any_of(magics, [big](std::uint32_t magic) {
    return big == magic || big == __builtin_bswap32(magic);
  });
}

/// What a file begins with, for the message about one that is no capture: printable characters or
/// hex.
std::string quoted(std::span<const unsigned char> head) {
  const bool is_text =
      std::ranges::all_of(head, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
  std::string text;
  for (const unsigned char c : head) {
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", c);
    text += is_text ? std::string(1, static_cast<char>(c)) : hex.data();
  }
  return is_text ? "the text \"" + text + "\"" : "the bytes " + text;
}

}  // namespace

std::string shown_path(const std::string& path) { return path == "-" ? "(standard input)" : path; }

/// File descriptor, zlib, stdio and libpcap, one on top of the other.
struct capture::stream {
  int descriptor = -1;
  gzFile gzip = nullptr;
  std::array<unsigned char, head_bytes_max> head{};  ///< read ahead to know the format
  std::size_t head_bytes = 0;
  std::size_t head_used = 0;
  bool is_at_end = false;       ///< somebody wanted more than there is
  bool is_gzip_cut = false;     ///< ... inside a gzip member
  bool is_interrupted = false;  ///< by a signal: that ends the reading, not the file
  std::string read_error;       ///< why inflating or reading failed
  pcap_t* pcap = nullptr;

  ~stream() {
    if (pcap != nullptr) pcap_close(pcap);  // closes the FILE too
    if (gzip != nullptr) {
      gzclose(gzip);  // closes the descriptor too
    } else if (descriptor > STDIN_FILENO) {
      close(descriptor);
    }
  }

  /// gzread, with its ends told apart: a stream that stops inside a gzip member is not at its end.
  std::size_t read(void* to, std::size_t bytes) {
    const auto wanted = static_cast<unsigned>(std::min<std::size_t>(bytes, gzip_buffer_bytes));
    const int got = gzread(gzip, to, wanted);
    if (got < static_cast<int>(wanted)) {
      int status = Z_OK;
      const char* message = gzerror(gzip, &status);
      is_gzip_cut = status == Z_BUF_ERROR;
      is_interrupted = status == Z_ERRNO && errno == EINTR;
      if (status == Z_ERRNO && !is_interrupted) {
        read_error = std::string("reading failed: ") + std::strerror(errno);
      } else if (status == Z_DATA_ERROR || status == Z_MEM_ERROR || status == Z_STREAM_ERROR) {
        // zlib puts the name that it has for the file, a descriptor, before the reason.
        const std::string said = message;
        read_error = "gzip: " + said.substr(said.find(": ") == said.npos ? 0 : said.find(": ") + 2);
      }
    }
    if (got <= 0) is_at_end = true;
    return got < 0 ? 0 : static_cast<std::size_t>(got);
  }

  /// What stdio calls: the bytes that were read ahead, then the rest.
  static ssize_t read_for_stdio(void* cookie, char* to, std::size_t bytes) {
    auto& self = *static_cast<stream*>(cookie);
    if (self.head_used < self.head_bytes) {
      const std::size_t some = std::min(bytes, self.head_bytes - self.head_used);
      std::memcpy(to, self.head.data() + self.head_used, some);
      self.head_used += some;
      return static_cast<ssize_t>(some);
    }
    return static_cast<ssize_t>(self.read(to, bytes));
  }
};

capture::capture(std::string path) : path_(std::move(path)), stream_(std::make_unique<stream>()) {
  open_file();
  expect_a_capture();
}

capture::~capture() = default;

void capture::open_file() {
  stream& s = *stream_;
  s.descriptor = path_ == "-" ? dup(STDIN_FILENO) : open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (s.descriptor < 0) {
    refuse(path_,
           std::string(std::strerror(errno)) + "; name a pcap or pcapng file, or - for stdin");
  }
  struct stat status {};
  if (fstat(s.descriptor, &status) == 0) {
    if (S_ISDIR(status.st_mode)) refuse(path_, "is a directory; name the captures inside it");
    if (S_ISREG(status.st_mode)) bytes_total_ = static_cast<std::uint64_t>(status.st_size);
  }
  if (path_ == "-" && isatty(s.descriptor) != 0) {
    refuse(path_, "is a terminal; pipe a capture into it");
  }
  s.gzip = gzdopen(s.descriptor, "rb");
  if (s.gzip == nullptr) refuse(path_, "out of memory");
  gzbuffer(s.gzip, gzip_buffer_bytes);
}

void capture::expect_a_capture() {
  stream& s = *stream_;
  s.head_bytes = s.read(s.head.data(), s.head.size());
  const std::span<const unsigned char> head(s.head.data(), s.head_bytes);
  if (is_magic(head)) return start_libpcap();
  if (!s.read_error.empty()) refuse(path_, s.read_error + "; " + how_to_repair);
  if (s.is_gzip_cut || s.is_interrupted) {
    note_the_end(nullptr);
    return;
  }
  if (head.empty()) refuse(path_, std::string("is empty; ") + how_to_record);
  refuse(path_, "neither pcap nor pcapng: it begins with " + quoted(head) + "; " + how_to_record);
}

void capture::start_libpcap() {
  stream& s = *stream_;
  FILE* file = fopencookie(
      &s,
      "rb",
      {.read = stream::read_for_stdio, .write = nullptr, .seek = nullptr, .close = nullptr});
  if (file == nullptr) refuse(path_, "out of memory");
  std::setvbuf(file, nullptr, _IOFBF, stdio_buffer_bytes);

  std::array<char, PCAP_ERRBUF_SIZE> error{};
  s.pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error.data());
  if (s.pcap == nullptr) {
    std::fclose(file);
    note_the_end(error.data());
    if (!s.is_at_end) throw input_error(damage_);
    return;
  }
  const int datalink = pcap_datalink(s.pcap);
  const std::optional<link_type> link = link_type_of(datalink);
  if (!link) {
    refuse(path_,
           "link type " + datalink_text(datalink) +
               " is not understood; record on an Ethernet, raw IP or 'any' interface");
  }
  link_ = *link;
}

void capture::note_the_end(const char* libpcap_says) {
  const stream& s = *stream_;
  has_ended_ = true;
  // Who handles the signal knows of it and reports it.
  if (s.is_interrupted) return;
  if (libpcap_says == nullptr && s.read_error.empty() && !s.is_gzip_cut) return;
  std::string verb = "cut";
  std::string reason;
  if (!s.read_error.empty()) {
    verb = "damaged";
    reason = s.read_error;
  } else if (s.is_gzip_cut) {
    reason = "the gzip stream ends early";
  } else if (s.is_at_end) {
    reason = s.pcap == nullptr ? "the file ends inside its header"
                               : "the file ends inside packet " + std::to_string(packet_count_ + 1);
  } else {
    verb = "damaged";
    reason = std::string("libpcap: ") + libpcap_says;
  }
  damage_ = "capture " + shown_path(path_) + ": " + verb + " after packet " +
            std::to_string(packet_count_) + " (" + reason + "); " + how_to_repair;
}

bool capture::read_one() {
  pcap_pkthdr* header = nullptr;
  const unsigned char* bytes = nullptr;
  const int status = pcap_next_ex(stream_->pcap, &header, &bytes);
  if (status != 1) {
    note_the_end(status == PCAP_ERROR ? pcap_geterr(stream_->pcap) : nullptr);
    return false;
  }
  const auto* first = reinterpret_cast<const std::byte*>(bytes);
  arena_.insert(arena_.end(), first, first + header->caplen);
  // libpcap 1.10 reads the seconds of a classic pcap as signed: after 2038 they come out negative.
  const std::int64_t since_1970_s = header->ts.tv_sec;
  const std::int64_t seconds =
      std::min(since_1970_s < 0 ? since_1970_s & time_s_max : since_1970_s, time_s_max);
  // The field is called microseconds and holds nanoseconds: that is what was asked for when it was
  // opened.
  const std::int64_t fraction_ns = std::clamp<std::int64_t>(header->ts.tv_usec, 0, ns_per_s - 1);
  batch_.push_back({.frame = {},
                    .wire_bytes = std::max(header->len, header->caplen),
                    .time_ns = seconds * ns_per_s + fraction_ns});
  frame_ends_.push_back(arena_.size());
  ++packet_count_;
  return true;
}

std::span<const captured_packet> capture::next(std::size_t most) {
  batch_.clear();
  arena_.clear();
  if (has_ended_) return {};
  frame_ends_.clear();
  while (batch_.size() < most && arena_.size() < batch_bytes_max && read_one()) {
  }
  // The arena may have moved while it grew; only now do its addresses stand.
  std::size_t begin = 0;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    batch_[i].frame = {arena_.data() + begin, frame_ends_[i] - begin};
    begin = frame_ends_[i];
  }
  return batch_;
}

std::uint64_t capture::bytes_read() const {
  const z_off_t at = gzoffset(stream_->gzip);
  return at < 0 ? 0 : static_cast<std::uint64_t>(at);
}

void expect_usable(const std::string& path) {
  struct stat status {};
  if (path == "-") return;
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return;
  }
  const capture opened(path);
}

}  // namespace ct::workloads
