"""The X-Ray SDKs for Python and Node, unmodified, with one environment variable."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time

from documents import segment
from world import HERE, XrayTest, aws_environment, until


class Stub(http.server.ThreadingHTTPServer):
    """Stands for DynamoDB and for any other web server; remembers the trace headers it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.headers = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class StubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.headers.append((self.path, self.headers.get("X-Amzn-Trace-Id", "")))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", "2")
        self.send_header("x-amzn-RequestId", "STUB")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def environment(doors, **more):
    """One variable; the others keep this machine's own settings out."""
    host, _, port = doors["xray"].rpartition(":")
    address = f"tcp:{host}:{port} udp:{host}:{port}"
    return {**os.environ, **aws_environment(doors), "AWS_XRAY_DAEMON_ADDRESS": address, **more}


def start(command, **variables):
    return subprocess.Popen(command, env=variables["env"], cwd=HERE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    """The last line that the program printed, read as JSON."""
    out, err = process.communicate(timeout=60)
    if process.returncode != 0:
        raise AssertionError(f"exit code {process.returncode}: {out}\n{err}")
    return json.loads(out.strip().splitlines()[-1])


PROGRAMS = {"py-shop": [sys.executable, "python/shop.py"], "node-shop": ["node", "node/shop.js"]}
FUNCTIONS = {"python": [sys.executable, "python/function.py"], "node": ["node", "node/function.js"]}


def rule(name, priority, **more):
    return {"RuleName": name, "Priority": priority, "FixedRate": 1.0, "ReservoirSize": 10,
            "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*",
            "ResourceARN": "*", "Version": 1, **more}


class Sdks(XrayTest):
    """Both programs run at once, against rules that sample every order and no health check."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stub = Stub()
        cls.began = int(time.time()) - 1
        cls.xray.create_sampling_rule(SamplingRule=rule(
            "health", 1, URLPath="/health", FixedRate=0.0, ReservoirSize=0))
        for name in PROGRAMS:
            cls.xray.create_sampling_rule(SamplingRule=rule(
                f"{name} orders", 5, Host=f"{name}.test", URLPath="/orders*"))
        env = environment(cls.server.doors)
        programs = {name: start([*command, cls.stub.url], env=env) for name, command in PROGRAMS.items()}
        try:
            cls.said = {name: finish(program) for name, program in programs.items()}
        finally:
            for program in programs.values():
                program.kill()
                program.wait()
        cls.end = int(time.time()) + 60

    @classmethod
    def tearDownClass(cls):
        cls.stub.shutdown()
        cls.stub.server_close()
        super().tearDownClass()

    def traces_of(self, name):
        said = self.said[name]["traces"]
        query = f'service("{name}")'
        until(lambda: len(self.found(self.began, self.end, query)) >= len(said), f"the traces of {name}")
        return said

    def test_the_rules_are_fetched_and_obeyed(self):
        for name, said in self.said.items():
            self.assertLessEqual({"Default", "health", "py-shop orders", "node-shop orders"}, set(said["rules"]), name)
            self.assertEqual((len(said["traces"]), said["unsampled"]), (4 if name == "py-shop" else 3, []), name)
            self.assertNotIn(None, said["traces"], name)

    def test_the_targets_are_accepted(self):
        for name, said in self.said.items():
            self.assertTrue(1 <= said["quota"] <= 10, f"{name}: {said}")
            self.assertEqual(said["rate"], 1.0, name)

    def test_the_statistics_are_what_was_asked(self):
        for name in PROGRAMS:
            summaries = [
                summary for page in self.xray.get_paginator("get_sampling_statistic_summaries").paginate()
                for summary in page["SamplingStatisticSummaries"]
                if summary["RuleName"] == f"{name} orders"]
            requests = sum(summary["RequestCount"] for summary in summaries)
            self.assertEqual(requests, len(self.said[name]["traces"]), name)

    def test_python_segments_are_kept_whole(self):
        traces = self.traces_of("py-shop")
        for number, trace_id in enumerate(traces):
            documents = self.trace(trace_id)
            (root,) = [document for document in documents.values() if document["name"] == "py-shop"]
            self.assertEqual(root["annotations"], {"customer": "ada"})
            self.assertEqual(root["metadata"]["shop"]["cart"], {"items": [1, 2.5, None]})
            self.assertEqual(root["aws"]["xray"]["sdk"], "X-Ray for Python")
            (prices,) = root["subsegments"]
            calls = {child["name"]: child for child in prices["subsegments"]}
            self.assertEqual(calls["dynamodb"]["aws"]["table_name"], "prices")
            self.assertEqual(calls["dynamodb"]["aws"]["request_id"], "STUB")
            self.assertIn(":memory:", calls)
            self.assertEqual(prices.get("fault", False), number == 3)
            if number == 3:
                (thrown,) = prices["cause"]["exceptions"]
                self.assertEqual((thrown["type"], thrown["message"]), ("ValueError", "out of stock"))
        query = 'service("py-shop") { http.status = 500 }'
        self.assertEqual(self.found(self.began, self.end, query), {traces[3]})

    def test_node_segments_are_kept_whole(self):
        traces = self.traces_of("node-shop")
        for number, trace_id in enumerate(traces):
            documents = self.trace(trace_id)
            (root,) = [document for document in documents.values() if document["name"] == "node-shop"]
            self.assertEqual(root["http"]["response"]["status"], 404 if number == 2 else 200)
            self.assertEqual(root["aws"]["xray"]["rule_name"], "node-shop orders")
            (call,) = root["subsegments"]
            self.assertEqual((call["name"], call["namespace"]), ("127.0.0.1", "remote"))
        self.assertEqual(self.found(self.began, self.end, 'service("node-shop") { error }'), {traces[2]})

    def test_the_map_has_both_programs_and_what_they_call(self):
        for name in PROGRAMS:
            self.traces_of(name)
        nodes = {(node["Name"], node["Type"]): node for node in self.graph(self.began, self.end)}
        types = {(name, kind) for name, kind in nodes if name in ("py-shop", "node-shop", "prices")}
        self.assertIn(("py-shop", "client"), types)
        self.assertIn(("node-shop", "client"), types)
        self.assertIn(("prices", "AWS::DynamoDB::Table"), types)
        (shop,) = [node for (name, kind), node in nodes.items() if name == "node-shop" and kind != "client"]
        self.assertEqual(shop["SummaryStatistics"]["TotalCount"], 3)
        self.assertEqual(shop["SummaryStatistics"]["ErrorStatistics"]["OtherCount"], 1)

    def test_a_callee_that_reads_the_header_joins_the_trace(self):
        traces = self.traces_of("node-shop")
        headers = [dict(part.split("=", 1) for part in header.split(";"))
                   for path, header in self.stub.headers if path == "/stock" and traces[0] in header]
        self.assertEqual(len(headers), 1)
        (header,) = headers
        self.assertEqual(header["Sampled"], "1")
        before = self.trace(traces[0])
        (inferred,) = [document for document in before.values() if document.get("inferred")]
        self.assertEqual(inferred["parent_id"], header["Parent"])
        callee = {**segment("callee", "stock", 0, 0), "trace_id": header["Root"], "parent_id": header["Parent"],
                  "start_time": inferred["start_time"], "end_time": inferred["end_time"]}
        self.send(callee)
        after = self.trace(traces[0])
        self.assertNotIn(inferred["id"], after)
        self.assertIn(callee["id"], after)


class LambdaMode(XrayTest):
    """Streamed subsegments whose function segment nobody sends, as with local Lambda runtimes."""

    language = "python"

    def run_function(self, language):
        trace, parent = f"1-6b015000-{language.encode().hex():0<24}"[:35], f"{language.encode().hex():0<16}"[:16]
        variables = environment(
            self.server.doors, LAMBDA_TASK_ROOT="/var/task",
            _X_AMZN_TRACE_ID=f"Root={trace};Parent={parent};Sampled=1;Lineage=a87bd80c:1|68fd508a:5")
        stored = self.counts()["stored"]
        said = finish(start(FUNCTIONS[language], env=variables))
        until(lambda: self.counts()["stored"] >= stored + 2, "both subsegments are stored")
        self.assertEqual(said["trace"], trace)
        return trace, parent, said

    def test_they_make_one_trace_until_the_function_comes(self):
        language = self.language
        began = int(time.time()) - 1
        trace, parent, said = self.run_function(language)
        (function,) = self.trace(trace).values()
        self.assertEqual((function["id"], function["origin"]), (parent, "AWS::Lambda::Function"))
        self.assertIn("synthetic", json.dumps(function.get("metadata")))
        (outer,) = function["subsegments"]
        (inner,) = outer["subsegments"]
        self.assertEqual((outer["id"], inner["id"]), (said["outer"], said["inner"]))
        self.assertEqual(outer["annotations"], {"which": "outer"})
        (summary,) = self.summaries(began, began + 60, 'annotation.which = "inner"')
        self.assertEqual(summary["Id"], trace)
        (node,) = self.functions(self.xray.get_trace_graph(TraceIds=[trace])["Services"])
        self.assertEqual(node["SummaryStatistics"]["TotalCount"], 1)
        (node,) = self.functions(self.graph(began, began + 60))
        self.assertEqual(node["SummaryStatistics"]["TotalCount"], 1)
        self.check_that_the_real_one_takes_over(language, trace, parent, function)

    def check_that_the_real_one_takes_over(self, language, trace, parent, placeholder):
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{language}-function"
        start_time = placeholder["start_time"] - 0.5
        self.send({"trace_id": trace, "id": parent, "name": f"{language}-function", "start_time": start_time,
                   "end_time": placeholder["end_time"] + 0.5, "origin": "AWS::Lambda::Function",
                   "aws": {"function_arn": arn}})
        (function,) = self.trace(trace).values()
        self.assertEqual((function["name"], function["start_time"]), (f"{language}-function", start_time))
        self.assertNotIn("synthetic", json.dumps(function))
        self.assertEqual(len(function["subsegments"]), 1)
        range_ = int(start_time) - 1, int(start_time) + 60
        (node,) = self.functions(self.graph(*range_))
        self.assertEqual((node["Name"], node["SummaryStatistics"]["TotalCount"]), (f"{language}-function", 1))

    def functions(self, services):
        return [node for node in services if node["Type"] == "AWS::Lambda::Function"]


class LambdaModeNode(LambdaMode):
    """The same in Node, on a server of its own, so that its map has one function too."""

    language = "node"
