//! "Did you mean ...?"

/// The word of `known` that is nearest to `word`, when it is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    if word.chars().count() > 40 {
        return None;
    }
    let near = |known: &'a str| {
        let slips = distance(&word, known);
        let allowed = match known.len() {
            0..=2 => 0,
            3..=7 => 1,
            _ => 2,
        };
        (slips <= allowed).then_some((slips, known))
    };
    known.into_iter().filter_map(near).min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

/// A question to put behind a message, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|known| format!(": did you mean `{known}`?")).unwrap_or_default()
}

/// How many insertions, deletions, replacements and swaps of neighbours lie between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_found_and_other_words_are_not() {
        let known = ["service", "status", "duration", "kind"];
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, known), expected, "{word}");
        };
        check("servce", Some("service"));
        check("Sevrice", Some("service"));
        check("statsu", Some("status"));
        check("durtaoin", Some("duration"));
        check("kynd", Some("kind"));
        check("region", None);
        check("", None);
        check(&"x".repeat(10_000), None);
    }
}
