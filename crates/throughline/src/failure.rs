//! Why a command ended badly, and the exit code that says so to scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use owo_colors::OwoColorize;

/// Why a command ended badly.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was found.
    Nothing(String),
    /// What was typed cannot be done, or cannot be read.
    Usage(String),
    /// A query that does not parse; `at` counts characters.
    Query { query: String, message: String, at: usize },
    /// No server answered.
    Unreachable(String),
    /// The server answered with a fault of its own.
    Server(String),
    /// The server did not start, or a file could not be written.
    Other(anyhow::Error),
}

impl Failure {
    /// Tells the person, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Nothing(text) => (text, 1),
            Self::Usage(text) => (text, 2),
            Self::Query { query, message, at } => (caret(&query, &message, at), 2),
            Self::Unreachable(text) => (text, 3),
            Self::Server(text) => (text, 4),
            // A reader such as `head` that has seen enough is no failure.
            Self::Other(err) if is_broken_pipe(&err) => return ExitCode::SUCCESS,
            Self::Other(err) => (format!("{err:#}"), 1),
        };
        let label = "error:";
        // With stderr gone there is nobody left to tell.
        let _ = writeln!(anstream::stderr(), "{} {text}", label.red().bold());
        ExitCode::from(code)
    }
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        Self::Other(err.into())
    }
}

fn is_broken_pipe(err: &anyhow::Error) -> bool {
    let io = err.downcast_ref::<io::Error>();
    io.is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
}

/// The message, the line of the query, and a caret under the place.
fn caret(query: &str, message: &str, at: usize) -> String {
    let before: String = query.chars().take(at).collect();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before[line_start..].chars().count();
    let line = query[line_start..].lines().next().unwrap_or_default().replace('\t', " ");
    format!("{message}\n  {line}\n  {}{}", " ".repeat(column), "^".red().bold())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, at: usize, expected: &str) {
        let text = anstream::adapter::strip_str(&caret(query, "no", at)).to_string();
        assert_eq!(text, format!("no\n{expected}"));
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        check("a == b", 2, "  a == b\n    ^");
        check("\u{e9} == b", 2, "  \u{e9} == b\n    ^");
        check("a =", 3, "  a =\n     ^");
        check("a\nand b ==", 6, "  and b ==\n      ^");
        check("", 9, "  \n  ^");
    }
}
