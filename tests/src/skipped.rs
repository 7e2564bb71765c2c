//! Says what was not tested: silence would pass for success.

use std::io::Write as _;

/// Tells that a test was skipped, and why.
pub fn say(test: &str, why: &str) {
    // Not `eprintln!`: the test harness swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}
