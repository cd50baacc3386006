//! What others wrote: how many packages, under which licences, from where.

use std::collections::BTreeMap;

use cargo_metadata::Metadata;

use super::Finding;

const LICENCE_WHY: &str = "the program is Apache-2.0 and is given away: every part must allow that \
    (deny.toml, [licenses])";
const SOURCE_WHY: &str = "a package from elsewhere cannot be fetched on another machine \
    (deny.toml, [sources])";

/// Licences that allow what Apache-2.0 promises. Kept like deny.toml.
const ALLOWED: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    // Asks only that changes to its own files are given: we change none.
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("");
        if !is_allowed(licence) {
            let what = format!("its licence is {licence:?}");
            findings.push(Finding { place: place.clone(), what, why: LICENCE_WHY });
        }
        if let Some(source) = package.source.as_ref().filter(|source| source.repr != INDEX) {
            let what = format!("comes from {source}");
            findings.push(Finding { place, what, why: SOURCE_WHY });
        }
    }
    findings
}

/// How many packages, and which stand there twice.
pub(crate) fn summary(metadata: &Metadata) -> String {
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for package in &metadata.packages {
        *versions.entry(package.name.as_str()).or_default() += 1;
    }
    let twice: Vec<&str> =
        versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| *name).collect();
    format!("{} packages, in several versions: {}", metadata.packages.len(), twice.join(" "))
}

/// Whether an SPDX expression can be met: one side of each "or", all sides of each "and".
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut left: &str = &expression;
    let mut tokens = Vec::new();
    while let Some(at) = left.find(['(', ')', ' ']) {
        tokens.extend([&left[..at], &left[at..=at]]);
        left = &left[at + 1..];
    }
    tokens.push(left);
    tokens.retain(|token| !token.trim().is_empty());
    let mut at = 0;
    let met = any(&tokens, &mut at);
    met && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize) -> bool {
    let mut met = all(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(tokens, at);
    }
    met
}

fn all(tokens: &[&str], at: &mut usize) -> bool {
    let mut met = one(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at);
    }
    met
}

fn one(tokens: &[&str], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let met = any(tokens, at);
        *at += 1;
        return met;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1).copied().unwrap_or("");
        *at += 2;
        return ALLOWED.contains(&&format!("{token} WITH {exception}")[..]);
    }
    ALLOWED.contains(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: bool) {
        assert_eq!(is_allowed(expression), expected, "{expression:?}");
    }

    #[test]
    fn licence_expressions_are_met_or_not() {
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("MIT OR Apache-2.0 OR LGPL-2.1-or-later", true);
        check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true);
        check("GPL-3.0-only", false);
        check("MIT AND GPL-3.0-only", false);
        check("AGPL-3.0 OR SSPL-1.0", false);
        check("", false);
    }
}
