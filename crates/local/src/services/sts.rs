//! STS: who the caller is. Everyone is the account's root, and no signature is checked.
//!
//! Rule: AWS STS API reference, version 2011-06-15.

use crate::http::{Failure, Request, Response};
use crate::place::Place;
use crate::query::{Form, QueryService};
use crate::xml::Xml;
use crate::{http, ids};

const SERVICE: QueryService =
    QueryService { namespace: "https://sts.amazonaws.com/doc/2011-06-15/" };

/// Answers a call.
pub(crate) fn answer(place: &Place, request: &Request) -> Response {
    let form = match Form::of(request) {
        Ok(form) => form,
        Err(failure) => {
            return http::Protocol::Query(SERVICE.namespace).failure(&failure, &request.request_id);
        }
    };
    let action = form.get("Action").unwrap_or("");
    let result = match action {
        "GetCallerIdentity" => Ok(Some(
            Xml::new()
                .text("Arn", place.global_arn("iam", "root"))
                .text("UserId", &place.account)
                .text("Account", &place.account),
        )),
        "AssumeRole" => assume_role(place, &form).map(Some),
        _ => Err(Failure::unknown_operation("sts", action)),
    };
    SERVICE.answer(action, result, &request.request_id)
}

/// Credentials that nothing checks, for an hour.
fn assume_role(place: &Place, form: &Form) -> Result<Xml, Failure> {
    let role = form.need("RoleArn")?;
    let session = form.need("RoleSessionName")?;
    let name = role.rsplit('/').next().unwrap_or(role);
    let credentials = Xml::new()
        .text("AccessKeyId", ids::iam_id("ASIA"))
        .text("SecretAccessKey", "local")
        .text("SessionToken", "local")
        .text("Expiration", ids::iso(ids::now_ms() + 3_600_000));
    let arn = format!("arn:aws:sts::{}:assumed-role/{name}/{session}", place.account);
    let user = Xml::new()
        .text("AssumedRoleId", format!("{}:{session}", ids::iam_id("AROA")))
        .text("Arn", arn);
    Ok(Xml::new().element("Credentials", credentials).element("AssumedRoleUser", user))
}
