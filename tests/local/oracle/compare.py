"""The same calls of AWS, recorded from its tools, made to another emulator and to the local cloud: statuses and codes of
errors have to be the same, but for the differences that are named here, each with its reason.

Start both, and call this with the two addresses: compare.py OTHER LOCAL
"""

import base64
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

# Calls whose answers differ, and why ours is as it is.
ALLOWED = {
    "kinesis GetRecords, no iterator": (
        (400, "ExpiredIteratorException"), (400, "InvalidArgumentException"),
        "an iterator that never was one is an invalid argument; expired is one that was (Kinesis API reference, GetRecords)"),
}

ZIP = base64.b64encode(bytes.fromhex(
    # a zip with an empty index.js
    "504b0304140000000000000021000000000000000000000000000800000069" "6e6465782e6a73"
    "504b01021403140000000000000021000000000000000000000000000800000000000000000000008001"
    "00000000696e6465782e6a73504b05060000000001000100360000002600000000" "00")).decode()
ROLE = "arn:aws:iam::000000000000:role/lab"
TEMPLATE = json.dumps({"Resources": {"Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "of-stack", "ShardCount": 1}}}})


class Cloud:
    """One of the two; `call` signs nothing but names region and service as a signature would."""

    def __init__(self, url):
        self.url = url.rstrip("/")

    def call(self, service, method, path, headers=None, body=b""):
        scope = f"AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        everything = {"authorization": scope, "x-amz-date": "20261121T000000Z", **(headers or {})}
        request = urllib.request.Request(self.url + path, body or None, everything, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def query(self, service, version, action, **parameters):
        pairs = {"Action": action, "Version": version, **parameters}
        body = urllib.parse.urlencode(pairs).encode()
        return self.call(service, "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, body)

    def target(self, service, target, version, **body):
        headers = {"x-amz-target": target, "content-type": f"application/x-amz-json-{version}"}
        return self.call(service, "POST", "/", headers, json.dumps(body).encode())

    def rest(self, method, path, **body):
        headers = {"content-type": "application/json"} if body else {}
        return self.call("lambda", method, path, headers, json.dumps(body).encode() if body else b"")


def code(status, body, headers):
    """The code of an error, in whatever protocol it came; nothing for an answer."""
    if status < 400:
        return ""
    named = (headers.get("x-amzn-errortype") or "").split(":")[0]
    text = body.decode(errors="replace")
    found = re.search(r"<Code>([^<]+)</Code>", text) or re.search(r'"(?:__type|code|Code)"\s*:\s*"([^"]+)"', text)
    return named or (found.group(1).split("#")[-1] if found else "")


def calls(cloud):
    """Name and answer of each call, in an order in which each finds what it needs."""
    cfn = lambda action, **more: cloud.query("cloudformation", "2010-05-15", action, **more)
    sns = lambda action, **more: cloud.query("sns", "2010-03-31", action, **more)
    kinesis = lambda action, **more: cloud.target("kinesis", f"Kinesis_20131202.{action}", "1.1", **more)
    table = lambda action, **more: cloud.target("dynamodb", f"DynamoDB_20120810.{action}", "1.0", **more)
    logs = lambda action, **more: cloud.target("logs", f"Logs_20140328.{action}", "1.1", **more)
    s3 = lambda method, path, body=b"", **headers: cloud.call("s3", method, path, headers, body)
    functions = "/2015-03-31/functions"

    yield "sts GetCallerIdentity", cloud.query("sts", "2011-06-15", "GetCallerIdentity")
    # sls deploy, up to the first upload
    yield "cloudformation DescribeStacks, none", cfn("DescribeStacks", StackName="no-such-stack")
    yield "cloudformation CreateChangeSet", cfn("CreateChangeSet", StackName="lab", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=TEMPLATE)
    yield "cloudformation ExecuteChangeSet", cfn("ExecuteChangeSet", StackName="lab", ChangeSetName="first")
    yield "cloudformation DescribeStackEvents", cfn("DescribeStackEvents", StackName="lab")
    yield "cloudformation DescribeStackResource, none", cfn("DescribeStackResource", StackName="lab", LogicalResourceId="None")
    yield "cloudformation ListStackResources, no stack", cfn("ListStackResources", StackName="no-such-stack")
    yield "cloudformation ValidateTemplate, no template", cfn("ValidateTemplate", TemplateBody="no template")
    yield "cloudformation DeleteStack, none", cfn("DeleteStack", StackName="no-such-stack")
    yield "lambda GetFunction, none", cloud.rest("GET", f"{functions}/no-such-function")
    yield "lambda Invoke, none", cloud.rest("POST", f"{functions}/no-such-function/invocations", a=1)
    yield "s3 CreateBucket", s3("PUT", "/oracle-bucket")
    yield "s3 HeadBucket", s3("HEAD", "/oracle-bucket")
    yield "s3 HeadBucket, none", s3("HEAD", "/oracle-no-bucket")
    yield "s3 PutObject", s3("PUT", "/oracle-bucket/a/b.json", b"{}", **{"x-amz-meta-filesha256": "x"})
    yield "s3 HeadObject", s3("HEAD", "/oracle-bucket/a/b.json")
    yield "s3 GetObject, none", s3("GET", "/oracle-bucket/none")
    yield "s3 GetObject, no bucket", s3("GET", "/oracle-no-bucket/none")
    yield "s3 ListObjectsV2", s3("GET", "/oracle-bucket?list-type=2&prefix=a")
    yield "s3 DeleteBucket, not empty", s3("DELETE", "/oracle-bucket")
    # the sign-up workshop
    yield "sns CreateTopic", sns("CreateTopic", Name="signup-topic")
    yield "sns Publish", sns("Publish", TopicArn="arn:aws:sns:us-east-1:000000000000:signup-topic", Message="hello")
    yield "sns Publish, no topic", sns("Publish", TopicArn="arn:aws:sns:us-east-1:000000000000:none", Message="hello")
    keys = {"AttributeDefinitions": [{"AttributeName": "email", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    yield "dynamodb CreateTable", table("CreateTable", TableName="signups", **keys)
    yield "dynamodb CreateTable, twice", table("CreateTable", TableName="signups", **keys)
    put = {"TableName": "signups", "Item": {"email": {"S": "ada"}}, "ConditionExpression": "attribute_not_exists(email)"}
    yield "dynamodb PutItem", table("PutItem", **put)
    yield "dynamodb PutItem, twice", table("PutItem", **put)
    yield "dynamodb PutItem, no table", table("PutItem", **{**put, "TableName": "none"})
    yield "dynamodb GetItem, no key", table("GetItem", TableName="signups", Key={"other": {"S": "x"}})
    yield "dynamodb DescribeTable, none", table("DescribeTable", TableName="none")
    create = {"FunctionName": "oracle", "Runtime": "nodejs20.x", "Role": ROLE, "Handler": "index.handler", "Code": {"ZipFile": ZIP}}
    yield "lambda CreateFunction", cloud.rest("POST", functions, **create)
    yield "lambda CreateFunction, twice", cloud.rest("POST", functions, **create)
    yield "lambda GetFunctionConfiguration", cloud.rest("GET", f"{functions}/oracle/configuration")
    yield "lambda UpdateFunctionCode", cloud.rest("PUT", f"{functions}/oracle/code", ZipFile=ZIP)
    yield "lambda UpdateFunctionCode, none", cloud.rest("PUT", f"{functions}/none/code", ZipFile=ZIP)
    yield "lambda UpdateFunctionConfiguration", cloud.rest("PUT", f"{functions}/oracle/configuration", TracingConfig={"Mode": "Active"})
    yield "lambda CreateEventSourceMapping, no function", cloud.rest(
        "POST", "/2015-03-31/event-source-mappings", FunctionName="none", StartingPosition="LATEST",
        EventSourceArn="arn:aws:kinesis:us-east-1:000000000000:stream/oracle")
    yield "lambda GetEventSourceMapping, none", cloud.rest("GET", "/2015-03-31/event-source-mappings/00000000-0000-4000-8000-000000000000")
    yield "lambda DeleteFunction", cloud.rest("DELETE", f"{functions}/oracle")
    yield "lambda DeleteFunction, none", cloud.rest("DELETE", f"{functions}/oracle")
    # the Kinesis lab
    yield "kinesis CreateStream", kinesis("CreateStream", StreamName="oracle", ShardCount=1)
    yield "kinesis CreateStream, twice", kinesis("CreateStream", StreamName="oracle", ShardCount=1)
    yield "kinesis DescribeStream, none", kinesis("DescribeStream", StreamName="none")
    yield "kinesis PutRecord, no stream", kinesis("PutRecord", StreamName="none", Data="YQ==", PartitionKey="p")
    yield "kinesis GetRecords, no iterator", kinesis("GetRecords", ShardIterator="none")
    # sls logs
    yield "logs DescribeLogStreams, no group", logs("DescribeLogStreams", logGroupName="/none")
    yield "logs FilterLogEvents, no group", logs("FilterLogEvents", logGroupName="/none")
    yield "logs CreateLogGroup", logs("CreateLogGroup", logGroupName="/oracle")
    yield "logs CreateLogGroup, twice", logs("CreateLogGroup", logGroupName="/oracle")
    # sls remove
    yield "ecr DescribeRepositories, none", cloud.target(
        "ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", "1.1", repositoryNames=["none"], registryId="000000000000")
    yield "cloudformation DeleteStack", cfn("DeleteStack", StackName="lab")


def main():
    other, ours = Cloud(sys.argv[1]), Cloud(sys.argv[2])
    bad, used, compared = [], set(), 0
    for (name, theirs), (_, own) in zip(calls(other), calls(ours), strict=True):
        compared += 1
        found = tuple((answer[0], code(*answer)) for answer in (theirs, own))
        if found[0] == found[1]:
            continue
        allowed = ALLOWED.get(name)
        if allowed and found == allowed[:2]:  # its reason is for the reader
            used.add(name)
            continue
        bad.append(f"{name}: the other answers {found[0]}, the local cloud {found[1]}")
    bad += [f"{name}: this difference is allowed and there is none" for name in ALLOWED if name not in used]
    for line in bad:
        print(line)
    print(f"{compared} calls compared, {len(ALLOWED)} allowed differences, {len(bad)} others")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
