//! The text files that belong to the project: what git tracks, and what it would if asked.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// One text file.
pub(crate) struct TextFile {
    /// Its path from the repository's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    /// Whether the file is a test as a whole.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.contains(".test.")
    }

    /// The text above the tests at the bottom of a Rust file.
    pub(crate) fn above_tests(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or(&self.text)
    }

    pub(crate) fn has_ending(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }
}

/// Every text file of the repository; binary files and recordings are left out.
pub(crate) fn list(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("failed to run git")?;
    ensure!(output.status.success(), "git ls-files ended with {}", output.status);
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let paths = names.split('\0').filter(|path| !path.is_empty() && !path.starts_with("testdata/"));
    Ok(paths
        .filter_map(|path| {
            // A file may be deleted but not yet committed, or hold bytes: neither is text.
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(TextFile { path: path.to_owned(), text })
        })
        .collect())
}
