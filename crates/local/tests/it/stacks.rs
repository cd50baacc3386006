//! Stacks that fail, change, roll back and are deleted.

use serde_json::{Value, json};

use crate::harness::{TestCloud, zip};

fn describe(cloud: &TestCloud, action: &str, stack: &str) -> crate::harness::Answer {
    cloud.query("cloudformation", &[("Action", action), ("StackName", stack)])
}

fn update(cloud: &TestCloud, name: &str, template: &Value) -> crate::harness::Answer {
    cloud.query(
        "cloudformation",
        &[
            ("Action", "UpdateStack"),
            ("StackName", name),
            ("TemplateBody", &template.to_string()),
            ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
        ],
    )
}

#[test]
fn an_unsupported_type_fails_the_stack_before_anything_is_made() {
    let cloud = TestCloud::start();
    let template = json!({ "Resources": {
        "Bucket": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": "left-over" } },
        "Machine": { "Type": "AWS::EC2::Instance" },
    }});
    assert_eq!(cloud.create_stack("s", &template), "ROLLBACK_COMPLETE");
    let events = cloud.events("s");
    let failed = events.iter().find(|(_, status, _)| status == "CREATE_FAILED").unwrap();
    assert_eq!(failed.0, "Machine");
    assert!(
        failed.2.contains("AWS::EC2::Instance is not supported by the local cloud"),
        "{failed:?}"
    );
    let rollback = events.iter().find(|(_, status, _)| status == "ROLLBACK_IN_PROGRESS").unwrap();
    assert_eq!(
        rollback.2,
        "The following resource(s) failed to create: [Machine]. Rollback requested by user."
    );
    assert_eq!(cloud.send("s3", "HEAD", "/left-over", &[], b"").status, 404);
    let again = update(&cloud, "s", &template);
    assert_eq!(again.element("Code").unwrap(), "ValidationError");
    assert!(
        again
            .element("Message")
            .unwrap()
            .contains("ROLLBACK_COMPLETE state and can not be updated")
    );
}

#[test]
fn a_resource_that_fails_takes_the_others_back() {
    let cloud = TestCloud::start();
    let template = json!({ "Resources": {
        "First": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": "/a" } },
        "Second": {
            "Type": "AWS::Lambda::Function", "DependsOn": "First",
            "Properties": {
                "Code": { "S3Bucket": "nobody", "S3Key": "k.zip" }, "Role": "arn:aws:iam::000000000000:role/r",
                "Runtime": "nodejs20.x", "Handler": "index.handler",
            },
        },
    }});
    assert_eq!(cloud.create_stack("s", &template), "ROLLBACK_COMPLETE");
    let events: Vec<String> =
        cloud.events("s").into_iter().map(|(name, status, _)| format!("{name} {status}")).collect();
    assert_eq!(
        events,
        [
            "s CREATE_IN_PROGRESS",
            "First CREATE_IN_PROGRESS",
            "First CREATE_IN_PROGRESS",
            "First CREATE_COMPLETE",
            "Second CREATE_IN_PROGRESS",
            "Second CREATE_FAILED",
            "s ROLLBACK_IN_PROGRESS",
            "First DELETE_IN_PROGRESS",
            "First DELETE_COMPLETE",
            "s ROLLBACK_COMPLETE",
        ]
    );
    let groups = cloud.target("logs", "Logs_20140328.DescribeLogGroups", &json!({}));
    assert_eq!(groups.json()["logGroups"], json!([]));
}

#[test]
fn a_wrong_template_leaves_no_stack() {
    let cloud = TestCloud::start();
    let circle = json!({ "Resources": {
        "A": { "Type": "AWS::SNS::Topic", "DependsOn": "B" },
        "B": { "Type": "AWS::SNS::Topic", "Properties": { "DisplayName": { "Ref": "A" } } },
    }});
    let answer = cloud.query(
        "cloudformation",
        &[
            ("Action", "CreateChangeSet"),
            ("StackName", "s"),
            ("ChangeSetName", "c"),
            ("ChangeSetType", "CREATE"),
            ("TemplateBody", &circle.to_string()),
        ],
    );
    assert_eq!(answer.status, 400);
    assert_eq!(answer.element("Message").unwrap(), "Circular dependency between resources: [A, B]");
    let missing = describe(&cloud, "DescribeStacks", "s");
    assert_eq!(missing.element("Message").unwrap(), "Stack with id s does not exist");
}

#[test]
fn a_failed_update_puts_back_what_was() {
    let cloud = TestCloud::start();
    let template = |days: u32, topic: Value| {
        json!({ "Resources": {
            "Group": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": "/g", "RetentionInDays": days } },
            "Topic": { "Type": "AWS::SNS::Topic", "DependsOn": "Group", "Properties": topic },
        }})
    };
    assert_eq!(
        cloud.create_stack("s", &template(7, json!({ "TopicName": "t" }))),
        "CREATE_COMPLETE"
    );
    let none = update(&cloud, "s", &template(7, json!({ "TopicName": "t" })));
    assert_eq!(none.element("Message").unwrap(), "No updates are to be performed.");

    let mail = json!([{ "Protocol": "email", "Endpoint": "a@b" }]);
    let broken = template(14, json!({ "TopicName": "t2", "Subscription": mail }));
    assert_eq!(update(&cloud, "s", &broken).status, 200);
    assert_eq!(cloud.settled("s"), "UPDATE_ROLLBACK_COMPLETE");
    let groups = cloud.target("logs", "Logs_20140328.DescribeLogGroups", &json!({}));
    assert_eq!(groups.json()["logGroups"][0]["retentionInDays"], 7);
    let reason =
        cloud.events("s").into_iter().find(|(_, status, _)| status == "UPDATE_FAILED").unwrap().2;
    assert!(reason.contains("protocol lambda only"), "{reason}");

    // A new name is a new topic; the old one goes in the clean-up.
    assert_eq!(update(&cloud, "s", &template(14, json!({ "TopicName": "t2" }))).status, 200);
    assert_eq!(cloud.settled("s"), "UPDATE_COMPLETE");
    let topics = cloud.query("sns", &[("Action", "ListTopics")]).text();
    assert!(topics.contains(":t2<") && !topics.contains(":t<"), "{topics}");
    assert_eq!(describe(&cloud, "DeleteStack", "s").status, 200);
    assert_eq!(cloud.settled("s"), "DELETE_COMPLETE");
    assert!(!cloud.query("sns", &[("Action", "ListTopics")]).text().contains(":t2<"));
}

#[test]
fn a_bucket_that_is_not_empty_fails_the_deletion_and_can_be_tried_again() {
    let cloud = TestCloud::start();
    let template = json!({ "Resources": {
        "Bucket": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": "bucket" } },
    }});
    assert_eq!(cloud.create_stack("s", &template), "CREATE_COMPLETE");
    cloud.send("s3", "PUT", "/bucket/k", &[], b"v");
    describe(&cloud, "DeleteStack", "s");
    assert_eq!(cloud.settled("s"), "DELETE_FAILED");
    cloud.send("s3", "DELETE", "/bucket/k", &[], b"");
    describe(&cloud, "DeleteStack", "s");
    assert_eq!(cloud.settled("s"), "DELETE_COMPLETE");
}

#[test]
fn stacks_and_their_resources_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let template = json!({
        "Parameters": { "Name": { "Type": "String", "Default": "signups" } },
        "Resources": {
            "Table": { "Type": "AWS::DynamoDB::Table", "Properties": {
                "TableName": { "Ref": "Name" }, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{ "AttributeName": "email", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "email", "KeyType": "HASH" }],
            }},
            "Stream": { "Type": "AWS::Kinesis::Stream", "Properties": { "Name": "events", "ShardCount": 1 } },
            "Function": { "Type": "AWS::Lambda::Function", "Properties": {
                "FunctionName": "f", "Code": { "ZipFile": "exports.handler = async () => 'alive'" },
                "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "nodejs20.x", "Handler": "index.handler",
            }},
        },
        "Outputs": { "Table": { "Value": { "Fn::GetAtt": ["Table", "Arn"] }, "Export": { "Name": "x" } } },
    });
    let mut cloud = TestCloud::start_in(data.path());
    assert_eq!(cloud.create_stack("s", &template), "CREATE_COMPLETE", "{:?}", cloud.events("s"));
    let put = json!({ "TableName": "signups", "Item": { "email": { "S": "a" } } });
    assert_eq!(cloud.target("dynamodb", "DynamoDB_20120810.PutItem", &put).status, 200);
    cloud.stop();

    let cloud = TestCloud::start_in(data.path());
    let stack = describe(&cloud, "DescribeStacks", "s");
    assert_eq!(stack.element("StackStatus").unwrap(), "CREATE_COMPLETE");
    assert_eq!(
        stack.element("OutputValue").unwrap(),
        "arn:aws:dynamodb:us-east-1:000000000000:table/signups"
    );
    let scan =
        cloud.target("dynamodb", "DynamoDB_20120810.Scan", &json!({ "TableName": "signups" }));
    assert_eq!(scan.json()["Count"], 1);
    let streams = cloud.target("kinesis", "Kinesis_20131202.ListStreams", &json!({}));
    assert_eq!(streams.json()["StreamNames"], json!(["events"]));
    let alive = cloud.send("lambda", "POST", "/2015-03-31/functions/f/invocations", &[], b"{}");
    assert_eq!((alive.status, alive.text().as_str()), (200, "\"alive\""));
}

#[test]
fn an_api_calls_its_function_and_says_502_when_it_fails() {
    let cloud = TestCloud::start();
    let handler = "exports.handler = async (event) => {
        if (!event.body) throw new Error('no body');
        return { statusCode: 200, headers: { 'X-Path': event.path }, body: JSON.stringify(JSON.parse(event.body)) };
    };";
    cloud.send("s3", "PUT", "/code-bucket", &[], b"");
    cloud.send("s3", "PUT", "/code-bucket/f.zip", &[], &zip("index.js", handler));
    let template = json!({
        "Resources": {
            "Function": { "Type": "AWS::Lambda::Function", "Properties": {
                "FunctionName": "f", "Code": { "S3Bucket": "code-bucket", "S3Key": "f.zip" },
                "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "nodejs20.x", "Handler": "index.handler",
            }},
            "Api": { "Type": "AWS::ApiGateway::RestApi", "Properties": { "Name": "api" } },
            "Resource": { "Type": "AWS::ApiGateway::Resource", "Properties": {
                "RestApiId": { "Ref": "Api" }, "ParentId": { "Fn::GetAtt": ["Api", "RootResourceId"] }, "PathPart": "p",
            }},
            "Method": { "Type": "AWS::ApiGateway::Method", "Properties": {
                "RestApiId": { "Ref": "Api" }, "ResourceId": { "Ref": "Resource" }, "HttpMethod": "POST",
                "AuthorizationType": "NONE",
                "Integration": { "Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": { "Fn::Sub":
                    "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations" } },
            }},
            "Deployment": { "Type": "AWS::ApiGateway::Deployment", "DependsOn": "Method", "Properties": {
                "RestApiId": { "Ref": "Api" }, "StageName": "dev",
            }},
        },
        "Outputs": { "Url": { "Value": { "Fn::Sub":
            "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/dev" } } },
    });
    assert_eq!(cloud.create_stack("s", &template), "CREATE_COMPLETE", "{:?}", cloud.events("s"));
    let url = describe(&cloud, "DescribeStacks", "s").element("OutputValue").unwrap();
    let path = url.strip_prefix(&cloud.endpoint()).unwrap_or_else(|| panic!("{url} is not here"));
    assert!(path.starts_with("/_api/") && path.ends_with("/dev"), "{path}");

    let good = cloud.send("", "POST", &format!("{path}/p"), &[], b"{\"name\":\"Ada\"}");
    assert_eq!((good.status, good.text().as_str()), (200, "{\"name\":\"Ada\"}"));
    assert_eq!(good.header("x-path"), "/p");
    assert_eq!(good.header("content-type"), "application/json");
    let bare = cloud.send("", "POST", path, &[], b"2");
    assert_eq!((bare.status, bare.text().as_str()), (200, "2"));
    let failed = cloud.send("", "POST", &format!("{path}/p"), &[], b"");
    assert_eq!(
        (failed.status, failed.text().as_str()),
        (502, "{\"message\": \"Internal server error\"}")
    );
    let missing = cloud.send("", "GET", &format!("{path}/nope"), &[], b"");
    assert_eq!(
        (missing.status, missing.text().as_str()),
        (403, "{\"message\":\"Missing Authentication Token\"}")
    );
    let host = format!("{}.execute-api.localhost", path.split('/').nth(2).unwrap());
    let by_host = cloud.send("", "POST", "/dev/p", &[("host", &host)], b"1");
    assert_eq!((by_host.status, by_host.text().as_str()), (200, "1"));
}
