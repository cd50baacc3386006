"""Pieces of a trace that come late, twice, in parts or in another spelling."""

import json
import os

from documents import BASE, alone, segment, span_id, subsegment, trace_id
from world import HEADER, TESTDATA, XrayTest

START, END = BASE - 60, BASE + 120


def started(document):
    """The same document as sent when it began."""
    return {**{key: value for key, value in document.items() if key != "end_time"}, "in_progress": True}


class Merging(XrayTest):
    def summary(self, trace):
        (found,) = [summary for summary in self.summaries(START, END) if summary["Id"] == trace_id(trace)]
        return found

    def statistics(self, name):
        (node,) = [node for node in self.graph(START, END) if node["Name"] == name and node["Type"] != "client"]
        return node["SummaryStatistics"]

    def test_a_started_segment_gives_way_to_the_finished_one(self):
        done = segment("started", "started", 0, 2, fault=True)
        self.send(started(done))
        self.assertTrue(self.summary("started")["IsPartial"])
        (kept,) = self.trace(trace_id("started")).values()
        self.assertEqual((kept["in_progress"], "end_time" in kept), (True, False))
        self.send(done)
        self.check_done("started", done)

    def test_a_start_that_comes_after_the_end_changes_nothing(self):
        done = segment("late-start", "late-start", 0, 2, fault=True)
        self.send(done, started(done))
        self.check_done("late-start", done)

    def check_done(self, name, done):
        found = self.summary(name)
        self.assertEqual((found["IsPartial"], found["HasFault"], found["Duration"]), (False, True, 2.0))
        (kept,) = self.trace(trace_id(name)).values()
        self.assertEqual(kept, done)
        statistics = self.statistics(name)
        self.assertEqual((statistics["TotalCount"], statistics["FaultStatistics"]["TotalCount"]), (1, 1))
        self.assertEqual(statistics["TotalResponseTime"], 2.0)

    def test_the_later_of_two_finished_ones_counts(self):
        self.send(segment("retry", "retry", 0, 1))
        self.send(segment("retry", "retry", 0, 3, error=True))
        (kept,) = self.trace(trace_id("retry")).values()
        self.assertEqual((kept["end_time"], kept["error"]), (BASE + 3, True))
        statistics = self.statistics("retry")
        self.assertEqual((statistics["TotalCount"], statistics["ErrorStatistics"]["OtherCount"]), (1, 1))
        self.assertEqual(statistics["TotalResponseTime"], 3.0)

    def test_a_subsegment_inside_and_alone_is_one(self):
        inner = subsegment("both", "call", 0.5, 1, namespace="remote")
        self.send(alone("both", inner, "both"), segment("both", "both", 0, 2, subsegments=[inner]))
        documents = self.trace(trace_id("both"))
        (outer,) = [document for document in documents.values() if document["name"] == "both"]
        self.assertEqual([child["id"] for child in outer["subsegments"]], [inner["id"]])
        (called,) = [node for node in self.graph(START, END) if node["Name"] == "call"]
        self.assertEqual(called["SummaryStatistics"]["TotalCount"], 1)

    def test_a_deep_chain_of_lone_subsegments_hangs_together_in_any_order(self):
        depth = 40
        chain = [alone("deep", subsegment("deep", f"level {number}", 0, 1), f"level {number - 1}" if number else "deep")
                 for number in range(depth)]
        self.send(*reversed(chain[::2]), *chain[1::2], segment("deep", "deep", 0, 1))
        (document,) = self.trace(trace_id("deep")).values()
        for number in range(depth):
            (document,) = document["subsegments"]
            self.assertEqual(document["name"], f"level {number}")

    def test_parents_in_a_circle_are_shown(self):
        self.send(alone("circle", subsegment("circle", "a", 0, 1), "b"),
                  alone("circle", subsegment("circle", "b", 0, 1), "a"),
                  segment("circle", "self", 0, 1, parent="self"))
        names = str(self.trace(trace_id("circle")))
        for name in ("'a'", "'b'", "'self'"):
            self.assertIn(name, names)
        self.summary("circle")
        self.xray.get_trace_graph(TraceIds=[trace_id("circle")])

    def test_ids_in_any_spelling_are_found_and_echoed(self):
        plain = trace_id("spelling")[2:].replace("-", "")
        upper = "1-" + trace_id("upper")[2:].upper()
        self.send({**segment("spelling", "spelling", 0, 1), "trace_id": plain},
                  {**segment("upper", "upper", 0, 1, key="x"), "trace_id": upper, "id": span_id("upper/x").upper()})
        for sent, asked in [(plain, plain), (plain, trace_id("spelling")), (upper, upper), (upper, upper.lower())]:
            (kept,) = self.trace_documents(asked)
            self.assertEqual(kept["trace_id"], sent, asked)

    def trace_documents(self, asked):
        answer = self.xray.batch_get_traces(TraceIds=[asked])
        self.assertEqual(answer["UnprocessedTraceIds"], [])
        return [json.loads(segment_["Document"]) for segment_ in answer["Traces"][0]["Segments"]]

    def test_times_keep_every_digit(self):
        for number, (start, end) in enumerate([(1795000020.123456789, 1795000020.9999999),
                                               (1795000021, 1795000021.5), (1.79500002e9, 1.7950000225e9)]):
            word = f"digits {number}"
            document = {**segment(word, "digits", 0, 1), "start_time": start, "end_time": end}
            self.send(document)
            (kept,) = self.trace(trace_id(word)).values()
            self.assertEqual((kept["start_time"], kept["end_time"]), (start, end))

    def test_odd_members_come_back(self):
        odd = {"precursor_ids": ["1234567890abcdef"], "surprise": {"deep": [1, None, {"x": 1e-7}]}, "user": 7,
               "http": {"request": {"method": None, "more": [1]}, "response": {"status": "200", "content_length": -1}},
               "aws": {"retries": 2, "request_id": None, "ec2": {"instance_id": "i", "tags": {"a": []}}, "big": 2**63},
               "annotations": {"ok": 1, "bad": {"a": 1}}, "metadata": {"a": {"b": 1.50}, "AWS.x": None},
               "cause": "00000000000000aa", "links": [{"trace_id": "odd", "x": 1}], "service": "text", "sql": []}
        document = segment("odd members", "odd members", 0, 1, **odd)
        self.send(document)
        (kept,) = [kept for kept in self.trace(trace_id("odd members")).values() if not kept.get("inferred")]
        self.assertEqual(kept, document)


class Captures(XrayTest):
    """What small programs sent with both SDKs: SQS, SNS, Kinesis, DynamoDB, sqlite, exceptions."""

    def test_every_captured_document_comes_back(self):
        documents = []
        for name in ("node-udp.jsonl", "python-udp.jsonl"):
            with open(os.path.join(TESTDATA, "sdk-capture", name), encoding="utf-8") as file:
                documents += [json.loads(line)["document"] for line in file if line.strip()]
        self.assertTrue(documents)
        self.send_udp(*(HEADER + json.dumps(document).encode() for document in documents))
        for document in documents:
            kept = self.trace(document["trace_id"])[document["id"]]
            self.assertEqual(without_ties(kept), without_ties(document))
        start = int(min(document["start_time"] for document in documents)) - 1
        nodes = {(node["Name"], node["Type"]) for node in self.graph(start, start + 3600)}
        self.assertLessEqual({("orders", "AWS::SQS::Queue"), ("SNS", "AWS::SNS"), ("missing", "AWS::DynamoDB::Table")}, nodes)


def without_ties(document):
    """A document without what only ties a subsegment to its segment, which Python repeats in each."""
    kept = {key: value for key, value in document.items()
            if key not in ("subsegments", "trace_id", "parent_id", "type", "in_progress", "namespace")
            or key == "namespace" and value != "local"}
    kept["subsegments"] = sorted((without_ties(child) for child in document.get("subsegments", [])),
                                 key=lambda child: child["id"])
    return kept
