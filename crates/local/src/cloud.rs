//! All services together, and which of them answers a request.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::guard;
use crate::http::{Failure, Protocol, Request, Response, response, set_header};
use crate::ids;
use crate::lambda::receipts::{Direction, Receipt, Sink};
use crate::lambda::{self, Functions, InvokeOptions, SnsMessage};
use crate::place::Place;
use crate::route::{self, Target};
use crate::seams::{Answer, Position, Read, StreamError, Streams};
use crate::services::apigateway::{ApiGateway, Call, HttpApis, Invoker};
use crate::services::beanstalk::Beanstalk;
use crate::services::cloudformation::CloudFormation;
use crate::services::dynamodb::DynamoDb;
use crate::services::iam::Iam;
use crate::services::kinesis::Kinesis;
use crate::services::logs::Logs;
use crate::services::s3::S3;
use crate::services::sns::{Published, Sns};
use crate::services::{ecr, sts};
use crate::upstream::Upstream;

/// The services.
pub(crate) struct Cloud {
    pub(crate) place: Arc<Place>,
    pub(crate) s3: Arc<S3>,
    pub(crate) iam: Arc<Iam>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) sns: Arc<Sns>,
    pub(crate) kinesis: Arc<Kinesis>,
    pub(crate) dynamodb: Arc<DynamoDb>,
    pub(crate) apigateway: Arc<ApiGateway>,
    pub(crate) http_apis: Arc<HttpApis>,
    pub(crate) cloudformation: Arc<CloudFormation>,
    pub(crate) beanstalk: Arc<Beanstalk>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) receipts: Sink,
    pub(crate) upstream: Option<Upstream>,
    /// Where X-Ray's API is.
    pub(crate) throughline: Option<Upstream>,
}

impl Cloud {
    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let request_id = request.request_id.clone();
        let target = route::route(&request);
        let mut answer = match guard::refusal(&target, &request) {
            Some(reason) => {
                Protocol::RestJson.failure(&Failure::new(403, "AccessDenied", reason), &request_id)
            }
            None => self.dispatch(target, request).await,
        };
        if !answer.headers().contains_key("x-amzn-requestid") {
            set_header(&mut answer, "x-amzn-requestid", &request_id);
        }
        answer
    }

    async fn dispatch(&self, target: Target, request: Request) -> Response {
        match target {
            Target::Api { api, stage, path } => {
                let call = Call { api, stage, path, request };
                if self.http_apis.has(&call.api) {
                    return self.http_apis.execute(call, &ByName(&self.functions)).await;
                }
                self.apigateway.execute(call, &ByName(&self.functions)).await
            }
            Target::Bucket(bucket) => self.s3.answer(bucket.as_deref(), &request),
            Target::Health => {
                let status = json!({ "status": "ready", "version": env!("CARGO_PKG_VERSION") });
                response(200, "application/json", status.to_string())
            }
            Target::Service { name, operation } => self.service(&name, &operation, request).await,
            Target::Unknown => {
                let problem = "this request names no AWS service: it has no signature, and no path of a service that is here";
                let failure = Failure::new(400, "UnknownService", problem);
                Protocol::RestJson.failure(&failure, &request.request_id)
            }
        }
    }

    async fn service(&self, name: &str, operation: &str, request: Request) -> Response {
        // A query call by GET would let an image's address act; clients of AWS post.
        let by_form = matches!(name, "sts" | "iam" | "sns" | "cloudformation" | "elasticbeanstalk");
        if by_form && request.method != http::Method::POST {
            let failure =
                Failure::new(405, "MethodNotAllowed", "the query protocol is called by POST here");
            return Protocol::RestJson.failure(&failure, &request.request_id);
        }
        match name {
            "sts" => sts::answer(&self.place, &request),
            "iam" => self.iam.answer(&request),
            "cloudformation" => self.cloudformation.answer(&request),
            "logs" => self.logs.answer(operation, &request),
            "ecr" => ecr::answer(&self.place, operation, &request),
            "apigateway" => self.apigateway.answer(&request),
            "elasticbeanstalk" => self.beanstalk.answer(&request),
            "lambda" => self.lambda(request).await,
            "dynamodb" => self.dynamodb.answer(operation, &request).await,
            "kinesis" => {
                let (answer, puts) = self.kinesis.answer(operation, &request).await;
                for put in puts {
                    let place = (put.index, put.batch_size);
                    self.sent(&request, "kinesis", put.stream, put.sequence, place);
                }
                answer
            }
            "sns" => {
                let (answer, published) = self.sns.answer(&request);
                if let Some(published) = published {
                    self.published(&request, published).await;
                }
                answer
            }
            _ => self.elsewhere(name, &request).await,
        }
    }

    async fn lambda(&self, request: Request) -> Response {
        let path_and_query = match request.query.as_str() {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        };
        let mut asked = http::Request::new(request.body);
        *asked.method_mut() = request.method;
        *asked.uri_mut() = path_and_query.parse().unwrap_or_default();
        *asked.headers_mut() = request.headers;
        lambda::http::handle(&self.functions, asked).await
    }

    /// Services that are not here.
    async fn elsewhere(&self, name: &str, request: &Request) -> Response {
        let other = if name == "xray" { self.throughline.as_ref() } else { None };
        let answer = match other.or(self.upstream.as_ref()) {
            Some(upstream) => upstream.forward(request).await,
            None => Err(Failure::new(
                501,
                "UnsupportedService",
                format!(
                    "the local cloud has no service {name:?}; name an emulator that has it with --upstream URL"
                ),
            )),
        };
        answer.unwrap_or_else(|failure| {
            let protocol = if request.header("x-amz-target").is_empty() {
                match request
                    .header("content-type")
                    .starts_with("application/x-www-form-urlencoded")
                {
                    true => Protocol::Query("https://unsupported.localhost/"),
                    false => Protocol::RestJson,
                }
            } else {
                Protocol::Json11
            };
            protocol.failure(&failure, &request.request_id)
        })
    }

    /// Hands a message to every function that is subscribed.
    async fn published(&self, request: &Request, published: Published) {
        let topic = published.topic_arn.rsplit(':').next().unwrap_or_default().to_owned();
        self.sent(request, "sns", topic, published.message_id, (0, 1));
        let trace_header =
            Some(request.header("x-amzn-trace-id")).filter(|header| !header.is_empty());
        for delivery in published.deliveries {
            let message = SnsMessage {
                message_id: delivery.message_id,
                topic_arn: delivery.topic_arn,
                subscription_arn: delivery.subscription_arn,
                subject: delivery.subject,
                message: delivery.message,
                attributes: delivery.attributes,
                time_ms: delivery.time_ms,
                trace_header: trace_header.map(str::to_owned),
            };
            if let Err(err) = self.functions.deliver_sns(&delivery.function, &message).await {
                tracing::warn!(function = delivery.function, %err, "a message was not delivered");
            }
        }
    }

    /// Leaves a receipt of what a function sent. Calls from outside leave none: nobody could say whose they are.
    fn sent(
        &self,
        request: &Request,
        carrier: &'static str,
        resource: String,
        id: String,
        place: (u32, u32),
    ) {
        let caller = route::access_key_id(request).and_then(|key| self.functions.caller(&key));
        let Some(caller) = caller else { return };
        let Some(request_id) = caller.request_id else { return };
        self.receipts.put(Receipt {
            trace_id: None,
            span_id: None,
            function_request_id: Some(request_id),
            function_name: Some(caller.function_name),
            direction: Direction::Out,
            carrier,
            region: self.place.region.clone(),
            resource,
            id,
            index: Some(place.0),
            batch_size: Some(place.1),
            time_unix_nano: ids::now_ms().saturating_mul(1_000_000),
        });
    }
}

/// Functions as API Gateway calls them.
struct ByName<'a>(&'a Arc<Functions>);

impl Invoker for ByName<'_> {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
        trace_header: &'a str,
    ) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            let options = InvokeOptions {
                trace_header: Some(trace_header.to_owned()),
                ..InvokeOptions::default()
            };
            match self.0.invoke(function, event, options).await {
                Ok(answer) if answer.function_error.is_none() => Some(answer.payload),
                Ok(_) => None,
                Err(err) => {
                    tracing::warn!(function, %err, "an API could not call its function");
                    None
                }
            }
        })
    }
}

/// Both kinds of streams, told apart by their ARNs.
pub(crate) struct AllStreams {
    pub(crate) kinesis: Arc<Kinesis>,
    pub(crate) dynamodb: Arc<DynamoDb>,
    pub(crate) puts: tokio::sync::watch::Receiver<u64>,
}

impl AllStreams {
    fn of(&self, arn: &str) -> &dyn Streams {
        if arn.contains(":dynamodb:") { &*self.dynamodb } else { &*self.kinesis }
    }
}

impl Streams for AllStreams {
    fn shards<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>> {
        self.of(stream_arn).shards(stream_arn)
    }

    fn read<'a>(
        &'a self,
        stream_arn: &'a str,
        shard: &'a str,
        from: Position,
        records_max: usize,
    ) -> Answer<'a, Result<Read, StreamError>> {
        self.of(stream_arn).read(stream_arn, shard, from, records_max)
    }

    fn puts(&self) -> tokio::sync::watch::Receiver<u64> {
        self.puts.clone()
    }
}
