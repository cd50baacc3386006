"""Callers' mistakes, on every operation: each gets a 4xx that clients understand, never a 5xx."""

import json
import socket

from botocore.exceptions import ClientError

from documents import BASE, segment, trace_id
from world import HEADER, XrayTest, check_error, post, until, xray_client

WRONG = {"string": 7, "integer": "seven", "long": "seven", "double": "much", "float": "much",
         "boolean": "perhaps", "timestamp": {"when": "now"}, "list": "no list",
         "structure": ["no object"], "map": ["no object"]}
LONG_FILTER = "(" * 5000 + "ok" + ")" * 4998  # 10 000 characters, and two short


def example(shape):
    """Something that a client may send for this shape: its required members alone."""
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_tagged_union", False):
            name, inner = next(iter(shape.members.items()))
            return {name: example(inner)}
        return {name: example(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [example(shape.member)]
    if kind == "map":
        return {}
    if kind == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    if kind == "timestamp":
        return BASE
    return False if kind == "boolean" else 1


class Mistakes(XrayTest):
    def operations(self):
        model = self.xray.meta.service_model
        for name in model.operation_names:
            operation = model.operation_model(name)
            yield name, operation.http["requestUri"], operation.input_shape

    def check(self, name, path, body, why, must_refuse=True, headers=None):
        url = f"http://{self.server.doors['xray']}{path}"
        status, answered, answer = post(url, body, headers or {"Content-Type": "application/json"})
        with self.subTest(operation=name, why=why):
            if status == 200:
                self.assertFalse(must_refuse, f"{why} was answered {answer[:200]!r}")
            else:
                check_error(name, status, answered, answer)

    def test_bodies_that_are_no_object(self):
        deep = b'{"A":' * 5000 + b"1" + b"}" * 5000
        for name, path, shape in self.operations():
            for body in (b"{", b"\xff\xfe", b"[1]", b'"text"', b"7", b'{"A":1}{"B":2}', deep):
                # What takes no members need not read any; a deep unknown member may be passed over.
                must_refuse = bool(shape and shape.members) and body is not deep
                self.check(name, path, body, body[:20], must_refuse)

    def test_a_required_member_that_is_missing_null_or_of_another_type(self):
        for name, path, shape in self.operations():
            right = example(shape) if shape else {}
            for member in shape.required_members if shape else []:
                inner = shape.members[member]
                without = {key: value for key, value in right.items() if key != member}
                for why, query in [("missing", without), ("null", {**right, member: None}),
                                   ("wrong type", {**right, member: WRONG[inner.type_name]})]:
                    self.check(name, path, json.dumps(query).encode(), f"{member} {why}")

    def test_optional_members_of_another_type(self):
        for name, path, shape in self.operations():
            for member, inner in (shape.members.items() if shape else ()):
                query = {**example(shape), member: WRONG[inner.type_name]}
                self.check(name, path, json.dumps(query).encode(), f"{member} wrong type", must_refuse=False)

    def test_unknown_members_nulls_and_no_content_type_are_borne(self):
        url = f"http://{self.server.doors['xray']}/Groups"
        for body in (b"", b"{}", b'{"NextToken":null,"Surprise":[1]}', b"  { } "):
            status, _, answer = post(url, body)
            self.assertEqual((status, b"Default" in answer), (200, True), body)

    def test_tokens_from_elsewhere(self):
        for name, path, shape in self.operations():
            if shape and "NextToken" in shape.members:
                for token in ("bm9uc2Vuc2U=", "\u2603", "0", "x" * 90, "../../etc/passwd"):
                    query = {**example(shape), "NextToken": token}
                    self.check(name, path, json.dumps(query).encode(), f"token {token!r}", must_refuse=False)
        for call, query in [(self.xray.get_trace_summaries, {"StartTime": BASE, "EndTime": BASE + 9}),
                            (self.xray.get_groups, {})]:
            with self.assertRaises(ClientError) as caught:
                call(NextToken="from another server", **query)
            self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidRequestException")

    def test_ranges_upside_down_or_without_measure(self):
        for call in (self.xray.get_trace_summaries, self.xray.get_service_graph,
                     self.xray.get_time_series_service_statistics, self.xray.get_insight_summaries):
            with self.assertRaises(ClientError) as caught:
                call(StartTime=BASE + 60, EndTime=BASE)
            self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidRequestException")
        for times in ([-1e300, 1e300], [0, 1e18], [-5, 5], [BASE, BASE]):
            query = json.dumps({"StartTime": times[0], "EndTime": times[1]}).encode()
            for path in ("/TraceSummaries", "/ServiceGraph", "/TimeSeriesServiceStatistics"):
                self.check(path, path, query, times, must_refuse=False)
        huge = json.dumps({"StartTime": 0, "EndTime": BASE, "Period": 1}).encode()
        self.check("GetTimeSeriesServiceStatistics", "/TimeSeriesServiceStatistics", huge,
                   "more buckets than anyone wants", must_refuse=False)

    def test_filters_that_cannot_be_read_say_so(self):
        for text in ("(", "fault =", 'service("a" { fault', "responsetime >", "nonsense.keyword = 1",
                     'edge("a")', 'annotation. = "x"', '"', "{}", LONG_FILTER, "!" * 10000,
                     "ok AND " * 1428 + "ok"):
            with self.subTest(text=text[:40]):
                query = {"StartTime": BASE, "EndTime": BASE + 9, "FilterExpression": text}
                if text.startswith("ok"):
                    self.xray.get_trace_summaries(**query)  # long, but right
                    continue
                with self.assertRaises(ClientError) as caught:
                    self.xray.get_trace_summaries(**query)
                error = caught.exception.response["Error"]
                self.assertEqual(error["Code"], "InvalidRequestException")
                self.assertRegex(error["Message"], r"\d", "the message does not say where")

    def test_paths_and_methods_that_no_operation_has(self):
        for path in ("/Nothing", "/TraceSegments/", "/tracesegments", "/GetGroups"):
            status, _, _ = post(f"http://{self.server.doors['xray']}{path}", b"{}")
            self.assertTrue(400 <= status < 500, f"{path}: {status}")
        status, headers, body = post(f"{self.server.url}/xray/Nothing", b"{}")
        check_error("unknown operation", status, headers, body)

    def test_the_api_also_answers_below_xray_on_the_main_port(self):
        with_path = xray_client(self.server.doors["http"] + "/xray")
        self.assertIn("Default", {group["GroupName"] for group in with_path.get_groups()["Groups"]})
        with_path.close()

    def test_odd_credentials_are_taken(self):
        for key in ("test", "AKIAIOSFODNN7EXAMPLE"):
            client = xray_client(self.server.doors["xray"], aws_access_key_id=key, region_name="eu-central-1")
            arn = client.get_groups()["Groups"][0]["GroupARN"]
            self.assertIn(":eu-central-1:", arn, "the region of the signature's scope")
            client.close()
        url = f"http://{self.server.doors['xray']}/GetSamplingRules"
        for header in ("", "AWS4-HMAC-SHA256 Credential=", "Bearer x", "AWS4-HMAC-SHA256 " + "/" * 3000):
            status, _, _ = post(url, b"{}", {"Authorization": header} if header else {})
            self.assertEqual(status, 200, header[:40])


class Datagrams(XrayTest):
    """What arrives over UDP and is no document: counted, shown with its reason, and no harm done."""

    def test_each_bad_datagram_is_shown_and_its_neighbours_live(self):
        good = json.dumps(segment("neighbour", "good", 0, 1)).encode()
        bad_id = json.dumps({**segment("bad", "bad", 0, 1), "id": "xyz"}).encode()
        bad = {
            "no LF": b'{"format":"json","version":1}',
            "empty body": HEADER,
            "no header": good,
            "header of another version": b'{"format":"json","version":2}\n' + good,
            "header of another format": b'{"format":"xml","version":1}\n' + good,
            "header is no JSON": b"hello\n" + good,
            "nothing": b"",
            "only LF": b"\n",
            "bad JSON": HEADER + b'{"name":',
            "no object": HEADER + b"42",
            "bytes": bytes(range(256)),
            "bad id": HEADER + bad_id,
            "65 507 bytes of nothing": HEADER + b" " * (65_507 - len(HEADER)),
            "deep": HEADER + b'{"subsegments":[' * 2000,
        }
        before = len(self.rejected()["rejected"])
        for why, datagram in bad.items():
            with self.subTest(why=why):
                known = len(self.rejected()["rejected"])
                self.send_datagram(datagram)
                until(lambda: len(self.rejected()["rejected"]) > known, f"{why} is shown")
        self.send(segment("neighbour", "good", 0, 1))
        self.assertEqual(len(self.trace(trace_id("neighbour"))), 1)
        self.assertGreaterEqual(len(self.rejected()["rejected"]) - before, len(bad))

    def test_the_largest_datagram_is_stored_whole(self):
        document = segment("large", "large", 0, 1, metadata={"default": {"fill": ""}})
        room = 65_507 - len(HEADER) - len(json.dumps(document))
        document["metadata"]["default"]["fill"] = "x" * room
        datagram = HEADER + json.dumps(document).encode()
        self.assertEqual(len(datagram), 65_507)
        self.send_udp(datagram)
        (kept,) = until(lambda: self.trace(trace_id("large")), "the large one is stored").values()
        self.assertEqual(len(kept["metadata"]["default"]["fill"]), room)

    def test_spaces_in_the_header_and_other_letters_are_fine(self):
        for number, header in enumerate((b'{"format": "json", "version": 1}\n',
                                         b' { "version" : 1 , "format" : "JSON" } \n')):
            word = f"spaced {number}"
            self.send_udp(header + json.dumps(segment(word, "spaced", 0, 1)).encode())
            self.assertEqual(len(self.trace(trace_id(word))), 1)

    def test_a_bad_subsegment_does_not_cost_its_segment(self):
        document = segment("nested", "outer", 0, 1, subsegments=[
            {"id": "nonsense", "name": "bad", "start_time": BASE},
            {"id": "00000000000000aa", "name": "good", "start_time": BASE, "end_time": BASE + 1}])
        self.send_udp(HEADER + json.dumps(document).encode())
        (kept,) = until(lambda: self.trace(trace_id("nested")), "stored").values()
        self.assertEqual([child["name"] for child in kept["subsegments"]], ["good"])
        texts = json.dumps(self.rejected())
        self.assertIn("InvalidId", texts)

    def send_datagram(self, datagram):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(datagram, self.daemon)
