//! Words that must not stand in the project's files.

use super::Finding;
use super::files::TextFile;

const ASCII_WHY: &str = "invisible and look-alike characters hide in source; write \\u escapes \
    (CONTRIBUTING.md, \"Rules that tidy checks\")";
const MACHINE_WHY: &str = "the project must build on every machine: no path and no registry of \
    one machine belongs in it (CONTRIBUTING.md, \"Rules that tidy checks\")";
const TEST_WHY: &str = "a test that sleeps is slow or flaky, one that is ignored or may panic \
    shows nothing; wait for a condition, assert an error (CONTRIBUTING.md, \"Tests\")";

/// Put together here, so that this file does not find itself.
const MACHINE: [&str; 7] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("registry.npm", "js.org"),
    concat!("py", "pi.org"),
    concat!("index", "-url"),
    concat!("GO", "PROXY"),
];
const NEVER_IN_RUST: [&str; 2] = [concat!("#[ign", "ore"), concat!("should_", "panic")];
const NEVER_IN_TESTS: [&str; 3] =
    [concat!("sle", "ep("), concat!("sle", "ep_ms("), concat!("waitFor", "Timeout(")];

const SOURCE: [&str; 9] =
    [".rs", ".ts", ".js", ".mjs", ".py", ".sh", ".toml", "Makefile", ".ci/run"];

pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if file.path.contains("/generated/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut find = |line: usize, what: String, why: &'static str| {
        findings.push(Finding { place: format!("{}:{line}", file.path), what, why });
    };
    let lines_above_tests = if file.is_test() { 0 } else { file.above_tests().lines().count() };
    // testkit waits for processes, which have no condition to block on.
    let may_wait = file.path.starts_with("crates/testkit/src/");
    // The page speaks to people, with their dashes and arrows.
    let is_source = file.has_ending(&SOURCE) && !file.path.starts_with("ui/");
    for (number, line) in file.text.lines().enumerate() {
        let in_tests = file.is_test() || number >= lines_above_tests;
        let number = number + 1;
        if is_source && !in_tests && !line.is_ascii() {
            find(number, "holds a character outside ASCII".to_owned(), ASCII_WHY);
        }
        // In the tests at the bottom of a file a path is only a value; files of tests are scripts.
        let own_tests = in_tests && !file.is_test();
        for word in MACHINE.iter().filter(|word| !own_tests && line.contains(**word)) {
            find(number, format!("names a machine's own place: {word}"), MACHINE_WHY);
        }
        if file.has_ending(&[".rs"]) {
            for word in NEVER_IN_RUST.iter().filter(|word| line.contains(**word)) {
                find(number, format!("uses {word}"), TEST_WHY);
            }
        }
        if in_tests && !may_wait && file.has_ending(&SOURCE) {
            for word in NEVER_IN_TESTS.iter().filter(|word| line.contains(**word)) {
                find(number, format!("uses {word} in a test"), TEST_WHY);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(path: &str, text: &str) -> usize {
        check(&TextFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn source_is_ascii_and_tests_may_be_anything() {
        assert_eq!(whats("crates/x/src/a.rs", "let a = \"\u{e9}\";"), 1);
        assert_eq!(whats("crates/x/src/a.rs", "a\n#[cfg(test)]\nlet a = \"\u{e9}\";"), 0);
        assert_eq!(whats("crates/x/tests/a.rs", "let a = \"\u{e9}\";"), 0);
        assert_eq!(whats("README.md", "caf\u{e9}"), 0);
        assert_eq!(whats("ui/src/a.ts", "caf\u{e9}"), 0);
    }

    #[test]
    fn machine_places_are_found_in_every_file() {
        for word in MACHINE {
            assert_eq!(whats("README.md", &format!("see {word}x")), 1, "{word}");
            assert_eq!(whats("tests/a.sh", &format!("see {word}x")), 1, "{word}");
            assert_eq!(whats("a.rs", &format!("#[cfg(test)]\n{word}x")), 0, "{word}");
        }
    }

    #[test]
    fn a_test_neither_sleeps_nor_is_ignored() {
        let sleeping = format!("thread::{}1);", NEVER_IN_TESTS[0]);
        assert_eq!(whats("crates/x/tests/a.rs", &sleeping), 1);
        assert_eq!(whats("crates/x/src/a.rs", &sleeping), 0);
        assert_eq!(whats("crates/x/src/a.rs", &format!("#[cfg(test)]\n{sleeping}")), 1);
        assert_eq!(whats("crates/x/tests/a.rs", &format!("{}]", NEVER_IN_RUST[0])), 1);
    }
}
