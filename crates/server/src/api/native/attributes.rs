//! `GET /attributes` and `/attributes/{key}/values`: completion for whoever writes a query.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{AttrScope, Field, ValuesOptions};
use throughline_store::Scope;
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::{Params, PathParts};
use super::search::limit;
use super::{ApiError, ask, time};
use crate::app::App;
use crate::clock::now_unix_nano;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeysParams {
    /// What the key begins with.
    prefix: Option<String>,
    /// How many keys at most; default 100, at most 10 000.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ValuesParams {
    /// Where the key stands: `span`, `resource`, `event` or `link`; anywhere when missing.
    scope: Option<String>,
    /// What the value begins with.
    prefix: Option<String>,
    /// How many values at most; default 100, at most 10 000.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
}

/// Fields, and attribute keys, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
struct KeysAnswer {
    /// Fields of the query language that begin with the prefix.
    fields: Vec<FieldWord>,
    attributes: Vec<Key>,
}

/// A field of the query language.
#[derive(Debug, Serialize, ToSchema)]
struct FieldWord {
    key: &'static str,
    /// All its values, where these are few and known beforehand.
    values: Vec<&'static str>,
}

/// One attribute key.
#[derive(Debug, Serialize, ToSchema)]
struct Key {
    key: String,
    /// `span`, `resource`, `event` or `link`.
    scope: &'static str,
    /// The types of its values, most frequent first.
    types: Vec<&'static str>,
    /// How many values of it are held; for resources, how many resources.
    spans: u64,
}

/// Values of one attribute, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
struct ValuesAnswer {
    values: Vec<AttributeValue>,
    /// Whether all spans of the time were looked at; otherwise the newest ones only.
    complete: bool,
}

/// One value of an attribute.
#[derive(Debug, Serialize, ToSchema)]
struct AttributeValue {
    value: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// How many spans have it; for events and links, how many of these.
    spans: u64,
}

/// Lists attribute keys.
#[utoipa::path(
    get, path = "/attributes", operation_id = "attributes", params(KeysParams),
    responses(
        (status = 200, description = "Keys", body = KeysAnswer),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn keys(
    State(app): State<Arc<App>>,
    Params(params): Params<KeysParams>,
) -> Result<Response, ApiError> {
    let limit = limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
    let prefix = params.prefix.unwrap_or_default();
    ask(&app, move |snapshot| {
        let keys = throughline_query::attribute_keys(snapshot, &prefix, limit);
        let render = |key: throughline_query::KeyAnswer| Key {
            key: key.key,
            scope: scope_word(key.scope),
            types: key.types.into_iter().map(|kind| kind.word()).collect(),
            spans: key.count,
        };
        let fields = Field::NAMED.into_iter().filter(|(word, _)| word.starts_with(&prefix));
        let fields = fields.map(|(key, field)| FieldWord { key, values: field.words() });
        let attributes = keys.into_iter().map(render).collect();
        Ok(KeysAnswer { fields: fields.collect(), attributes })
    })
    .await
}

/// Lists the values of an attribute.
#[utoipa::path(
    get, path = "/attributes/{key}/values", operation_id = "attributeValues",
    params(("key" = String, Path, description = "The attribute's key"), ValuesParams),
    responses(
        (status = 200, description = "Values", body = ValuesAnswer),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 422, description = "The question needs too much memory", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn values(
    State(app): State<Arc<App>>,
    PathParts(key): PathParts<String>,
    Params(params): Params<ValuesParams>,
) -> Result<Response, ApiError> {
    let range = time::range(params.from.as_deref(), params.to.as_deref(), now_unix_nano())?;
    let options = ValuesOptions {
        scope: parse_scope(params.scope.as_deref().unwrap_or_default())?,
        prefix: params.prefix.unwrap_or_default(),
        from: range.from,
        to: range.to,
        limit: limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?,
    };
    ask(&app, move |snapshot| {
        let answer = throughline_query::attribute_values(snapshot, &key, &options)?;
        let render = |value: throughline_query::AttributeValue| AttributeValue {
            value: value.value,
            kind: value.kind.word(),
            spans: value.count,
        };
        let values = answer.values.into_iter().map(render).collect();
        Ok(ValuesAnswer { values, complete: answer.complete })
    })
    .await
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Span => "span",
        Scope::Resource => "resource",
        Scope::Event => "event",
        Scope::Link => "link",
    }
}

fn parse_scope(word: &str) -> Result<AttrScope, ApiError> {
    match word {
        "" => Ok(AttrScope::Any),
        "span" => Ok(AttrScope::Span),
        "resource" => Ok(AttrScope::Resource),
        "event" => Ok(AttrScope::Event),
        "link" => Ok(AttrScope::Link),
        _ => Err(ApiError::bad_request(format!(
            "scope: expected span, resource, event or link, got {word:?}"
        ))),
    }
}
