//! Requests that came by HTTP: API Gateway, function URLs, load balancers, AppSync.
//!
//! Rule: Lambda Developer Guide, "Using API Gateway", "function URLs", "Application Load
//!       Balancer"; the request's id is what the client gets as `apigw-requestid` or
//!       `x-amzn-requestid`.

use serde_json::Value;

use super::Place;
use super::gather::{Gather, some_text, text};
use crate::carrier::Carrier;
use crate::carriers;
use crate::receipt::{Direction, Receipt};
use crate::resource::canonical;
use crate::time;

impl Gather<'_> {
    /// A request through API Gateway or to a function URL.
    pub(super) fn request(&mut self, event: &Value) {
        self.headers_of(event);
        let Some(context) = event.get("requestContext") else { return };
        let mut receipt =
            Receipt::new(Direction::In, Carrier::ApiGateway, text(context, "/requestId"));
        receipt.resource = some_text(context, "/apiId");
        // A function URL has its account id, or `anonymous`.
        receipt.account = some_text(context, "/accountId").filter(|id| id != "anonymous");
        let url = format!("https://{}", text(context, "/domainName"));
        receipt.region = canonical(Carrier::ApiGateway, &url).region;
        let millis = ["requestTimeEpoch", "timeEpoch"].iter().find_map(|name| context.get(name));
        receipt.time_unix_nano = time::of_millis(millis);
        let extended = text(context, "/extendedRequestId");
        if !extended.is_empty() && extended != receipt.id {
            self.receipt(Receipt { id: extended.to_owned(), ..receipt.clone() });
        }
        self.receipt(receipt);
        let message = text(context, "/messageId");
        if !message.is_empty() {
            self.receipt(Receipt::new(Direction::In, Carrier::ApiGateway, message));
        }
    }

    /// The headers of a request, in the form with lists where it is there: it has them all.
    pub(super) fn headers_of(&mut self, request: &Value) {
        let lists = request.get("multiValueHeaders").and_then(Value::as_object);
        let map = lists.or_else(|| request.get("headers").and_then(Value::as_object));
        if let Some(map) = map {
            self.context(Place::Headers, &carriers::of_map(map));
        }
    }
}
