// SPDX-License-Identifier: BSD-2-Clause
/// Enters and leaves by threads: a thread that is in another namespace simply ends there.
#include "impls/linux/private_netns.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <sched.h>
#include <thread>
#include <unistd.h>

namespace ct::live {
namespace {

/// Runs `act` in a thread that is gone afterwards.
void in_thread(const std::function<void()>& act) {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      act();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

/// Writes a file of /proc. 0 or the errno.
int write_file(const char* path, const std::string& text) {
  const descriptor file(open(path, O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return errno;
  const ssize_t written = write(file.get(), text.data(), text.size());
  return written == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

/// Makes this process, all of it, the owner of a user namespace, as the user and group it is. 0 or
/// the errno.
int enter_user_namespace() {
  const std::string user = std::to_string(geteuid());
  const std::string group = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER) != 0) return errno;
  (void)write_file("/proc/self/setgroups", "deny");  // kernels before 3.19 have no such file
  if (const int error = write_file("/proc/self/uid_map", user + " " + user + " 1")) return error;
  return write_file("/proc/self/gid_map", group + " " + group + " 1");
}

/// Makes a namespace in a thread; the descriptor keeps it. 0 or the errno.
int make_namespace(descriptor& out) {
  int error = 0;
  in_thread([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      error = errno;
      return;
    }
    out = descriptor(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (out.get() < 0) error = errno;
  });
  return error;
}

}  // namespace

std::string errno_text(int number) {
  return std::string(strerrorname_np(number)) + " (" + std::strerror(number) + ")";
}

descriptor::~descriptor() {
  if (number_ >= 0) close(number_);
}

private_netns::private_netns() {
  int error = make_namespace(net_);
  if (error == EPERM && enter_user_namespace() == 0) error = make_namespace(net_);
  if (error != 0) {
    throw not_here("root or CAP_SYS_ADMIN for a network namespace: " + errno_text(error));
  }
}

void private_netns::inside(const std::function<void()>& act) const {
  in_thread([&] {
    if (setns(net_.get(), CLONE_NEWNET) != 0) {
      throw not_here("setns(2) into its own network namespace: " + errno_text(errno));
    }
    act();
  });
}

std::string private_netns::write_sysctl(const std::string& path, const std::string& value) const {
  int error = 0;
  inside([&] { error = write_file(("/proc/sys/" + path).c_str(), value); });
  return error == 0 ? "" : errno_text(error);
}

}  // namespace ct::live
