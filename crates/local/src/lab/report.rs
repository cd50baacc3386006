//! What a run says while it goes on, and what it found.

use std::time::Duration;

/// One thing that a run says.
#[derive(Debug)]
pub enum Line<'a> {
    /// A step of the workshop begins.
    Step(&'a str),
    /// A command, as the reader would type it.
    Command(&'a str),
    /// What a command said.
    Output(&'a str),
    /// Something that takes long is still going on.
    Progress {
        /// What.
        what: &'a str,
        /// Since when.
        elapsed: Duration,
    },
    /// What to look at now, and where.
    Look {
        /// What one sees there.
        text: &'a str,
        /// The address of the page.
        link: &'a str,
    },
    /// A promise of the workshop was looked after.
    Checked(&'a Check),
    /// Anything else.
    Note(&'a str),
}

/// Whoever tells a person what goes on.
pub trait Say: Send {
    /// Says a line.
    fn say(&mut self, line: Line<'_>);
}

/// A promise of the workshop, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The promise: `the trace stops at the stream`.
    pub what: String,
    /// Whether it holds.
    pub passed: bool,
    /// What was seen.
    pub seen: String,
}

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All that was checked, in order.
    pub checks: Vec<Check>,
    /// Pages to look at: what one sees there, and the address.
    pub links: Vec<(String, String)>,
}

impl Report {
    /// Whether every promise holds.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// Notes a check and says it.
    pub(super) fn check(
        &mut self,
        say: &mut impl Say,
        what: &str,
        passed: bool,
        seen: impl Into<String>,
    ) {
        let check = Check { what: what.to_owned(), passed, seen: seen.into() };
        say.say(Line::Checked(&check));
        self.checks.push(check);
    }

    /// Notes a page and says it.
    pub(super) fn look(&mut self, say: &mut impl Say, text: &str, link: String) {
        say.say(Line::Look { text, link: &link });
        self.links.push((text.to_owned(), link));
    }
}
