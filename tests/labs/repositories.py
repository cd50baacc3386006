"""Repositories as people have them of the Kinesis workshop: its files and names, written in every way that a
Serverless template can be written in. Each is a dictionary of path and text."""

import os

PREFIX = "copied"

SET_VALUES = """# USER SET VALUES =====================
custom:
  accessToken: $ACCESS_TOKEN
  realm: $REALM
  prefix: $PREFIX
#======================================
"""

# The way of the first years: a role's statements at the provider, long forms of intrinsic functions, an event in one
# line, an old runtime, everything in `provider` that functions share.
OLD_TEMPLATE = SET_VALUES + """
service: ${self:custom.prefix}-lambda-lab

frameworkVersion: '2 || 3'
variablesResolutionMode: 20210326
useDotenv: true

provider:
  name: aws
  runtime: RUNTIME
  stage: ${opt:stage, 'dev'}
  region: ${opt:region, env:AWS_REGION, 'us-east-1'}
  memorySize: 256
  timeout: 10
  logRetentionInDays: 7
  tracing:
    apiGateway: true
    lambda: true
  tags:
    workshop: o11y
  environment:
    STREAM_NAME: ${self:custom.prefix}-eventStream
    AWS_LAMBDA_EXEC_WRAPPER: /opt/nodejs-otel-handler
    OTEL_RESOURCE_ATTRIBUTES: deployment.environment=${self:custom.prefix}-apm-lambda
    SPLUNK_ACCESS_TOKEN: ${self:custom.accessToken}
    SPLUNK_REALM: ${self:custom.realm}
  iamRoleStatements:
    - Effect: "Allow"
      Action:
        - "kinesis:*"
      Resource:
        Fn::GetAtt:
          - eventStream
          - Arn

package:
  individually: true
  exclude:
    - node_modules/**

functions:
  producer:
    handler: handler.producer
    layers:
      - arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:12
    environment:
      OTEL_SERVICE_NAME: producer-lambda
    events:
      - http: POST /producer
  consumer:
    handler: handler.consumer
    layers:
      - arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:12
    environment:
      OTEL_SERVICE_NAME: consumer-lambda
    events:
      - stream:
          type: kinesis
          arn:
            Fn::GetAtt: [eventStream, Arn]
          batchSize: 5
          batchWindow: 1
          startingPosition: TRIM_HORIZON
          maximumRetryAttempts: 2
          enabled: true

resources:
  Resources:
    eventStream:
      Type: AWS::Kinesis::Stream
      Properties:
        Name: ${self:custom.prefix}-eventStream
        RetentionPeriodHours: 24
        ShardCount: 1
        Tags:
          - Key: workshop
            Value: o11y
  Outputs:
    EventStreamName:
      Description: The stream
      Value: !Ref eventStream
    EventStreamArn:
      Value:
        Fn::GetAtt: [eventStream, Arn]
      Export:
        Name: ${self:service}-${sls:stage}-stream
"""

# The way of the last years: an HTTP API, short forms, settings in a file of their own, another region, two shards.
NEW_TEMPLATE = SET_VALUES + """
service: ${self:custom.prefix}-lambda-lab

provider:
  name: aws
  runtime: RUNTIME
  stage: ${opt:stage, 'dev'}
  region: eu-west-1
  architecture: x86_64
  httpApi:
    cors: true
  iam:
    role:
      name: ${self:custom.prefix}-lab-role
      statements:
        - Effect: Allow
          Action: [kinesis:PutRecord, kinesis:PutRecords]
          Resource: !GetAtt eventStream.Arn

functions:
  producer: ${file(functions.yml):producer}
  consumer: ${file(functions.yml):consumer}

resources:
  Description: The workshop's stream
  Resources:
    eventStream:
      Type: AWS::Kinesis::Stream
      Properties:
        Name: !Sub '${self:custom.prefix}-eventStream'
        StreamModeDetails:
          StreamMode: ON_DEMAND
  Outputs:
    StreamArn:
      Value: !GetAtt eventStream.Arn
"""

NEW_FUNCTIONS = """producer:
  handler: src/producer.handler
  name: ${self:service}-${sls:stage}-producer
  layers: [LAYER]
  environment:
    AWS_LAMBDA_EXEC_WRAPPER: /opt/nodejs-otel-handler
    OTEL_RESOURCE_ATTRIBUTES: deployment.environment=${self:custom.prefix}-apm-lambda
    OTEL_SERVICE_NAME: producer-lambda
    STREAM_NAME: !Ref eventStream
  events:
    - httpApi: 'POST /producer'
    - httpApi:
        method: GET
        path: /producer/{name}
consumer:
  handler: src/consumer.handler
  layers: [LAYER]
  environment:
    AWS_LAMBDA_EXEC_WRAPPER: /opt/nodejs-otel-handler
    OTEL_RESOURCE_ATTRIBUTES: deployment.environment=${self:custom.prefix}-apm-lambda
    OTEL_SERVICE_NAME: consumer-lambda
  events:
    - stream:
        type: kinesis
        arn: !GetAtt eventStream.Arn
        batchSize: 100
        startingPosition: TRIM_HORIZON
        bisectBatchOnFunctionError: true
        functionResponseType: ReportBatchItemFailures
"""

# Callbacks, `var`, a client in the handler, two modules of the layer and one of the runtime.
CALLBACKS = """'use strict';
var AWS = require('aws-sdk');
var uuid = require('uuid');
const otelapi = require('@opentelemetry/api');
const otelcore = require('@opentelemetry/core');

module.exports.producer = (event, context, callback) => {
  var kinesis = new AWS.Kinesis({ apiVersion: '2013-12-02', region: process.env.AWS_REGION });
  if (!event.body) {
    return callback(null, { statusCode: 400, body: JSON.stringify({ message: 'No body was found' }) });
  }
  const span = otelapi.trace.getSpan(otelapi.context.active());
  let carrier = {};
  new otelcore.W3CTraceContextPropagator().inject(
    otelapi.trace.setSpanContext(otelapi.ROOT_CONTEXT, span.spanContext()), carrier, otelapi.defaultTextMapSetter);
  const data = '{"tracecontext": ' + JSON.stringify(carrier) + ', "record":' + event.body + '}';
  console.log(`Record with context:
      ${data}`);
  kinesis.putRecord({ Data: data, PartitionKey: uuid.v4(), StreamName: process.env.STREAM_NAME }, function (err) {
    if (err) return callback(err);
    callback(null, {
      statusCode: 200,
      body: JSON.stringify({ message: `Message placed in the Event Stream: ${process.env.STREAM_NAME}` }),
    });
  });
};

module.exports.consumer = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  event.Records.forEach((record) => {
    const message = Buffer.from(record.kinesis.data, 'base64').toString('ascii');
    const { tracecontext, record: body } = JSON.parse(message);
    const parent = new otelcore.W3CTraceContextPropagator().extract(
      otelapi.ROOT_CONTEXT, tracecontext, otelapi.defaultTextMapGetter);
    const span = otelapi.trace.getTracer(process.env.OTEL_SERVICE_NAME).startSpan('Kinesis.getRecord', undefined, parent);
    span.setAttribute('span.kind', 'server');
    if (body.name) span.setAttribute('custom.tag.name', body.name);
    if (body.superpower) span.setAttribute('custom.tag.superpower', body.superpower);
    console.log('Message from the stream: ' + message);
    span.end();
  });
  callback(null, `Processed ${event.Records.length} records.`);
};
"""

# Promises, modules in folders, aws-sdk v2 by one of its clients, events and answers of format 2.0.
MODULES = {
    "src/producer.js": """const Kinesis = require('aws-sdk/clients/kinesis');
const { carrier } = require('./lib/carrier');
const stream = new Kinesis();
exports.handler = async ({ body, pathParameters, requestContext }) => {
  if (pathParameters) return { hello: pathParameters.name, by: requestContext.http.method };
  const put = { Data: JSON.stringify({ tracecontext: carrier(), record: JSON.parse(body) }), PartitionKey: `${Math.random()}`, StreamName: process.env.STREAM_NAME };
  await stream.putRecord(put).promise();
  return { message: `Message placed in the Event Stream: ${put.StreamName}` };
};
""",
    "src/lib/carrier.js": """const api = require('@opentelemetry/api');
exports.carrier = () => { const out = {}; api.propagation.inject(api.context.active(), out); return out; };
""",
    "src/consumer.js": """const api = require('@opentelemetry/api');
exports.handler = async (event) => {
  for (const { kinesis } of event.Records) {
    const { tracecontext, record } = JSON.parse(Buffer.from(kinesis.data, 'base64'));
    const parent = api.propagation.extract(api.ROOT_CONTEXT, tracecontext);
    const span = api.trace.getTracer('lab').startSpan('Kinesis.getRecord', { kind: api.SpanKind.CONSUMER }, parent);
    span.setAttribute('custom.tag.superpower', record.superpower).end();
    console.info('Message from the stream:', JSON.stringify(record));
  }
  return { batchItemFailures: [] };
};
""",
}

# Without the layer: what is deployed runs in Python, with the boto3 that the runtime brings along.
PYTHON_TEMPLATE = """service: ${self:custom.prefix}-lambda-lab
custom: {prefix: "${env:PREFIX}"}
provider:
  name: aws
  runtime: RUNTIME
  iam:
    role:
      statements:
        - {Effect: Allow, Action: "kinesis:PutRecord", Resource: "*"}
functions:
  producer:
    handler: handler.producer
    environment: {STREAM_NAME: "${self:custom.prefix}-eventStream"}
    events:
      - http: {path: producer, method: post, cors: true}
  consumer:
    handler: handler.consumer
    events:
      - stream: {type: kinesis, arn: {"Fn::GetAtt": [eventStream, Arn]}, startingPosition: TRIM_HORIZON}
resources:
  Resources:
    eventStream: {Type: "AWS::Kinesis::Stream", Properties: {Name: "${self:custom.prefix}-eventStream", ShardCount: 1}}
"""

PYTHON = """import base64, json, os
import boto3

kinesis = boto3.client("kinesis")


def producer(event, context):
    stream = os.environ["STREAM_NAME"]
    kinesis.put_record(StreamName=stream, Data=event["body"], PartitionKey=context.aws_request_id)
    return {"statusCode": 200, "body": json.dumps({"message": "Message placed in the Event Stream: " + stream})}


def consumer(event, context):
    for record in event["Records"]:
        print("Message from the stream:", base64.b64decode(record["kinesis"]["data"]).decode())
"""

LAYERS = {
    "old": "arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:12",
    "new": "arn:aws:lambda:eu-west-1:254067382080:layer:splunk-apm:123",
}


def old(runtime):
    """`serverless_unset.yml`, as the text has it, and one handler file."""
    return {"serverless_unset.yml": OLD_TEMPLATE.replace("RUNTIME", runtime), "handler.js": CALLBACKS, ".env": "UNUSED=1\n"}


def new(runtime):
    """A template of several files and modules in folders."""
    return {"serverless_unset.yml": NEW_TEMPLATE.replace("RUNTIME", runtime),
            "functions.yml": NEW_FUNCTIONS.replace("LAYER", LAYERS["new"]), **MODULES}


def python(runtime):
    """Ready to deploy; values come from the environment."""
    return {"serverless.yml": PYTHON_TEMPLATE.replace("RUNTIME", runtime), "handler.py": PYTHON}


def write(folder, files):
    """Writes a repository."""
    for path, text in files.items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
