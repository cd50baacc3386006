"""What every X-Ray test needs: a server of its own, AWS's clients pointed at it, and a ledger."""

import collections
import json
import os
import socket
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.config

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import shapes  # noqa: E402
from server import Server  # noqa: E402

TESTDATA = os.path.join(HERE, "..", "..", "..", "testdata", "xray")
HEADER = b'{"format":"json","version":1}\n'
PROTOCOLS = ("xray_udp", "xray_http", "otlp_http")
WAIT_SECONDS = 30
# AWS itself answers so for the rule Default, though its model says otherwise.
KNOWN_FAULT = ".SamplingRule.Priority: 10000 great, at most 9999 is allowed"

# What all servers of this run counted, and the operations that answered 200.
LEDGER = collections.Counter()
ANSWERED = collections.Counter()


def until(condition, what):
    """Asks `condition` again and again until it gives something true, and gives that."""
    pause = threading.Event()
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not after {WAIT_SECONDS} s")
        pause.wait(0.02)


def aws_environment(doors, **more):
    """The variables that point AWS's programs at the server, and nothing of this machine's own."""
    return {"AWS_ENDPOINT_URL_XRAY": f"http://{doors['xray']}", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_PAGER": "",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true", **more}


def xray_client(address, **options):
    """A boto3 client whose every answer is held against AWS's model."""
    settings = {"endpoint_url": f"http://{address}", "region_name": "us-east-1",
                "aws_access_key_id": "test", "aws_secret_access_key": "test", **options}
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60)
    client = boto3.session.Session().client("xray", config=config, **settings)
    client.meta.events.register("after-call.xray", check_answer)
    return client


def check_answer(http_response, model, **_):
    name = model.name
    headers = {key.lower(): value for key, value in http_response.headers.items()}
    request_id = headers.get("x-amzn-requestid", "")
    assert len(request_id) == 36, f"{name}: x-amzn-RequestId is {request_id!r}"
    assert headers.get("content-type", "").startswith("application/json"), f"{name}: {headers}"
    body = http_response.content
    if http_response.status_code != 200:
        check_error(name, http_response.status_code, headers, body)
        return
    ANSWERED[name] += 1
    answer = json.loads(body) if body.strip() else {}
    wrong = shapes.faults(answer, model.output_shape) if model.output_shape else []
    wrong = [fault for fault in wrong if not fault.endswith(KNOWN_FAULT)]
    assert not wrong, f"{name}: " + "; ".join(wrong[:10])


def check_error(name, status, headers, body):
    """A caller's mistake is never a 5xx, and says what it is in both places clients look at."""
    assert 400 <= status < 500, f"{name}: {status} {body!r}"
    answer = json.loads(body)
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    assert kind.endswith("Exception"), f"{name}: x-amzn-ErrorType is {kind!r}, {body!r}"
    assert answer.get("__type", "").rpartition("#")[2] == kind, f"{name}: {kind} but {body!r}"
    assert answer.get("Message"), f"{name}: no Message in {body!r}"


def post(url, body, headers=None):
    """A POST as any program could make it: status, headers in lower case, body."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def datagrams(*folders):
    """The recorded datagrams of these folders of testdata/xray, in the order they were sent."""
    for folder in folders:
        place = os.path.join(TESTDATA, folder)
        for name in sorted(os.listdir(place)):
            if name.endswith(".raw"):
                with open(os.path.join(place, name), "rb") as file:
                    yield file.read()


def document_of(datagram):
    return json.loads(datagram.partition(b"\n")[2])


def spans_of(document):
    """How many segments and subsegments a document holds."""
    return 1 + sum(spans_of(child) for child in document.get("subsegments", []))


def spans_in(datagram):
    """How many spans a datagram counts for; what cannot be read counts as one."""
    try:
        return spans_of(document_of(datagram))
    except (ValueError, AttributeError, RecursionError):
        return 1


class XrayTest(unittest.TestCase):
    """A server for each class; what it received must be what it stored, rejected or dropped."""

    maxDiff = None
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(os.environ["THROUGHLINE_BIN"], "--retention", "off", *cls.flags)
        cls.xray = xray_client(cls.server.doors["xray"])
        host, _, port = cls.server.doors["xray"].rpartition(":")
        cls.daemon = (host, int(port))

    @classmethod
    def tearDownClass(cls):
        cls.xray.close()
        try:
            for protocol in PROTOCOLS:
                counts = cls.server.span_counts(protocol)
                LEDGER.update(counts)
                total = counts["stored"] + counts["rejected"] + counts["dropped"]
                assert counts["received"] == total, f"{cls.__name__} {protocol}: {counts}"
            log = cls.server.log()
            assert "panicked" not in log, log
        finally:
            code = cls.server.stop()
        assert code == 0, f"the server ended with {code}"

    def counts(self, protocol="xray_udp"):
        return self.server.span_counts(protocol)

    def send_udp(self, *messages):
        """Sends datagrams as they are, and comes back once all of them can be asked for."""
        expected = self.done()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for number, message in enumerate(messages, 1):
                udp.sendto(message, self.daemon)
                expected += spans_in(message)
                if number % 50 == 0 or number == len(messages):
                    until(lambda: self.done() >= expected, f"{expected} spans of UDP are done")

    def done(self):
        """How many spans of UDP met their fate."""
        counts = self.counts()
        return counts["stored"] + counts["rejected"] + counts["dropped"]

    def send(self, *documents):
        """Sends documents over UDP, as an SDK's emitter does."""
        self.send_udp(*(HEADER + json.dumps(document).encode() for document in documents))

    def put(self, *documents):
        """Sends documents through PutTraceSegments; none may come back."""
        for start in range(0, len(documents), 50):
            texts = [json.dumps(document) for document in documents[start:start + 50]]
            answer = self.xray.put_trace_segments(TraceSegmentDocuments=texts)
            self.assertEqual(answer["UnprocessedTraceSegments"], [])

    def rejected(self):
        return self.server.get_json("/api/v1/rejected")

    def trace(self, trace_id):
        """The documents of one trace as BatchGetTraces gives them, by id."""
        answer = self.xray.batch_get_traces(TraceIds=[trace_id])
        self.assertEqual(answer["UnprocessedTraceIds"], [])
        (trace,) = answer["Traces"]
        documents = {}
        for segment in trace["Segments"]:
            document = json.loads(segment["Document"])
            self.assertEqual(segment["Id"], document["id"])
            documents[document["id"]] = document
        self.assertEqual(len(documents), len(trace["Segments"]), "ids of segments differ")
        return documents

    def summaries(self, start, end, expression=None, **more):
        """Every TraceSummary of a range, through boto3's own paginator."""
        query = {"StartTime": start, "EndTime": end, **more}
        if expression:
            query["FilterExpression"] = expression
        pages = self.xray.get_paginator("get_trace_summaries").paginate(**query)
        return [summary for page in pages for summary in page["TraceSummaries"]]

    def found(self, start, end, expression):
        return {summary["Id"] for summary in self.summaries(start, end, expression)}

    def graph(self, start, end, **more):
        """The nodes of GetServiceGraph, all pages."""
        query = {"StartTime": start, "EndTime": end, **more}
        pages = self.xray.get_paginator("get_service_graph").paginate(**query)
        return [service for page in pages for service in page["Services"]]
