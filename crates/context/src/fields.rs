//! The named texts that a carrier brings: HTTP headers, message attributes, a map in JSON.

use opentelemetry::propagation::Extractor;

/// How many relevant fields are kept of one carrier; more are not looked at.
pub const FIELDS_MAX: usize = 256;
/// The longest value that is kept, in bytes. Longer ones are left out as if they were not there.
pub const VALUE_MAX_BYTES: usize = 16 * 1024;

/// The names that some format reads, in lower case.
const NAMES: &[&str] = &[
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-amzn-trace-id",
    "uber-trace-id",
    "jaeger-debug-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-origin",
    "x-datadog-tags",
    "ot-tracer-traceid",
    "ot-tracer-spanid",
    "ot-tracer-sampled",
];
/// The beginnings of names that carry one member of baggage each.
const PREFIXES: &[&str] = &["uberctx-", "ot-baggage-"];

/// The fields of one carrier that some format reads; a name may stand several times, in order.
///
/// Names are compared without case, values are free of the white space around them (RFC 9110,
/// section 5.5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields {
    fields: Vec<(String, String)>,
}

impl Fields {
    /// Keeps a field if some format reads it, there is room, and its value has no control
    /// characters.
    pub fn push(&mut self, name: &str, value: &str) {
        let name = name.trim();
        let known = NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
            || PREFIXES.iter().any(|prefix| without_prefix(name, prefix).is_some());
        // What is no field value in HTTP must not become one when it is written again.
        let clean = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let fits = self.fields.len() < FIELDS_MAX && value.len() <= VALUE_MAX_BYTES;
        if known && fits && value.bytes().all(clean) {
            let value = value.trim_matches([' ', '\t']);
            self.fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The relevant fields of an OpenTelemetry carrier.
    #[must_use]
    pub fn of_extractor(extractor: &dyn Extractor) -> Self {
        let mut fields = Self::default();
        let mut put = |name: &str| {
            for value in extractor.get_all(name).unwrap_or_default() {
                fields.push(name, value);
            }
        };
        NAMES.iter().for_each(|name| put(name));
        // Names of baggage are not known before: they must be looked for.
        for name in extractor.keys() {
            if PREFIXES.iter().any(|prefix| without_prefix(name, prefix).is_some()) {
                put(name);
            }
        }
        fields
    }

    /// Every value of `name`, a name in lower case, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_str())
    }

    /// The one value of `name`: none if it is not there, `Err` if two values differ.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, TwoValues> {
        let mut values = self.all(name);
        let first = values.next();
        match values.find(|other| first != Some(other)) {
            Some(_) => Err(TwoValues),
            None => Ok(first),
        }
    }

    /// The rest of each name that begins with `prefix`, and its value.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let rest = move |field: &'a (String, String)| {
            field.0.strip_prefix(prefix).map(|rest| (rest, field.1.as_str()))
        };
        self.fields.iter().filter_map(rest)
    }

    /// Whether no format reads anything of the carrier.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// A name stands twice with values that differ.
#[derive(Debug)]
pub(crate) struct TwoValues;

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            fields.push(name.as_ref(), value.as_ref());
        }
        fields
    }
}

fn without_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    (start.eq_ignore_ascii_case(prefix) && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn names_have_no_case_and_values_no_space_around_them() {
        let fields = Fields::from_iter([("TraceParent", " \tx "), ("uberCtx-User", "1")]);
        assert_eq!(fields.all("traceparent").collect::<Vec<_>>(), ["x"]);
        assert_eq!(fields.with_prefix("uberctx-").collect::<Vec<_>>(), [("user", "1")]);
    }

    #[test]
    fn what_nobody_reads_is_not_kept_and_the_rest_is_bounded() {
        let mut fields =
            Fields::from_iter([("cookie", "x"), ("trace-parent", "x"), ("uberctx-", "")]);
        assert!(fields.is_empty());
        fields.push("b3", &"0".repeat(VALUE_MAX_BYTES + 1));
        fields.push("b3", "0\r\nset-cookie: x");
        assert!(fields.is_empty());
        for _ in 0..2 * FIELDS_MAX {
            fields.push("b3", "0");
        }
        assert_eq!(fields.all("b3").count(), FIELDS_MAX);
    }

    #[test]
    fn one_value_may_be_repeated_but_not_contradicted() {
        let fields =
            Fields::from_iter([("b3", "0"), ("b3", "0"), ("baggage", "a"), ("baggage", "b")]);
        assert_eq!(fields.one("b3").unwrap(), Some("0"));
        assert!(fields.one("baggage").is_err());
        assert_eq!(fields.one("traceparent").unwrap(), None);
    }

    #[test]
    fn baggage_of_a_map_is_found_by_its_prefix() {
        let map = HashMap::from([("ot-baggage-user".to_owned(), "1".to_owned())]);
        let fields = Fields::of_extractor(&map);
        assert_eq!(fields.with_prefix("ot-baggage-").collect::<Vec<_>>(), [("user", "1")]);
    }
}
