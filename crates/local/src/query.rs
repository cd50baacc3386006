//! The query protocol: a form in, XML out.
//!
//! Rule: smithy.io, "AWS query protocol"; lists are `Name.member.1`, structures `Name.member.1.Field`.

use std::collections::BTreeMap;

use crate::http::{Failure, Protocol, Request, Response, response};
use crate::xml::Xml;

/// Parameters of a form, at most this many.
const PARAMETERS_MAX: usize = 10_000;

/// The decoded form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads body and query string; a name that comes twice keeps its last value.
    pub(crate) fn of(request: &Request) -> Result<Self, Failure> {
        let mut form = BTreeMap::new();
        let in_url = form_urlencoded::parse(request.query.as_bytes());
        for (name, value) in in_url.chain(form_urlencoded::parse(&request.body)) {
            form.insert(name.into_owned(), value.into_owned());
            if form.len() > PARAMETERS_MAX {
                return Err(Failure::new(400, "ValidationError", "too many parameters"));
            }
        }
        Ok(Self(form))
    }

    /// A parameter; empty ones count as absent, as clients send `Parameters=` for an empty list.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| {
            let problem = format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null");
            Failure::new(400, "ValidationError", problem)
        })
    }

    /// Whether a flag is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A list of texts: `Name.member.N` (or `Name.entry.N`), in order, until the first that is absent.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut items = Vec::new();
        while let Some(item) = self.0.get(&format!("{name}.member.{}", items.len() + 1)) {
            items.push(item.clone());
        }
        items
    }

    /// A list of structures: the fields of `Name.member.N`, in order.
    pub(crate) fn structures(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let mut items: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for prefix in [format!("{name}.member."), format!("{name}.entry.")] {
            for (key, value) in self.0.range(prefix.clone()..) {
                let Some(rest) = key.strip_prefix(&prefix) else { break };
                let Some((index, field)) = rest.split_once('.') else { continue };
                let Ok(index) = index.parse() else { continue };
                items.entry(index).or_default().insert(field.to_owned(), value.clone());
            }
        }
        items.into_values().collect()
    }
}

/// A service of the query protocol.
pub(crate) struct QueryService {
    /// The namespace of its answers.
    pub namespace: &'static str,
}

impl QueryService {
    /// Wraps the result of `action` as the protocol does; `None` is an operation without result.
    pub(crate) fn answer(
        &self,
        action: &str,
        result: Result<Option<Xml>, Failure>,
        request_id: &str,
    ) -> Response {
        let result = match result {
            Ok(result) => result,
            Err(failure) => {
                return Protocol::Query(self.namespace).failure(&failure, request_id);
            }
        };
        let mut inner = Xml::new();
        if let Some(result) = result {
            inner = inner.element(&format!("{action}Result"), result);
        }
        inner = inner.element("ResponseMetadata", Xml::new().text("RequestId", request_id));
        let body = format!(
            "<{action}Response xmlns=\"{}\">{}</{action}Response>",
            self.namespace,
            inner.into_string()
        );
        response(200, "text/xml", body)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    fn form(body: &str) -> Form {
        let request = Request {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            request_id: String::new(),
        };
        Form::of(&request).unwrap()
    }

    #[test]
    fn lists_and_structures_are_read_in_order() {
        let form = form(
            "A.member.1=x&A.member.2=y&T.member.10.Key=k10&T.member.2.Key=k2&T.member.2.Value=%26&E=",
        );
        assert_eq!(form.list("A"), ["x", "y"]);
        let tags = form.structures("T");
        assert_eq!(tags.len(), 2);
        assert_eq!(tags[0]["Key"], "k2");
        assert_eq!(tags[0]["Value"], "&");
        assert_eq!(form.get("E"), None);
        assert!(form.need("E").is_err());
    }
}
