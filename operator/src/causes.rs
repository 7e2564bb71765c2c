//! An error with its causes: what really happened often stands in the last.

/// The error and its causes in one line.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| {
        let cause = cause.to_string();
        // Many an error already says what its cause says.
        if line.contains(&cause) { line } else { format!("{line}: {cause}") }
    })
}
