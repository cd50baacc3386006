"""The acceptance checklist of the X-Ray door, line by line: a class for each line.

Lines that need many tests have a file of their own and only their name here.
"""

import concurrent.futures
import gzip
import json
import os
import subprocess
import unittest

import cli
import filters
import mistakes
import operations
import sdks
from documents import BASE, segment, span_id, storefront, subsegment, trace_id
from world import HERE, XrayTest, aws_environment, post, until

KINESIS_LAB = os.path.join(HERE, "..", "..", "..", "testdata", "kinesis-lab")
START, END = BASE - 60, BASE + 120


class Line01Datagrams(mistakes.Datagrams):
    """A header with spaces is accepted; no LF, a bad header, bad JSON are counted and visible."""


class Line02Sdks(sdks.Sdks):
    """The Python and Node SDKs, unmodified; Node caches a rule; targets are accepted."""


class Line03LambdaModePython(sdks.LambdaMode):
    """Two subsegments sent alone, leaf first, of an unknown parent: one connected trace."""


class Line03LambdaModeNode(sdks.LambdaModeNode):
    """The same with the SDK for Node."""


class Line04Operations(operations.Operations):
    """All 38 operations answer 200 or a typed error."""


class Line04Pages(operations.Pages):
    """Paginators end."""


class Line04Cli(cli.Cli):
    """The AWS CLI."""


class Line04Mistakes(mistakes.Mistakes):
    """Empty bodies are fine; callers' mistakes are typed errors."""


class Line05SampleTrace(XrayTest):
    """The guide's trace: inferred documents, and a map with client, root, table, two Lambda nodes."""

    def test_inferred_documents_and_nodes(self):
        self.put(*storefront())
        documents = self.trace(trace_id("storefront"))
        inferred = {document["parent_id"]: document for document in documents.values() if document.get("inferred")}
        table, topic = (inferred[span_id(f"storefront/{key}")] for key in ("table", "topic"))
        self.assertEqual(len(inferred), 2, "Lambda answered for itself")
        self.assertEqual((table["name"], table["origin"]), ("DynamoDB", "AWS::DynamoDB::Table"))
        self.assertEqual(table["aws"]["resource_names"], ["orders"])
        self.assertEqual((table["start_time"], table["end_time"]), (BASE + 0.5, BASE + 1.0))
        self.assertEqual((topic["name"], topic["origin"]), ("SNS", "AWS::SNS"))
        nodes = {(node["Name"], node["Type"]): node for node in self.graph(START, END)}
        self.assertEqual(set(nodes), {
            ("storefront", "client"), ("storefront", "AWS::EC2::Instance"), ("orders", "AWS::DynamoDB::Table"),
            ("SNS", "AWS::SNS"), ("receipts", "AWS::Lambda"), ("receipts", "AWS::Lambda::Function")})
        self.assertEqual([name for name, node in nodes.items() if node.get("Root")],
                         [("storefront", "AWS::EC2::Instance")])


class Line06LateCallee(XrayTest):
    """A callee's segment that comes late removes the inferred twin, and nothing counts double."""

    def test_the_twin_goes_and_totals_stay(self):
        caller = segment("late", "caller", 0, 4, subsegments=[
            subsegment("late", "callee", 1, 2, key="call", namespace="remote")])
        self.send(caller)
        before = self.trace(trace_id("late"))
        self.assertEqual(len(before), 2)
        self.check_graph("remote", 2.0)
        self.send(segment("late", "callee", 1.5, 1, parent="call", origin="AWS::ECS::Container"))
        after = self.trace(trace_id("late"))
        self.assertEqual({document["name"] for document in after.values()}, {"caller", "callee"})
        self.assertFalse(any(document.get("inferred") for document in after.values()))
        self.check_graph("AWS::ECS::Container", 1.0)

    def check_graph(self, kind, seconds):
        nodes = {(node["Name"], node["Type"]): node for node in self.graph(START, END)}
        self.assertEqual({key[0:2] for key in nodes if key[0] == "callee"}, {("callee", kind)})
        statistics = nodes["callee", kind]["SummaryStatistics"]
        self.assertEqual((statistics["TotalCount"], statistics["TotalResponseTime"]), (1, seconds))
        (caller,) = [node for (name, type_), node in nodes.items() if name == "caller" and type_ != "client"]
        (edge,) = caller["Edges"]
        statistics = edge["SummaryStatistics"]
        self.assertEqual((statistics["TotalCount"], statistics["TotalResponseTime"]), (1, 2.0), "as the caller saw it")


class Line07Filters(filters.Filters):
    """All documented expressions select as described; a malformed one is an InvalidRequestException
    (`mistakes.py` has those)."""


class Line08Grafana(XrayTest):
    """What Grafana's data source takes for granted. Where it is wrong, Grafana's backend panics."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls().put(*storefront(), *storefront("broken", 30, fault=True),
                  {**segment("started", "storefront", 60, 0), "in_progress": True},
                  segment("bare", "bare", 70, 1),
                  segment("relative", "bare", 80, 1, http={"request": {"url": "/relative"}}))

    def test_the_health_check_finds_a_default_group_without_filter(self):
        (default,) = [group for group in self.xray.get_groups()["Groups"] if group["GroupName"] == "Default"]
        self.assertNotIn("FilterExpression", default)
        self.assertTrue(default["GroupARN"].endswith(":group/Default"))

    def test_summaries_have_http_and_names_everywhere(self):
        summaries = self.summaries(START, END)
        self.assertEqual(len(summaries), 5)
        for summary in summaries:
            self.assertIn("Http", summary)
            self.assertIn("Annotations", summary)
            for key in ("FaultRootCauses", "ErrorRootCauses", "ResponseTimeRootCauses"):
                for cause in summary.get(key, []):
                    self.assertTrue(cause["Services"])
                    for service in cause["Services"]:
                        self.assertIsInstance(service["Name"], str)
                        self.assertIsInstance(service["Type"], str)
                        self.assertTrue(service["EntityPath"])
        (broken,) = [summary for summary in summaries if summary["HasFault"]]
        self.assertTrue(broken["FaultRootCauses"])

    def test_nodes_and_edges_have_arrays_counts_and_types(self):
        nodes = self.graph(START, END, GroupName="Default")
        for node in nodes:
            self.assertTrue("SummaryStatistics" in node or node["Edges"], node["Name"])
            self.assertIsInstance(node["Type"], str)
            holders = node["Edges"] + ([node] if "SummaryStatistics" in node else [])
            for holder in holders:
                self.assertIsInstance(holder["ResponseTimeHistogram"], list)
                statistics = holder["SummaryStatistics"]
                self.assertLessEqual({"OkCount", "TotalCount", "TotalResponseTime"}, set(statistics))
                self.assertEqual(set(statistics["ErrorStatistics"]), {"ThrottleCount", "OtherCount", "TotalCount"})
                self.assertEqual(set(statistics["FaultStatistics"]), {"OtherCount", "TotalCount"})
            if "SummaryStatistics" in node:
                self.assertIsInstance(node["DurationHistogram"], list)

    def test_buckets_are_never_empty(self):
        for period in (60, 300):
            for selector in (None, 'service(id(name: "storefront", type: "AWS::EC2::Instance"))'):
                query = {"EntitySelectorExpression": selector} if selector else {}
                answer = self.xray.get_time_series_service_statistics(
                    StartTime=START, EndTime=END, Period=period, GroupName="Default", **query)
                key = "ServiceSummaryStatistics" if selector else "EdgeSummaryStatistics"
                self.assertTrue(answer["TimeSeriesServiceStatistics"])
                for bucket in answer["TimeSeriesServiceStatistics"]:
                    self.assertGreater(bucket[key]["TotalCount"], 0)
                    self.assertIsInstance(bucket["ResponseTimeHistogram"], list)

    def test_analytics_ask_four_times_at_once(self):
        def ask(quarter):
            start = START + quarter * 45
            return self.summaries(start, start + 45, TimeRangeType="Event", Sampling=True,
                                  SamplingStrategy={"Name": "FixedRate", "Value": 1.0})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = [summary["Id"] for part in pool.map(ask, range(4)) for summary in part]
        self.assertEqual(len(set(found)), 5)

    def test_documents_have_numbers_for_times(self):
        for name in ("storefront", "bare", "relative"):
            for document in self.trace(trace_id(name)).values():
                self.assertIsInstance(document["start_time"], float)
                self.assertIsInstance(document["end_time"], float)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def attribute(key, value):
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": text} for text in value]}}}
    kind = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}[type(value)]
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


def attributes(**pairs):
    return [attribute(key.replace("__", "."), value) for key, value in pairs.items()]


def span(number, parent, name, kind, start, seconds, *events, **pairs):
    begin = int((BASE + start) * 1e9)
    return {"traceId": TRACE, "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name, "kind": kind, "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(begin + int(seconds * 1e9)), "attributes": attributes(**pairs),
            "events": list(events)}


def otlp_order():
    """A request in OpenTelemetry's words: a server, a table, a database, a message, an exception."""
    resource = attributes(service__name="orders", service__version="1.2", cloud__provider="aws",
                          cloud__platform="aws_ec2", cloud__account__id="000000000000", host__id="i-0abc",
                          cloud__availability_zone="us-east-1b", telemetry__sdk__language="python")
    thrown = {"name": "exception", "timeUnixNano": str(int((BASE + 1) * 1e9)),
              "attributes": attributes(exception__type="OutOfStock", exception__message="none left")}
    spans = [
        span(1, 0, "POST /orders/{id}", 2, 0, 4, http__request__method="POST", http__response__status_code=503,
             url__full="http://orders.example/orders/7", user_agent__original="curl/8", enduser__id="ada",
             client__address="198.51.100.7", customer__id="c-1", aws__xray__annotations=["customer.id"]),
        span(2, 1, "DynamoDB.PutItem", 3, 0.5, 0.5, rpc__system="aws-api", rpc__service="DynamoDB",
             rpc__method="PutItem", aws__dynamodb__table_names=["orders"], aws__region="us-east-1"),
        span(3, 1, "select stock", 3, 1, 0.5, thrown, db__system="postgresql", db__name="stock",
             db__statement="select 1"),
        span(4, 1, "orders publish", 4, 2, 0.25, messaging__system="kafka",
             messaging__destination__name="orders"),
    ]
    spans[2]["status"] = {"code": 2}
    return {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}]}


class Line09Otlp(XrayTest):
    """OTLP in JSON, protobuf and gzip can be read as segments, by both spellings of the id."""

    def check_segments(self):
        spelling = f"1-{TRACE[:8]}-{TRACE[8:]}"
        for asked in (spelling, TRACE):
            answer = self.xray.batch_get_traces(TraceIds=[asked])
            self.assertEqual(answer["UnprocessedTraceIds"], [], asked)
            self.assertEqual(len(answer["Traces"]), 1, asked)
        documents = self.trace(spelling)
        root = documents[f"{1:016x}"]
        self.assertEqual((root["name"], root["origin"]), ("orders", "AWS::EC2::Instance"))
        self.assertEqual(root["http"], {
            "request": {"method": "POST", "url": "http://orders.example/orders/7", "user_agent": "curl/8",
                        "client_ip": "198.51.100.7", "x_forwarded_for": True}, "response": {"status": 503}})
        self.assertEqual((root["fault"], root["user"]), (True, "ada"))
        self.assertEqual(root["aws"]["ec2"]["instance_id"], "i-0abc")
        self.assertEqual(root["annotations"], {"customer.id": "c-1"})
        children = {child["id"]: child for child in root["subsegments"]}
        table, database = children[f"{2:016x}"], children[f"{3:016x}"]
        self.assertEqual((table["name"], table["namespace"]), ("DynamoDB", "aws"))
        self.assertEqual((table["aws"]["operation"], table["aws"]["table_name"]), ("PutItem", "orders"))
        self.assertEqual((database["sql"]["sanitized_query"], database["fault"]), ("select 1", True))
        self.assertEqual(database["cause"]["exceptions"][0]["type"], "OutOfStock")
        self.assertIn(f"{4:016x}", children)
        nodes = {(node["Name"], node["Type"]) for node in self.graph(START, END)}
        self.assertLessEqual({("orders", "client"), ("orders", "AWS::EC2::Instance"),
                              ("orders", "AWS::DynamoDB::Table")}, nodes)
        self.assertEqual(self.found(START, END, 'service("orders") { fault }'), {spelling})
        self.assertEqual(self.found(START, END, 'annotation[customer.id] = "c-1"'), {spelling})

    def test_json_plain_gzipped_and_at_the_x_ray_port(self):
        body = json.dumps(otlp_order()).encode()
        kind = {"Content-Type": "application/json"}
        for place in (self.server.doors["otlp_http"], self.server.doors["http"], self.server.doors["xray"]):
            for data, headers in ((body, kind), (gzip.compress(body), {**kind, "Content-Encoding": "gzip"})):
                status, _, said = post(f"http://{place}/v1/traces", data, headers)
                self.assertEqual(status, 200, said)
        self.check_segments()

    def test_recorded_protobuf_gzipped(self):
        folder = os.path.join(KINESIS_LAB, "auto")
        ids = set()
        for name in sorted(os.listdir(folder)):
            if name.endswith(".pb"):
                with open(os.path.join(folder, name), "rb") as file:
                    status, _, said = post(
                        f"http://{self.server.doors['xray']}/v1/traces", gzip.compress(file.read()),
                        {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"})
                self.assertEqual(status, 200, said)
                with open(os.path.join(folder, name[:-3] + ".json"), encoding="utf-8") as file:
                    ids |= {span_["traceId"] for group in json.load(file)["resourceSpans"]
                            for scope in group["scopeSpans"] for span_ in scope["spans"]}
        self.assertTrue(ids)
        for hexadecimal in ids:
            (trace,) = self.xray.batch_get_traces(TraceIds=[hexadecimal])["Traces"]
            self.assertTrue(trace["Segments"])
            for kept in trace["Segments"]:
                self.assertEqual(json.loads(kept["Document"])["id"], kept["Id"])


class Line10Senders(XrayTest):
    """The genuine daemon with `Endpoint`, and the collector's X-Ray exporter with `endpoint`."""

    def test_what_the_daemon_sends_is_taken(self):
        # Signed with any key, in batches of 50, with its own header.
        def add_header(request, **_):
            request.headers["X-Amzn-Xray-Timestamp"] = "1795000000.000000001"
            request.headers["User-Agent"] = "xray-agent/xray-daemon/3.6.6 exec-env/UNKNOWN OS/linux-amd64"
        self.xray.meta.events.register("before-send.xray", add_header)
        documents = [json.dumps(segment(f"batch {number}", "daemon", 0, 1)) for number in range(50)]
        answer = self.xray.put_trace_segments(TraceSegmentDocuments=documents)
        self.assertEqual(answer["UnprocessedTraceSegments"], [])
        self.assertEqual(len(self.found(START, END, 'service("daemon")')), 50)

    def test_the_genuine_daemon(self):
        self.skipTest("the Go module proxy does not give out github.com/aws/aws-xray-daemon, and there is "
                      "no other package of it; what it sends is tried above")

    def test_the_collector_exporter(self):
        program = os.environ.get("ADOT")
        if not program:
            self.skipTest("the collector's exporter was not built: Go, or its module proxy, is missing")
        done = subprocess.run([program, f"http://{self.server.doors['xray']}"], input=json.dumps(otlp_order()),
                              env={**os.environ, **aws_environment(self.server.doors)},
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        spelling = f"1-{TRACE[:8]}-{TRACE[8:]}"
        documents = self.trace(spelling)
        root = documents[f"{1:016x}"]
        self.assertEqual((root["name"], root["origin"]), ("orders", "AWS::EC2::Instance"))
        self.assertEqual(root["annotations"], {"customer.id": "c-1"}, done.stderr)
        self.assertEqual({child["id"] for child in root["subsegments"]}, {f"{number:016x}" for number in (2, 3, 4)})
        nodes = {(node["Name"], node["Type"]) for node in self.graph(START, END)}
        self.assertIn(("orders", "AWS::DynamoDB::Table"), nodes)


class Line11Links(XrayTest):
    """A link from a sender's trace to a receiver's is an edge of its own kind, with the events' age."""

    AGE = 30.0

    def documents(self, mirrored=True):
        url = "https://sqs.us-east-1.amazonaws.com/000000000000/orders"
        kind = "aws.xray.reserved.reference_type"
        sender = segment("sender", "producer", 0, 2, origin="AWS::EC2::Instance", subsegments=[
            subsegment("sender", "SQS", 0.5, 0.5, key="send", namespace="aws",
                       aws={"operation": "SendMessage", "queue_url": url, "region": "us-east-1"},
                       links=[{"trace_id": trace_id("receiver"), "id": span_id("receiver/consumer"),
                               "attributes": {kind: "child"}}])])
        receiver = segment("receiver", "consumer", 1 + self.AGE, 1, origin="AWS::Lambda::Function")
        if mirrored:
            receiver["links"] = [{"trace_id": trace_id("sender"), "id": span_id("sender/send"),
                                  "attributes": {kind: "parent"}}]
        return [sender, receiver]

    def test_the_edge_is_a_link_with_an_age(self):
        self.put(*self.documents())
        for services in (self.graph(START, END), self.xray.get_trace_graph(
                TraceIds=[trace_id("sender"), trace_id("receiver")])["Services"]):
            (consumer,) = [node for node in services
                           if (node["Name"], node["Type"]) == ("consumer", "AWS::Lambda::Function")]
            links = [edge for node in services for edge in node["Edges"]
                     if edge.get("EdgeType") == "link"]
            self.assertEqual([edge["ReferenceId"] for edge in links], [consumer["ReferenceId"]])
            (entry,) = links[0]["ReceivedEventAgeHistogram"]
            self.assertEqual(entry["Count"], 1)
            self.assertLessEqual(abs(entry["Value"] - self.AGE), self.AGE * 0.016)

    def test_links_are_kept_in_both_documents(self):
        self.put(*self.documents())
        sent, received = self.documents()
        kept = self.trace(trace_id("receiver"))[received["id"]]
        self.assertEqual(kept["links"], received["links"])
        kept = self.trace(trace_id("sender"))[sent["id"]]
        self.assertEqual(kept["subsegments"][0]["links"], sent["subsegments"][0]["links"])


class Line12Large(XrayTest):
    """Documents above 64 KB over HTTP, traces above 500 KB; what is not kept is told."""

    def large(self, word, kilobytes, key=None):
        return segment("large", word, 0, 1, key=key, metadata={"default": {"fill": "x" * kilobytes * 1024}})

    def test_a_document_of_900_kb_is_kept_whole(self):
        document = segment("single", "single", 0, 1, metadata={"default": {"fill": "x" * 900 * 1024}})
        self.put(document)
        self.assertEqual(self.trace(trace_id("single"))[document["id"]]["metadata"], document["metadata"])

    def test_a_trace_of_2_mb_is_kept_whole_and_on_one_page(self):
        documents = [self.large(f"part {number}", 70) for number in range(30)]
        self.put(*documents)
        answer = self.xray.batch_get_traces(TraceIds=[trace_id("large")])
        self.assertNotIn("NextToken", answer)
        (trace,) = answer["Traces"]
        self.assertEqual(len(trace["Segments"]), 30)
        self.assertFalse(trace.get("LimitExceeded", False))

    def test_a_document_that_is_too_large_is_told(self):
        giant = json.dumps(segment("giant", "giant", 0, 1, metadata={"default": {"fill": "x" * (8 << 20)}}))
        small = json.dumps(segment("small", "small", 0, 1))
        answer = self.xray.put_trace_segments(TraceSegmentDocuments=[giant, small])
        self.assertEqual(len(answer["UnprocessedTraceSegments"]), 1)
        self.assertTrue(self.trace(trace_id("small")))
        until(lambda: self.rejected()["rejected"], "the giant is in the list of the rejected")


if __name__ == "__main__":
    unittest.main()
