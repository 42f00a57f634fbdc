// SPDX-License-Identifier: BSD-2-Clause
/// Writes the rules from one table of codes, and hands them to libnftables.
#include "impls/linux/ruleset.h"

#include "impls/linux/private_netns.h"

#include <array>
#include <memory>
#include <nftables/libnftables.h>
#include <string_view>

namespace ct::live {
namespace {

struct outcome_code {
  std::uint8_t code;
  ctinfo info;
  std::string_view state;      ///< as `ct state` has it
  std::string_view direction;  ///< as `ct direction` has it; empty: the packet has no connection
};

constexpr std::array codes = {
    outcome_code{1, ctinfo::new_, "new", "original"},
    outcome_code{2, ctinfo::established, "established", "original"},
    outcome_code{3, ctinfo::established_reply, "established", "reply"},
    outcome_code{4, ctinfo::related, "related", "original"},
    outcome_code{5, ctinfo::related_reply, "related", "reply"},
    outcome_code{6, ctinfo::invalid, "invalid", ""},
    outcome_code{7, ctinfo::untracked, "untracked", ""},
};

std::string pair_of(std::string_view key, const std::string& value) {
  return std::string(key) + " : " + value + ", ";
}

/// A chain for each code, and the two maps from what a packet is to its chain. (A map from states
/// to the number itself is nothing that nft 1.0.6 can write into six bits.)
struct outcome_rules {
  std::string chains;
  std::string without_connection;
  std::string with_connection;
};

outcome_rules make_outcome_rules(const std::string& dscp) {
  outcome_rules rules;
  for (const outcome_code& one : codes) {
    const std::string chain = "outcome_" + std::to_string(one.code);
    rules.chains +=
        "  chain " + chain + " { " + dscp + " set " + std::to_string(one.code) + "; }\n";
    if (one.direction.empty()) {
      rules.without_connection += pair_of(one.state, "goto " + chain);
    } else {
      rules.with_connection +=
          pair_of(std::string(one.state) + " . " + std::string(one.direction), "goto " + chain);
    }
  }
  return rules;
}

/// From the requests to their zones, and to their marks; zero asks for nothing.
struct request_maps {
  std::string zones;
  std::string marks;
};

request_maps make_request_maps() {
  request_maps maps;
  for (std::uint32_t mark = 0; mark <= mark_max; ++mark) {
    for (std::uint16_t zone_id = 0; zone_id <= zone_max; ++zone_id) {
      const std::string code = std::to_string(request_code(zone_id, mark));
      if (zone_id != 0) maps.zones += pair_of(code, std::to_string(zone_id));
      if (mark != 0) maps.marks += pair_of(code, std::to_string(mark));
    }
  }
  return maps;
}

/// -300 is ahead of connection tracking (-200), 0 and 100 are behind it and ahead of confirm.
std::string table_of(const std::string& family) {
  const std::string dscp = family + " dscp";
  const outcome_rules outcome = make_outcome_rules(dscp);
  const request_maps request = make_request_maps();
  return "table " + family + " ctbench {\n" + outcome.chains +
         "  chain on_request {\n    type filter hook prerouting priority -300;\n" + "    " + dscp +
         " 0 accept\n" + "    " + dscp + " " + std::to_string(untracked_request) +
         " notrack accept\n" + "    ct zone set " + dscp + " map { " + request.zones + "}\n  }\n" +
         "  chain by_itself {\n    type filter hook output priority -300; policy drop;\n  }\n" +
         "  chain marks {\n    type filter hook prerouting priority 0;\n" + "    ct mark set " +
         dscp + " map { " + request.marks + "}\n  }\n" +
         "  chain outcomes {\n    type filter hook postrouting priority 100;\n" +
         "    ct state vmap { " + outcome.without_connection + "}\n" +
         "    ct state . ct direction vmap { " + outcome.with_connection + "}\n  }\n}\n";
}

}  // namespace

std::optional<ctinfo> outcome_of(std::uint8_t code) {
  for (const outcome_code& one : codes) {
    if (one.code == code) return one.info;
  }
  return std::nullopt;
}

std::string ruleset() { return table_of("ip") + table_of("ip6"); }

void load_ruleset() {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> nft(nft_ctx_new(NFT_CTX_DEFAULT),
                                                         nft_ctx_free);
  if (nft == nullptr) throw not_here("nf_tables (libnftables does not start)");
  nft_ctx_buffer_error(nft.get());
  if (nft_run_cmd_from_buffer(nft.get(), ruleset().c_str()) == 0) return;
  const std::string said = nft_ctx_get_error_buffer(nft.get());
  throw not_here("nf_tables with ct, notrack and maps: " + said.substr(0, said.find('\n')));
}

}  // namespace ct::live
