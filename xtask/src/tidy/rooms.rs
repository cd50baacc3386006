//! The room table of ARCHITECTURE.md against the dependencies that cargo knows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata};

use super::Finding;

pub(crate) const WHY: &str = "an import that the room table does not allow turns the arrows \
    around; change the code, or the table in ARCHITECTURE.md with a reason";

/// Who imports whom: crate, imported crate, and whether only its tests do.
pub(crate) type Edge = (String, String, bool);

/// The dependencies between crates of this workspace, by short name.
pub(crate) fn edges(metadata: &Metadata) -> Vec<Edge> {
    let ours: BTreeSet<&str> =
        metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let mut edges = Vec::new();
    for package in metadata.workspace_packages() {
        edges.push((short(&package.name), String::new(), false));
        for dependency in package.dependencies.iter().filter(|d| ours.contains(&d.name[..])) {
            let only_tests = dependency.kind == DependencyKind::Development;
            edges.push((short(&package.name), short(&dependency.name), only_tests));
        }
    }
    edges
}

fn short(name: &str) -> String {
    name.strip_prefix("throughline-").unwrap_or(name).to_owned()
}

/// Compares the table with the edges. An edge to "" only says that the crate exists.
pub(crate) fn check(page: &str, edges: &[Edge]) -> Vec<Finding> {
    let finding = |what: String| Finding { place: "ARCHITECTURE.md".to_owned(), what, why: WHY };
    let rooms = match parse_table(page) {
        Ok(rooms) => rooms,
        Err(what) => return vec![finding(what)],
    };
    let mut findings = Vec::new();
    for (from, to, only_tests) in edges {
        let Some(allowed) = rooms.get(from) else {
            if to.is_empty() {
                findings.push(finding(format!("crate `{from}` has no row in the room table")));
            }
            continue;
        };
        let for_tests = *only_tests && to == "testkit";
        if !to.is_empty() && !for_tests && !allowed.contains(to) {
            findings
                .push(finding(format!("`{from}` imports `{to}`, which its row does not allow")));
        }
    }
    findings
}

/// Reads the table whose last column is headed "may touch": each room and the rooms it may import.
fn parse_table(page: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut lines = page.lines().skip_while(|line| {
        let head = line.to_lowercase();
        !(head.starts_with('|') && head.contains("may touch"))
    });
    let header = lines.next().ok_or("has no table with a column \"may touch\"")?;
    let columns = cells(header).count();
    let rows: Vec<Vec<&str>> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| cells(line).collect())
        .collect();
    let names: BTreeSet<String> =
        rows.iter().flat_map(|row| words(row.first().unwrap_or(&""))).collect();
    let mut rooms = BTreeMap::new();
    for row in &rows {
        if row.len() != columns {
            return Err(format!("a row of the room table has {} cells: {row:?}", row.len()));
        }
        let allowed = allowed(row.last().unwrap_or(&""), &names);
        for name in words(row.first().unwrap_or(&"")) {
            rooms.insert(name, allowed.clone());
        }
    }
    Ok(rooms)
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim)
}

/// "model, topology" is a list; "all but a, b" is everything else; anything else allows nothing.
fn allowed(cell: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    // A remark after the first full stop or semicolon ("model. Never: sockets") names no room.
    let cell = cell.split(['.', ';']).next().unwrap_or("");
    let listed: BTreeSet<String> = words(cell).into_iter().filter(|w| names.contains(w)).collect();
    if words(cell).first().is_some_and(|word| word == "all") {
        return names.difference(&listed).cloned().collect();
    }
    listed
}

fn words(cell: &str) -> Vec<String> {
    let letters = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let words = cell.split(letters).filter(|word| word.starts_with(char::is_alphabetic));
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Rooms\n\n| crate | in and out | may touch |\n|---|---|---|\n\
        | `model` | x | nothing of ours |\n| `wire` | x | `model`. Never: sockets |\n\
        | `server` | x | all but main |\n| `main` | x | all |\n| `testkit`, `xtask` | x | model |\n";

    fn whats(edges: &[(&str, &str, bool)]) -> Vec<String> {
        let edges: Vec<Edge> =
            edges.iter().map(|(a, b, t)| ((*a).to_owned(), (*b).to_owned(), *t)).collect();
        check(PAGE, &edges).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_table_allows_what_it_lists() {
        assert_eq!(
            whats(&[
                ("wire", "model", false),
                ("server", "wire", false),
                ("main", "server", false),
                ("xtask", "model", false)
            ]),
            [""; 0]
        );
    }

    #[test]
    fn an_arrow_turned_around_is_found() {
        assert_eq!(
            whats(&[("model", "wire", false), ("server", "main", false), ("wire", "server", true)]),
            [
                "`model` imports `wire`, which its row does not allow",
                "`server` imports `main`, which its row does not allow",
                "`wire` imports `server`, which its row does not allow",
            ]
        );
    }

    #[test]
    fn tests_may_use_testkit_and_a_room_without_a_row_is_found() {
        assert_eq!(whats(&[("wire", "testkit", true)]), [""; 0]);
        assert_eq!(whats(&[("wire", "testkit", false)]).len(), 1);
        assert_eq!(whats(&[("attic", "", false)]), ["crate `attic` has no row in the room table"]);
    }

    #[test]
    fn a_page_without_the_table_is_found() {
        assert_eq!(check("# nothing", &[]).len(), 1);
    }
}
