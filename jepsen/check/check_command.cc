#include "jepsen/check/check_command.h"

#include <cstddef>
#include <fstream>
#include <iostream>
#include <ostream>
#include <span>
#include <string>

#include "jepsen/check/history.h"
#include "jepsen/check/history_text.h"
#include "jepsen/check/log_check.h"
#include "jepsen/check/violation.h"
#include "raft/error.h"

namespace lignum::jepsen {

std::string report_text(const CheckReport& report) {
  std::string text = "checked " + std::to_string(report.operations) + " operations on " +
                     std::to_string(report.shards) + " shards, whose logs hold " +
                     std::to_string(report.records) + " records: ";
  if (report.clean()) return text + "no violation\n";
  text += std::to_string(report.violations.total()) + " violations\n";
  for (std::size_t i = 0; i < kRules; ++i) {
    const auto rule = static_cast<Rule>(i);
    if (const auto count = report.violations.count(rule); count > 0) {
      text += "  " + std::string(rule_name(rule)) + " " + std::to_string(count) + "\n";
    }
  }
  for (const Violation& violation : report.violations.kept()) text += violation.describe() + "\n";
  return text;
}

int check_command(std::span<const std::string> arguments, std::ostream& out,
                  std::ostream& trouble) {
  if (arguments.size() != 1) {
    trouble << "usage: jepsen check FILE   (a history that was kept; '-' reads standard input)\n";
    return kCheckUnusable;
  }
  const std::string& name = arguments.front();
  std::ifstream file;
  if (name != "-") {
    file.open(name);
    if (!file) {
      trouble << "jepsen: cannot read '" << name << "'\n";
      return kCheckUnusable;
    }
  }
  const Result<History> history = read_history(name == "-" ? std::cin : file);
  if (!history) {
    trouble << "jepsen: '" << name << "' is no history: " << history.error().message() << "\n";
    return kCheckUnusable;
  }
  const CheckReport report = check_history(*history);
  out << report_text(report);
  return report.clean() ? kCheckClean : kCheckViolated;
}

}  // namespace lignum::jepsen
