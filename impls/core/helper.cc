// SPDX-License-Identifier: BSD-2-Clause
/// The list of helpers: one line each.
#include "impls/core/helper.h"

#include "impls/core/nf_conn.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace ct::core {
namespace {

constexpr std::array helpers = {&ftp_helper};
static_assert(helpers.size() == helper_names.size());

}  // namespace

void free_help::operator()(nf_conn_help* help) const noexcept { delete help; }

const conntrack_helper* find_helper(std::string_view name) noexcept {
  const auto* found = std::ranges::find(helpers, name, &conntrack_helper::name);
  return found == helpers.end() ? nullptr : *found;
}

std::vector<helper_attachment> attachments_of(const system_options& options) {
  std::vector<helper_attachment> found;
  for (const helper_rule& rule : options.helpers) {
    const conntrack_helper* const helper = find_helper(rule.helper);
    if (helper == nullptr) {
      throw std::invalid_argument("no helper is named " + rule.helper + "; there is ftp");
    }
    found.push_back({helper, rule.port});
  }
  return found;
}

}  // namespace ct::core
