"""Segment documents in one line each, for tests that need traces of a certain form."""

import hashlib

# Times are fractions of two from here, so that sums of them are exact.
BASE = 1_795_000_020.0  # a whole minute, for graphs are counted in minutes


def span_id(word):
    """The same 16 hex digits for the same word."""
    return hashlib.sha256(word.encode()).hexdigest()[:16]


def trace_id(word):
    digits = hashlib.sha256(b"trace " + word.encode()).hexdigest()
    return f"1-{int(BASE):08x}-{digits[:24]}"


def segment(trace, name, start, seconds, parent=None, key=None, **more):
    """A segment of trace `trace`, `start` seconds after BASE. Its id is that of `trace/key`."""
    document = {"trace_id": trace_id(trace), "id": span_id(f"{trace}/{key or name}"), "name": name,
                "start_time": BASE + start, "end_time": BASE + start + seconds, **more}
    if parent:
        document["parent_id"] = span_id(f"{trace}/{parent}")
    return document


def subsegment(trace, name, start, seconds, key=None, **more):
    """A subsegment to stand inside a segment."""
    return {"id": span_id(f"{trace}/{key or name}"), "name": name,
            "start_time": BASE + start, "end_time": BASE + start + seconds, **more}


def alone(trace, inner, parent):
    """The same subsegment as a document of its own."""
    return {**inner, "type": "subsegment", "trace_id": trace_id(trace),
            "parent_id": span_id(f"{trace}/{parent}")}


def http(method, url, status, **request):
    return {"request": {"method": method, "url": url, **request}, "response": {"status": status}}


def storefront(trace="storefront", start=0.0, fault=False):
    """A trace of the form of the Developer Guide's example: an application on EC2 that calls a
    DynamoDB table, a topic and a Lambda function, whose two segments AWS sends."""
    arn = "arn:aws:lambda:us-east-1:000000000000:function:receipts"
    return [
        segment(trace, "storefront", start, 4.0, origin="AWS::EC2::Instance", user="alice",
                http=http("POST", "http://storefront.example/orders", 500 if fault else 201,
                          user_agent="curl/8", client_ip="198.51.100.7"),
                **({"fault": True} if fault else {}),
                aws={"ec2": {"instance_id": "i-0123456789abcdef0", "availability_zone": "us-east-1c"}},
                annotations={"size": 3, "gift": False, "theme": "dark"},
                subsegments=[
                    subsegment(trace, "DynamoDB", start + 0.5, 0.5, key="table", namespace="aws",
                               aws={"operation": "PutItem", "table_name": "orders",
                                    "region": "us-east-1"}, http={"response": {"status": 200}}),
                    subsegment(trace, "SNS", start + 1.0, 0.25, key="topic", namespace="aws",
                               aws={"operation": "Publish", "region": "us-east-1",
                                    "topic_arn": "arn:aws:sns:us-east-1:000000000000:orders"},
                               http={"response": {"status": 200}}),
                    subsegment(trace, "Lambda", start + 1.5, 2.0, key="invoke", namespace="aws",
                               aws={"operation": "Invoke", "function_name": "receipts"},
                               http={"response": {"status": 200}})]),
        segment(trace, "receipts", start + 1.625, 1.75, parent="invoke", key="service",
                origin="AWS::Lambda", resource_arn=arn, http={"response": {"status": 200}},
                aws={"request_id": "12ee8cb8-4ff1-46bd-8a72-0f4f9f2e2d6e"}),
        segment(trace, "receipts", start + 1.75, 1.5, parent="service", key="function",
                origin="AWS::Lambda::Function", aws={"function_arn": arn, "account_id": "000000000000"},
                subsegments=[
                    subsegment(trace, "Invocation", start + 1.75, 1.25, key="invocation"),
                    subsegment(trace, "Overhead", start + 3.0, 0.25, key="overhead")]),
    ]
