//! The crate `dynoxide-rs` as our [`Engine`].

use std::path::Path;

use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Engine;

/// What the emulator calls its region.
pub(super) const REGION: &str = dynoxide::streams::LOCAL_REGION;
/// How every ARN of it begins.
pub(super) const ARN_PREFIX: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// The emulator in this process, on SQLite.
pub(crate) struct Dynoxide(Database);

impl Dynoxide {
    /// Tables in memory, or in a file.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, String> {
        let database = match file {
            None => Database::memory(),
            Some(file) => Database::new(&file.to_string_lossy()),
        };
        database.map(Self).map_err(|err| err.to_string())
    }
}

/// Reads the request, runs it, writes the answer.
fn run<Q: DeserializeOwned, A: Serialize>(
    body: &str,
    operation: impl FnOnce(Q) -> dynoxide::errors::Result<A>,
) -> Result<String, (u16, String)> {
    let request = serde_json::from_str(body).map_err(|err| {
        let error = json!({
            "__type": "com.amazon.coral.validate#ValidationException",
            "message": err.to_string(),
        });
        (400, error.to_string())
    })?;
    let answer =
        operation(request).map_err(|err: DynoxideError| (err.status_code(), err.to_json()))?;
    serde_json::to_string(&answer).map_err(|err| {
        (500, json!({ "__type": "InternalServerError", "message": err.to_string() }).to_string())
    })
}

impl Engine for Dynoxide {
    fn call(&self, operation: &str, body: &str) -> Result<String, (u16, String)> {
        let Self(tables) = self;
        match operation {
            "CreateTable" => run(body, |request| tables.create_table(request)),
            "DeleteTable" => run(body, |request| tables.delete_table(request)),
            "DescribeTable" => run(body, |request| tables.describe_table(request)),
            "ListTables" => run(body, |request| tables.list_tables(request)),
            "UpdateTable" => run(body, |request| tables.update_table(request)),
            "PutItem" => run(body, |request| tables.put_item(request)),
            "GetItem" => run(body, |request| tables.get_item(request)),
            "DeleteItem" => run(body, |request| tables.delete_item(request)),
            "UpdateItem" => run(body, |request| tables.update_item(request)),
            "Query" => run(body, |request| tables.query(request)),
            "Scan" => run(body, |request| tables.scan(request)),
            "BatchGetItem" => run(body, |request| tables.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| tables.batch_write_item(request)),
            "TransactWriteItems" => run(body, |request| tables.transact_write_items(request)),
            "TransactGetItems" => run(body, |request| tables.transact_get_items(request)),
            "ListStreams" => run(body, |request| tables.list_streams(request)),
            "DescribeStream" => run(body, |request| tables.describe_stream(request)),
            "GetShardIterator" => run(body, |request| tables.get_shard_iterator(request)),
            "GetRecords" => run(body, |request| tables.get_records(request)),
            "UpdateTimeToLive" => run(body, |request| tables.update_time_to_live(request)),
            "DescribeTimeToLive" => run(body, |request| tables.describe_time_to_live(request)),
            "ExecuteStatement" => run(body, |request| tables.execute_statement(request)),
            "TagResource" => run(body, |request| tables.tag_resource(request)),
            "UntagResource" => run(body, |request| tables.untag_resource(request)),
            "ListTagsOfResource" => run(body, |request| tables.list_tags_of_resource(request)),
            _ => {
                let error = json!({
                    "__type": "com.amazon.coral.service#UnknownOperationException",
                    "message": format!("{operation} is not supported by the local cloud"),
                });
                Err((400, error.to_string()))
            }
        }
    }
}
