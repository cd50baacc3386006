"""The cases: what is sent how, and the joins that must come of it.

A case gives the traces that it made. `joins` are the joins between them, all of them and no other:
"sender's span > taker's span: carrier, class, confidence", with what is unusual behind it; the
name of the case's queues stands as `Q`. `deliveries` is how many messages were handed to a
consumer; where fewer are joined, `missing` says why, in the page's words.
"""

import json
from dataclasses import dataclass, field

from world import AGO_S

CASES = []
BODY = '{"order":7}'
# What a journey says where one side names a message and the other does not.
UNREAD, UNSENT = "consumer_not_found", "producer_not_found"


@dataclass
class Case:
    name: str
    broker: str
    sender: str
    taker: str
    context: str
    deliveries: int
    joins: list
    run: callable
    missing: str = ""
    # Why pairs of one id are not one message, in the server's words.
    refused: list = field(default_factory=list)
    # Kinds of the journeys' gaps.
    gaps: list = field(default_factory=list)
    # All ways of the map to and from the case's queues, topics and streams; None where not asked.
    ways: list = None
    # Whether it has a line in the page's table.
    page: bool = True


def case(name, broker, sender, taker, joins, context="none", deliveries=1, **more):
    """Makes a function a case; `q` is a name for whatever it creates."""
    def add(run):
        CASES.append(Case(name, broker, sender, taker, context, deliveries, joins, run, **more))
        return run
    return add


def traces(*told):
    return [one["traceId"] for one in told]


# ---------------------------------------------------------------- SQS, one message

def one_message(w, q, case):
    queue = w.queue(q)
    sent = send(w, case, queue)
    return traces(sent, take(w, case, queue))


def send(w, case, queue, service="shop", **more):
    shop = w.peer(service, case.sender, case.context, **more)
    return shop.ask("call", name="POST /orders", service="sqs", **as_operation(case.sender, "SendMessage"),
                    QueueUrl=queue, MessageBody=BODY)


def send_batch(w, case, queue, count=3):
    shop = w.peer("shop", case.sender, case.context)
    entries = [{"Id": f"entry-{n}", "MessageBody": BODY} for n in range(count)]
    return shop.ask("call", name="POST /orders", service="sqs", **as_operation(case.sender, "SendMessageBatch"),
                    QueueUrl=queue, Entries=entries)


def take(w, case, queue, count=1, service="packer", environment=None, **more):
    where = {"environment": environment} if environment else {}
    packer = w.peer(service, case.taker, case.context, **where)
    return packer.ask("take", name="poll", queue=queue, count=count, **{"MaxNumberOfMessages": 10, **more})


def as_operation(tracers, name):
    """boto3 spells operations in its own way."""
    if tracers.startswith("aws-sdk"):
        return {"operation": name}
    return {"operation": "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")}


TAKER_NO_ID = "`messaging.message.id` on the taker's span: it is only on links, which need a context"
FIRST_ONLY = "`messaging.message.id` of the first message only"

# What the map shows: a call goes to its queue; a link or a receipt leads out of it, and ids that both sides name add to that.
SENT = "shop > queue:aws_sqs:Q: async, inferred"
CALLED = [SENT, "packer > queue:aws_sqs:Q: sync, inferred"]
LINKED_WAYS = [SENT, "queue:aws_sqs:Q > packer: async, link+message"]

for sender, taker, context, join, missing in [
    ("botocore", "botocore", "none", "SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98", ""),
    ("boto3sqs", "boto3sqs", "none", "Q send > packer Q process: sqs E2 0.95", ""),
    ("boto3sqs", "boto3sqs", "tracecontext", "Q send > packer Q process: sqs E1 0.99", ""),
    ("botocore+boto3sqs", "botocore+boto3sqs", "none", "Q send > packer Q process: sqs E2 0.95", ""),
    ("botocore+boto3sqs", "botocore+boto3sqs", "tracecontext", "Q send > packer Q process: sqs E1 0.99", ""),
    ("botocore", "boto3sqs", "tracecontext", "SQS.SendMessage > packer Q process: sqs E2 0.95", ""),
    ("boto3sqs", "botocore", "tracecontext", "Q send > packer SQS.ReceiveMessage: sqs E2 0.95", ""),
    ("aws-sdk", "aws-sdk", "none", None, TAKER_NO_ID),
    ("aws-sdk", "aws-sdk", "tracecontext", "Q send > packer Q receive: sqs E1 0.99", ""),
    ("aws-sdk", "boto3sqs", "none", "Q send > packer Q process: sqs E2 0.95", ""),
    ("boto3sqs", "aws-sdk", "tracecontext", "Q send > packer Q receive: sqs E1 0.99", ""),
    ("botocore", "aws-sdk", "none", None, TAKER_NO_ID),
    ("aws-sdk+recipe", "aws-sdk+recipe", "none", "Q send > packer Q receive: sqs E2 0.98", ""),
]:
    ways = {("botocore", "botocore"): CALLED, ("boto3sqs", "boto3sqs"): LINKED_WAYS if context != "none" else [SENT]}
    case(f"sqs one, {sender} to {taker}, {context}", "SQS, one message", sender, taker,
         [f"shop {join}"] if join else [], context, missing=missing, gaps=[UNREAD] if missing else [],
         ways=ways.get((sender, taker)))(one_message)


# ---------------------------------------------------------------- SQS, a batch

def batch(w, q, case):
    queue = w.queue(q)
    sent = send_batch(w, case, queue)
    return traces(sent, take(w, case, queue, 3))


for sender, taker, context, joins, missing in [
    ("botocore", "botocore", "none", ["SQS.SendMessageBatch > packer SQS.ReceiveMessage: sqs E2 0.98"], FIRST_ONLY),
    ("boto3sqs", "boto3sqs", "none", ["Q send > packer Q process: sqs E2 0.95"] * 3, ""),
    ("boto3sqs", "boto3sqs", "tracecontext", ["Q send > packer Q process: sqs E1 0.99"] * 3, ""),
    ("botocore+recipe", "botocore+recipe", "none",
     ["SQS.SendMessageBatch > packer SQS.ReceiveMessage: sqs E2 0.98"] * 3, ""),
    ("aws-sdk", "aws-sdk", "none", [], "the messages' ids, on both spans"),
    ("aws-sdk+recipe", "aws-sdk+recipe", "none", ["Q send > packer Q receive: sqs E2 0.98"] * 3, ""),
    ("aws-sdk", "aws-sdk", "tracecontext", ["Q send > packer Q receive: link E1 0.99"],
     "the ids on the sender's span: the three messages are one join, by the links"),
]:
    case(f"sqs batch, {sender} to {taker}, {context}", "SQS, a batch of 3", sender, taker,
         [f"shop {join}" for join in joins], context, deliveries=3, missing=missing)(batch)


# ---------------------------------------------------------------- SQS, again and elsewhere

@case("sqs again", "SQS, not deleted, so delivered twice", "botocore", "botocore", [
    "shop SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98",
    "shop SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98, delivery 2",
], deliveries=2)
@case("sqs again, boto3sqs", "SQS, not deleted, so delivered twice", "boto3sqs", "boto3sqs", [
    "shop Q send > packer Q process: sqs E2 0.95",
], deliveries=2, missing="the first delivery's span: one that ends without `delete_message` is never sent")
def again(w, q, case):
    queue = w.queue(q)
    sent = send(w, case, queue)
    first = take(w, case, queue, delete=False, VisibilityTimeout=1)
    # Long polling ends when the message can be seen again.
    return traces(sent, first, take(w, case, queue, WaitTimeSeconds=10))


@case("sqs dead letter", "SQS, moved to the dead-letter queue", "botocore", "botocore", [
    "shop SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98",
    "shop SQS.SendMessage > undertaker SQS.ReceiveMessage: sqs E2 0.95, moved",
], deliveries=2)
def dead_letter(w, q, case):
    dead = w.queue(f"{q}-dead")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:123456789012:{q}-dead", "maxReceiveCount": "1"}
    queue = w.queue(q, RedrivePolicy=json.dumps(policy))
    sent = send(w, case, queue)
    first = take(w, case, queue, delete=False, VisibilityTimeout=0)
    # The carrier moves it when it is asked for once more than allowed.
    w.aws("sqs").receive_message(QueueUrl=queue)
    return traces(sent, first, take(w, case, dead, service="undertaker"))


@case("sqs two consumers", "SQS, two services at one queue", "botocore", "botocore", [
    "shop SQS.SendMessage > biller SQS.ReceiveMessage: sqs E2 0.98",
    "shop SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98",
], deliveries=2)
def two_consumers(w, q, case):
    queue = w.queue(q)
    sent = [send(w, case, queue), send(w, case, queue)]
    taken = [take(w, case, queue, service=service, MaxNumberOfMessages=1) for service in ("packer", "biller")]
    return traces(*sent, *taken)


@case("sqs two queues", "SQS, the same body in two queues", "botocore", "botocore", [
    "shop SQS.SendMessage > biller SQS.ReceiveMessage: sqs E2 0.98",
    "shop SQS.SendMessage > packer SQS.ReceiveMessage: sqs E2 0.98",
], deliveries=2)
def two_queues(w, q, case):
    one, two = w.queue(q), w.queue(f"{q}-two")
    sent = [send(w, case, one), send(w, case, two)]
    return traces(*sent, take(w, case, one), take(w, case, two, service="biller"))


@case("sqs other environment", "SQS, taken in another environment", "botocore", "botocore", [], deliveries=0,
      refused=["the environments differ"], gaps=[UNREAD, UNSENT])
def other_environment(w, q, case):
    queue = w.queue(q)
    sent = send(w, case, queue)
    return traces(sent, take(w, case, queue, environment="elsewhere"))


@case("sqs untraced sender", "SQS, the sender is not traced", "nothing", "botocore", [], deliveries=1,
      missing="the sender's span", gaps=[UNSENT])
def untraced(w, q, case):
    queue = w.queue(q)
    w.aws("sqs").send_message(QueueUrl=queue, MessageBody=BODY)
    return traces(take(w, case, queue))


# ---------------------------------------------------------------- SQS, with AWS's own header

HEADER = {"MessageSystemAttributeNames": ["AWSTraceHeader"], "link": True, "inside": True}


def by_header(w, q, case):
    queue = w.queue(q)
    sent = send(w, case, queue)
    return traces(sent, take(w, case, queue, **HEADER))


def three_by_header(w, q, case):
    queue = w.queue(q)
    sent = [send(w, case, queue) for _ in range(3)]
    return traces(*sent, take(w, case, queue, 3, **HEADER))


LINKED = "the taker links to `AWSTraceHeader` (recipe)"
case("sqs header, botocore", f"SQS, one message, {LINKED}", "botocore", "botocore",
     ["shop SQS.SendMessage > packer pack: sqs E1 0.99"], "xray")(by_header)
# moto drops what AWS hands on of a batch, so these are sent one by one.
case("sqs header, three", f"SQS, three taken at once, {LINKED}", "botocore", "botocore",
     ["shop SQS.SendMessage > packer pack: sqs E1 0.99"] * 3, "xray", deliveries=3)(three_by_header)
case("sqs header, X-Ray SDK", f"SQS, one message, {LINKED}", "xray", "botocore",
     ["shop sqs > packer pack: sqs E1 0.99"], "xray")(by_header)
case("sqs xray to botocore", "SQS, one message", "xray", "botocore",
     ["shop sqs > packer SQS.ReceiveMessage: sqs E2 0.95"])(one_message)
case("sqs botocore to xray", "SQS, one message", "botocore", "xray", [],
     missing="the messages' ids: the X-Ray SDK counts what it receives", gaps=[UNREAD])(one_message)
case("sqs xray to xray", "SQS, one message", "xray", "xray", [],
     missing="the messages' ids: the X-Ray SDK counts what it receives", gaps=[UNREAD])(one_message)


# ---------------------------------------------------------------- SNS to SQS

def over_topic(w, q, case, raw, **more):
    queue = w.queue(q)
    topic = w.topic(f"{q}-topic", [queue], raw)
    return publish(w, case, topic), take(w, case, queue, **more)


def publish(w, case, topic):
    shop = w.peer("shop", case.sender, case.context)
    return shop.ask("call", name="POST /orders", service="sns", operation="publish", TopicArn=topic, Message=BODY)


IN_BODY = "the sender's context and SNS's message id are in the body, which no instrumentation reads"


@case("sns in its envelope", "SNS to SQS", "botocore", "boto3sqs", [], "tracecontext", missing=IN_BODY,
      gaps=[UNSENT])
def sns(w, q, case):
    return traces(*over_topic(w, q, case, raw=False))


@case("sns raw, with context", "SNS to SQS, raw delivery", "botocore", "boto3sqs",
      ["shop Q-topic send > packer Q process: link E1 0.99"], "tracecontext")
def sns_raw(w, q, case):
    return traces(*over_topic(w, q, case, raw=True))


@case("sns raw, without context", "SNS to SQS, raw delivery", "botocore", "boto3sqs", [],
      missing="raw delivery leaves nothing of SNS's own but the context", gaps=[UNSENT])
def sns_raw_alone(w, q, case):
    return traces(*over_topic(w, q, case, raw=True))


@case("sns recipe", "SNS to SQS, the taker reads the body (recipe)", "botocore+recipe", "botocore",
      ["shop Q-topic send > packer pack: sns E2 0.98"])
def sns_recipe(w, q, case):
    return traces(*over_topic(w, q, case, raw=False, inside=True))


@case("sns receipts", "SNS to SQS, with receipts", "botocore", "botocore",
      ["shop Q-topic send > packer pack: sns E2 0.98"])
def sns_receipts(w, q, case):
    sent, taken = over_topic(w, q, case, raw=False)
    (work,) = taken["messages"]
    body = json.loads(work["message"]["Body"])
    w.flush()
    w.report(
        receipt(span_of(w, sent, "Q-topic send", q), "out", "sns", f"{q}-topic", sent["result"]["MessageId"]),
        *unpacked(work, q, "sns", body["TopicArn"], body["MessageId"]))
    return traces(sent, taken)


@case("sns fan-out", "SNS to two queues, with the taker's receipts", "botocore+recipe", "botocore", [
    "shop Q-topic send > biller pack: sns E2 0.98",
    "shop Q-topic send > packer pack: sns E2 0.98",
], deliveries=2, ways=[
    "shop > topic:aws_sns:Q-topic: async, inferred",
    "topic:aws_sns:Q-topic > biller: async, message",
    "topic:aws_sns:Q-topic > packer: async, message",
    "packer > queue:aws_sqs:Q: sync, inferred",
    "biller > queue:aws_sqs:Q-two: sync, inferred",
])
def sns_fan_out(w, q, case):
    queues = [w.queue(q), w.queue(f"{q}-two")]
    sent = publish(w, case, w.topic(f"{q}-topic", queues, raw=False))
    taken = [take(w, case, queues[0]), take(w, case, queues[1], service="biller")]
    for (work,) in (one["messages"] for one in taken):
        body = json.loads(work["message"]["Body"])
        w.report(*unpacked(work, None, "sns", body["TopicArn"], body["MessageId"]))
    return traces(sent, *taken)


def unpacked(work, queue, *inner):
    """The receipts of a message in a queue's message: both ids, at one place."""
    of_queue = receipt(work, "in", "sqs", queue, work["message"]["MessageId"])
    return of_queue, receipt(work, "in", *inner)


def receipt(span, way, carrier, resource, id, **more):
    return {"traceId": span["traceId"], "spanId": span["spanId"], "direction": way, "carrier": carrier,
            "region": "us-east-1", "resource": resource, "id": id, **more}


def unix_nano(time):
    """A time of the broker's, as the peers' spans have theirs."""
    return (int(time.timestamp() * 1_000_000) - AGO_S * 1_000_000) * 1_000


def span_of(w, told, name, q):
    """A span of a trace that the server has, by its name."""
    found = [span for span in w.spans(told["traceId"]).values() if span["name"].replace(q, "Q") == name]
    assert len(found) == 1, f"{name}: {found}"
    return {"traceId": told["traceId"], "spanId": found[0]["spanId"]}


# ---------------------------------------------------------------- EventBridge to SQS

def over_bus(w, q, case, **more):
    queue = w.queue(q)
    bus = w.bus(f"{q}-bus", queue)
    entries = [{"Source": "shop", "DetailType": "ordered", "Detail": BODY, "EventBusName": bus}]
    sent = w.peer("shop", case.sender, case.context).ask(
        "call", name="POST /orders", service="events", operation="put_events", Entries=entries)
    return sent, take(w, case, queue, **more)


@case("eventbridge", "EventBridge to SQS", "botocore", "boto3sqs", [], "tracecontext",
      missing="the event's id: on the sender's span, and at the taker in the body", gaps=[UNSENT])
def eventbridge(w, q, case):
    return traces(*over_bus(w, q, case))


@case("eventbridge recipe", "EventBridge to SQS, the taker reads the body (recipe)", "botocore+recipe", "botocore",
      ["shop EventBridge.PutEvents > packer pack: eventbridge E2 0.95"])
def eventbridge_recipe(w, q, case):
    return traces(*over_bus(w, q, case, inside=True))


@case("eventbridge receipts", "EventBridge to SQS, with the taker's receipts", "botocore+recipe", "botocore",
      ["shop EventBridge.PutEvents > packer pack: eventbridge E2 0.98"])
def eventbridge_receipts(w, q, case):
    sent, taken = over_bus(w, q, case)
    (work,) = taken["messages"]
    body = json.loads(work["message"]["Body"])
    w.report(*unpacked(work, q, "eventbridge", f"{q}-bus", body["id"]))
    return traces(sent, taken)


# ---------------------------------------------------------------- Kinesis

def over_stream(w, case, stream, service="packer"):
    records = [{"Data": BODY, "PartitionKey": str(n)} for n in range(3)]
    sent = w.peer("shop", case.sender, case.context).ask(
        "call", name="POST /orders", service="kinesis", **as_operation(case.sender, "PutRecords"),
        StreamName=stream, Records=records)
    taken = w.peer(service, case.taker, case.context).ask(
        "call", name="poll", service="kinesis", **as_operation(case.taker, "GetRecords"),
        ShardIterator=w.iterator(stream), StreamARN=f"arn:aws:kinesis:us-east-1:123456789012:stream/{stream}")
    return sent, taken


def kinesis(w, q, case):
    return traces(*over_stream(w, case, w.stream(q)))


NO_NUMBERS = "the sequence numbers, on both spans; and no context is sent, whatever the propagators"

for tracers, join, missing in [
    ("botocore", None, NO_NUMBERS),
    ("botocore+recipe", "Kinesis.PutRecords > packer Kinesis.GetRecords: kinesis E2 0.98", ""),
    ("aws-sdk", None, NO_NUMBERS),
    ("aws-sdk+recipe", "Kinesis.PutRecords > packer Kinesis.GetRecords: kinesis E2 0.98", ""),
]:
    case(f"kinesis, {tracers}", "Kinesis, a batch of 3", tracers, tracers,
         [f"shop {join}"] * 3 if join else [], "tracecontext", deliveries=3, missing=missing)(kinesis)


@case("kinesis receipts", "Kinesis, a batch of 3, with receipts", "botocore", "botocore",
      ["shop Kinesis.PutRecords > packer poll: kinesis E2 0.98"] * 3, deliveries=3,
      ways=["stream:aws_kinesis:Q > packer: async, message"])
def kinesis_receipts(w, q, case):
    sent, taken = over_stream(w, case, w.stream(q))
    w.flush()
    put = span_of(w, sent, "Kinesis.PutRecords", q)
    records, got = sent["result"]["Records"], taken["result"]["Records"]
    w.report(
        *(receipt(put, "out", "kinesis", q, one["SequenceNumber"], index=n, batchSize=len(records))
          for n, one in enumerate(records)),
        *(receipt(taken, "in", "kinesis", q, one["SequenceNumber"], index=n, batchSize=len(got),
                  timeUnixNano=str(unix_nano(one["ApproximateArrivalTimestamp"])))
          for n, one in enumerate(got)))
    return traces(sent, taken)


@case("kinesis two streams", "Kinesis, the same sequence numbers in two streams", "botocore+recipe", "botocore+recipe",
      ["shop Kinesis.PutRecords > biller Kinesis.GetRecords: kinesis E2 0.98"] * 3
      + ["shop Kinesis.PutRecords > packer Kinesis.GetRecords: kinesis E2 0.98"] * 3, deliveries=6, page=False)
def kinesis_two_streams(w, q, case):
    one = over_stream(w, case, w.stream(q))
    two = over_stream(w, case, w.stream(f"{q}-two"), service="biller")
    numbers = [[r["SequenceNumber"] for r in told[0]["result"]["Records"]] for told in (one, two)]
    assert numbers[0] == numbers[1], f"moto counts otherwise by now, so this case shows nothing: {numbers}"
    return traces(*one, *two)
