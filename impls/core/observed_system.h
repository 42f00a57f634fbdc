// SPDX-License-Identifier: BSD-2-Clause
/// The core over an observed table, with a recorder: impl::make_observed.
#pragma once

#include "impls/core/observed_table.h"
#include "impls/core/recorder.h"
#include "impls/core/system.h"

#include <memory>

namespace ct::core {

/// `Table` is an observed_table, or derives from one.
template <ct::table Table>
std::unique_ptr<ct_system> make_observed(const system_options& options, trace_sink& to) {
  auto made = std::make_unique<system<Table>>(options);
  const l4proto_list& l4protos = options.dccp ? dccp_l4protos : default_l4protos;
  made->table().observe(make_recorder(to, l4protos, made->jiffies64()));
  return made;
}

}  // namespace ct::core
