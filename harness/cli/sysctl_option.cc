// SPDX-License-Identifier: BSD-2-Clause
/// Sysctls are asked of a small system, so that what is refused, and why, is said in one place.
#include "harness/cli/sysctl_option.h"

#include "harness/cli/choice.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>

namespace ct::harness {
namespace {

constexpr std::string_view tree = "net.netfilter.";
constexpr std::string_view prefix = "nf_conntrack_";

std::unique_ptr<ct_system> small_system(const impl& of, bool dccp) {
  return of.make({.buckets = 64, .dccp = dccp});
}

std::string_view without_prefixes(std::string_view name) {
  for (const std::string_view one : {tree, prefix}) {
    if (name.starts_with(one)) name.remove_prefix(one.size());
  }
  return name;
}

/// The nearest name is looked for among short names: a long common prefix would make all alike.
void expect_known(std::string_view name, std::span<const sysctl> known) {
  std::vector<std::string_view> short_names;
  for (const sysctl& one : known) short_names.push_back(without_prefixes(one.name));
  const std::string_view asked = without_prefixes(name);
  if (std::ranges::find(short_names, asked) != short_names.end()) return;
  const std::string_view meant = nearest(asked, short_names);
  throw usage_error(
      fmt::format("--sysctl: unknown sysctl '{}'{} (ctbench list --sysctls names them)",
                  name,
                  meant.empty() ? "" : fmt::format(": did you mean {}{}?", prefix, meant)));
}

std::string_view scope_of(const sysctl& one) {
  if (!one.is_writable) return "read only";
  return one.is_per_netns ? "netns" : "all netns";
}

}  // namespace

void add_sysctl_option(CLI::App& options, std::vector<std::string>& texts) {
  options
      .add_option("--sysctl",
                  texts,
                  "a setting as of sysctl -w, such as net.netfilter.nf_conntrack_udp_timeout=5, "
                  "or shorter udp_timeout=5 (ctbench list --sysctls names them)")
      ->expected(1)
      ->take_all()
      ->type_name("NAME=VALUE");
}

std::vector<sysctl_setting> sysctls_of(std::span<const std::string> texts,
                                       std::span<const impl> impls,
                                       bool dccp) {
  std::vector<sysctl_setting> settings;
  if (texts.empty()) return settings;
  const std::unique_ptr<ct_system> judge = small_system(impls.front(), dccp);
  const std::vector<sysctl> known = judge->sysctls(0);
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      throw usage_error(fmt::format("--sysctl {}: has no value; write NAME=VALUE", text));
    }
    const sysctl_setting one = {text.substr(0, equals), text.substr(equals + 1)};
    expect_known(one.name, known);
    settings.push_back(one);
  }
  try {
    // As at boot: nf_conntrack_buckets, too, of a table that cannot be resized later.
    (void)impls.front().make({.sysctls = settings, .dccp = dccp});
  } catch (const std::invalid_argument& error) {
    throw usage_error(std::string("--") + error.what());
  } catch (const std::bad_alloc&) {
    throw usage_error("--sysctl: no memory for a table of these settings; give smaller numbers");
  }
  return settings;
}

outcome list_sysctls(const impl& of) {
  outcome found;
  const std::vector<sysctl> all = of.make({})->sysctls(0);
  std::size_t width = 0;
  for (const sysctl& one : all) width = std::max(width, one.name.size());
  fmt::print("sysctls (--sysctl NAME=VALUE; net.netfilter.nf_conntrack_ may be left out)\n");
  fmt::print("  {:<{}}  {:>7}  {:<7}  {:<12}  {:<9}  {}\n",
             "name",
             width,
             "default",
             "unit",
             "range",
             "scope",
             "what it is");
  for (const sysctl& one : all) {
    fmt::print("  {:<{}}  {:>7}  {:<7}  {:<12}  {:<9}  {}\n",
               one.name,
               width,
               one.value,
               one.unit,
               one.is_writable ? fmt::format("{}-{}", one.min, one.max) : "",
               scope_of(one),
               one.meaning);
    found.rows.push_back({{"name", one.name},
                          {"default", one.value},
                          {"min", one.min},
                          {"max", one.max},
                          {"unit", one.unit},
                          {"is_writable", one.is_writable},
                          {"is_per_netns", one.is_per_netns},
                          {"meaning", one.meaning}});
  }
  fmt::print("\n");
  found.verdict = fmt::format("{} sysctls", all.size());
  return found;
}

}  // namespace ct::harness
