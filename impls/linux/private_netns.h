// SPDX-License-Identifier: BSD-2-Clause
/// A network namespace of our own: made without a name, gone with the last descriptor that holds
/// it.
///
/// Nothing has to be removed: the namespace, its devices, rules and connections end when this
/// object does, and when the program is killed. What must happen inside runs in a thread of its own
/// that enters the namespace and ends there: the caller never leaves his. Sockets and devices
/// opened inside stay inside. Without privileges a user namespace is tried first, as `unshare -Ur`
/// does; the whole process stays in it then, as the same user. Source: namespaces(7),
/// user_namespaces(7), unshare(2), setns(2).
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ct::live {

/// This machine lacks something. what() names it, fit for "needs ...".
class not_here : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "EPERM (Operation not permitted)".
std::string errno_text(int number);

/// A file descriptor, closed with its owner.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int number) : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor();

  int get() const { return number_; }

 private:
  int number_ = -1;
};

class private_netns {
 public:
  /// Throws not_here.
  private_netns();

  /// Runs `act` inside and waits for it; what it throws is thrown here.
  void inside(const std::function<void()>& act) const;

  /// Writes a file under /proc/sys of the namespace. Empty, or why not.
  std::string write_sysctl(const std::string& path, const std::string& value) const;

 private:
  descriptor net_;
};

}  // namespace ct::live
