// SPDX-License-Identifier: BSD-2-Clause
/// How each kind of walk begins; one function a file of this folder.
#pragma once

#include "workloads/walk.h"

#include <memory>

namespace ct::workloads {

std::unique_ptr<walk> begin_tcp(walk_place place, random_source& random);
std::unique_ptr<walk> begin_udp(walk_place place, random_source& random);
std::unique_ptr<walk> begin_icmp(walk_place place, random_source& random);
std::unique_ptr<walk> begin_icmp_error(walk_place place, random_source& random);
std::unique_ptr<walk> begin_fragments(walk_place place, random_source& random);
std::unique_ptr<walk> begin_ip(walk_place place, random_source& random);
std::unique_ptr<walk> begin_sctp(walk_place place, random_source& random);
std::unique_ptr<walk> begin_gre(walk_place place, random_source& random);
std::unique_ptr<walk> begin_udplite(walk_place place, random_source& random);
std::unique_ptr<walk> begin_dccp(walk_place place, random_source& random);

}  // namespace ct::workloads
