//! Every crate's lib.rs opens with what it is, what comes in, goes out and may be touched, and
//! then only lists its modules.

use super::Finding;
use super::files::TextFile;

const WHY: &str = "a newcomer reads lib.rs first and must learn what the room is for, not how it \
    works (CONTRIBUTING.md, \"Rules that tidy checks\")";

pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    let Some(("crates", rest)) = file.path.split_once('/') else { return Vec::new() };
    if rest.split_once('/').is_none_or(|(_, inner)| inner != "src/lib.rs") {
        return Vec::new();
    }
    let finding = |line: usize, what: String| Finding {
        place: format!("{}:{line}", file.path),
        what,
        why: WHY,
    };
    let mut findings = Vec::new();
    let head: Vec<&str> =
        file.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    if head.first().is_none_or(|line| line.is_empty()) {
        findings.push(finding(1, "its first line does not say what the crate is".to_owned()));
    }
    for label in ["Comes in:", "Goes out:", "May touch:"] {
        if !head.iter().any(|line| line.strip_prefix(label).is_some_and(|rest| !rest.is_empty())) {
            findings.push(finding(1, format!("its opening lacks a line \"{label}\"")));
        }
    }
    for (number, line) in file.above_tests().lines().enumerate() {
        if is_logic(line) {
            findings.push(finding(number + 1, format!("holds logic: {}", line.trim())));
        }
    }
    findings
}

fn is_logic(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    let visible = ["pub", "pub(crate)", "async", "const", "unsafe"];
    words
        .iter()
        .find(|word| !visible.contains(word))
        .is_some_and(|word| *word == "fn" || *word == "impl" || word.starts_with("impl<"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! What it is.\n//!\n//! Comes in:   a.\n//! Goes out:   b.\n\
        //! May touch:  nothing of ours.\n\nmod inner;\npub use inner::call;\n";

    fn whats(text: &str) -> Vec<String> {
        let file = TextFile { path: "crates/x/src/lib.rs".to_owned(), text: text.to_owned() };
        check(&file).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_list_of_modules_below_the_four_lines_is_fine() {
        assert_eq!(whats(GOOD), [""; 0]);
    }

    #[test]
    fn a_missing_line_is_found() {
        assert_eq!(
            whats(&GOOD.replace("//! Goes out:   b.\n", "")),
            ["its opening lacks a line \"Goes out:\""]
        );
        assert_eq!(whats("mod inner;\n").len(), 4);
    }

    #[test]
    fn logic_is_found_and_tests_are_not_logic() {
        assert_eq!(whats(&format!("{GOOD}pub async fn go() {{}}\n")).len(), 1);
        assert_eq!(whats(&format!("{GOOD}impl<T> X for T {{}}\n")).len(), 1);
        assert_eq!(whats(&format!("{GOOD}#[cfg(test)]\nfn helper() {{}}\n")).len(), 0);
    }
}
