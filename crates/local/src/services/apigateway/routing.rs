//! Which resource a path belongs to.
//!
//! Rule: "Set up API resources": a fixed part wins over `{name}`, and both over `{name+}`.

use std::collections::BTreeMap;

use super::Resource;

/// A resource and what its path's variables are.
pub(super) type Found<'a> = (&'a Resource, BTreeMap<String, String>);

/// The resource that a decoded path, without its stage, belongs to.
pub(super) fn find<'a>(
    resources: &'a BTreeMap<String, Resource>,
    path: &[String],
) -> Option<Found<'a>> {
    let candidates = resources.values().filter_map(|resource| {
        let (rank, variables) = fit(&resource.path, path)?;
        Some((rank, resource, variables))
    });
    let (_, resource, variables) = candidates.min_by(|a, b| a.0.cmp(&b.0))?;
    Some((resource, variables))
}

/// How well a template fits: for each part 0 fixed, 1 a variable, 2 the rest. Smaller is better.
pub(super) fn fit(template: &str, path: &[String]) -> Option<(Vec<u8>, BTreeMap<String, String>)> {
    let mut rank = Vec::new();
    let mut variables = BTreeMap::new();
    let mut rest = path.iter();
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match variable {
            None if rest.next().is_some_and(|segment| segment == part) => rank.push(0),
            None => return None,
            Some(name) => match name.strip_suffix('+') {
                None => {
                    variables.insert(name.to_owned(), rest.next()?.clone());
                    rank.push(1);
                }
                Some(name) => {
                    let all: Vec<&str> = rest.by_ref().map(String::as_str).collect();
                    if all.is_empty() {
                        return None;
                    }
                    variables.insert(name.to_owned(), all.join("/"));
                    rank.push(2);
                }
            },
        }
    }
    if rest.next().is_some() { None } else { Some((rank, variables)) }
}

/// `users`, `{id}` or `{proxy+}`.
pub(super) fn is_path_part(part: &str) -> bool {
    let fixed = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
    };
    match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => fixed(name.strip_suffix('+').unwrap_or(name)),
        None => fixed(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(&str, &[(&str, &str)])>) {
        let mut resources = BTreeMap::new();
        for template in ["/", "/users", "/users/{id}", "/users/me", "/{proxy+}"] {
            let resource = Resource {
                id: template.to_owned(),
                parent_id: None,
                path_part: String::new(),
                path: template.to_owned(),
                methods: BTreeMap::new(),
            };
            resources.insert(template.to_owned(), resource);
        }
        let segments: Vec<String> =
            path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let found = find(&resources, &segments).map(|(r, v)| (r.path.clone(), v));
        let expected = expected.map(|(path, variables)| {
            let variables =
                variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            (path.to_owned(), variables)
        });
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn the_most_exact_resource_wins() {
        check("/", Some(("/", &[])));
        check("/users", Some(("/users", &[])));
        check("/users/me", Some(("/users/me", &[])));
        check("/users/7", Some(("/users/{id}", &[("id", "7")])));
        check("/users/7/x", Some(("/{proxy+}", &[("proxy", "users/7/x")])));
    }

    #[test]
    fn path_parts_are_words_or_variables() {
        for good in ["producer", "{id}", "{proxy+}", "a.b-c_d"] {
            assert!(is_path_part(good), "{good}");
        }
        for bad in ["", "a/b", "{", "{}", "{+}", "a{b}"] {
            assert!(!is_path_part(bad), "{bad}");
        }
    }
}
