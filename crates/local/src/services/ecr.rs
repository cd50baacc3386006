//! ECR: there is no repository. Deployment tools ask for theirs when they remove a stack.
//!
//! Rule: Amazon ECR API reference, `RepositoryNotFoundException`.

use serde_json::{Value, json};

use crate::http::{Failure, Protocol, Request, Response};
use crate::place::Place;

/// Answers a call of `AmazonEC2ContainerRegistry_V20150921`.
pub(crate) fn answer(place: &Place, operation: &str, request: &Request) -> Response {
    Protocol::Json11.json(call(place, operation, request), &request.request_id)
}

fn call(place: &Place, operation: &str, request: &Request) -> Result<Value, Failure> {
    let body = request.json()?;
    if operation != "DescribeRepositories" {
        return Err(Failure::unknown_operation("ecr", operation));
    }
    let names = body.get("repositoryNames").and_then(Value::as_array);
    match names.and_then(|names| names.first()).and_then(Value::as_str) {
        None => Ok(json!({ "repositories": [] })),
        Some(name) => {
            let registry = &place.account;
            let problem = format!(
                "The repository with name '{name}' does not exist in the registry with id '{registry}'"
            );
            Err(Failure::new(400, "RepositoryNotFoundException", problem))
        }
    }
}
