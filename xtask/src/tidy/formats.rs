//! Pages of on-disk formats are tied to the source that writes the bytes by its hash.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::Finding;
use super::files::TextFile;

const WHY: &str = "files written yesterday are read tomorrow: when the source of a format changes, \
    its page is read again, then `cargo xtask tidy --bless` (CONTRIBUTING.md, \"Rules that tidy \
    checks\")";

/// Compares every `<!-- source: PATH sha256:HEX -->` of docs/formats; `bless` writes new hashes.
pub(crate) fn check(root: &Path, files: &[TextFile], bless: bool) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| is_format_page(&file.path)) {
        let (fresh, found) = refresh(page, |path| std::fs::read(root.join(path)).ok());
        if !bless {
            findings.extend(found);
        } else if fresh != page.text {
            std::fs::write(root.join(&page.path), fresh)
                .with_context(|| format!("failed to write {}", page.path))?;
        }
    }
    Ok(findings)
}

fn is_format_page(path: &str) -> bool {
    path.starts_with("docs/formats/") && path.ends_with(".md") && !path.ends_with("README.md")
}

/// The page with the hashes that hold now, and what was wrong with the old ones.
fn refresh(page: &TextFile, source: impl Fn(&str) -> Option<Vec<u8>>) -> (String, Vec<Finding>) {
    let (mut fresh, mut findings, mut ties) = (String::new(), Vec::new(), 0);
    for (number, line) in page.text.lines().enumerate() {
        let mut line = line.to_owned();
        if let Some((path, hash)) = parse_tie(&line) {
            ties += 1;
            let now = source(path).map(|bytes| sha256(&bytes));
            let place = format!("{}:{}", page.path, number + 1);
            let what = match &now {
                None => Some(format!("its source {path} is gone")),
                Some(now) if now != hash => Some(format!("its source {path} has changed")),
                Some(_) => None,
            };
            findings.extend(what.map(|what| Finding { place, what, why: WHY }));
            line = format!("<!-- source: {path} sha256:{} -->", now.as_deref().unwrap_or("gone"));
        }
        fresh += &line;
        fresh.push('\n');
    }
    if ties == 0 {
        let what = "is tied to no source: add <!-- source: PATH sha256: -->".to_owned();
        findings.push(Finding { place: page.path.clone(), what, why: WHY });
    }
    (fresh, findings)
}

fn parse_tie(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim().strip_prefix("<!-- source:")?.strip_suffix("-->")?.trim();
    let (path, hash) = inner.split_once("sha256:")?;
    Some((path.trim(), hash.trim()))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> TextFile {
        TextFile { path: "docs/formats/wal.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_changed_source_is_found_and_blessing_settles_it() {
        let old = page("# Log\n<!-- source: a.rs sha256:00 -->\n");
        let (fresh, found) = refresh(&old, |_| Some(b"abc".to_vec()));
        assert_eq!(found[0].what, "its source a.rs has changed");
        assert!(fresh.contains("sha256:ba7816bf8f01cfea"), "{fresh}");
        assert_eq!(refresh(&page(&fresh), |_| Some(b"abc".to_vec())), (fresh.clone(), vec![]));
    }

    #[test]
    fn a_page_without_a_source_and_a_lost_source_are_found() {
        assert_eq!(refresh(&page("# Log\n"), |_| None).1.len(), 1);
        let lost = refresh(&page("<!-- source: a.rs sha256:00 -->\n"), |_| None).1;
        assert_eq!(lost[0].what, "its source a.rs is gone");
    }
}
