"""The sign-up workshop: its recorded datagrams, sent as they were, give the map they imply.

testdata/xray has two recordings: the application and its function in Node, and in Python. A person
opens a page that is not there, signs up, signs up again with the same address (which the table
refuses), and another person signs up.
"""

import random

from expected import Graph, exact
from world import XrayTest, datagrams

FOLDERS = {"node": "signup-lab-node", "python": "signup-lab-python"}
EVENTS = {"node": ("signup-app", "XrayReinventBuilderLambda"), "python": ("signup-app-py", "XrayPyLambda")}
# What the map keeps of a single response time: 1.6 percent, and a millisecond in a trace's graph.
RESOLUTION = 0.016


def recording(language):
    return list(datagrams(FOLDERS[language]))


def documents(messages):
    return [exact(message.partition(b"\n")[2]) for message in messages]


class Signup(XrayTest):
    """Both recordings in one server."""

    order = "as recorded"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.messages = recording("node") + recording("python")
        sent = list(cls.messages)
        if cls.order == "backwards":
            sent.reverse()
        elif cls.order != "as recorded":
            random.Random(cls.order).shuffle(sent)
        cls().send_udp(*sent)
        cls.documents = documents(cls.messages)
        cls.expected = Graph(cls.documents)
        times = [float(document["start_time"]) for document in cls.documents]
        cls.start, cls.end = int(min(times)) - 1, int(max(times)) + 10

    def test_every_span_was_stored(self):
        counts = self.counts()
        self.assertEqual(counts["stored"], len(self.expected.entities))
        self.assertEqual((counts["rejected"], counts["dropped"]), (0, 0))

    def test_the_map_is_client_application_function_table_topic(self):
        drawn = self.draw(self.graph(self.start, self.end))
        for language, (application, function) in EVENTS.items():
            beanstalk = "AWS::ElasticBeanstalk::Environment"
            self.assertLessEqual({
                ((application, "client"), (application, beanstalk)),
                ((application, beanstalk), (function, "AWS::Lambda")),
                ((function, "AWS::Lambda"), (function, "AWS::Lambda::Function")),
                ((function, "AWS::Lambda::Function"), ("signups", "AWS::DynamoDB::Table")),
                ((function, "AWS::Lambda::Function"), ("SNS", "AWS::SNS")),
            }, set(drawn.edges), language)
        self.assertEqual(set(drawn.edges), set(self.expected.edges))

    def test_the_map_has_the_documents_numbers(self):
        services = self.graph(self.start, self.end)
        drawn = self.draw(services)
        clients = {end for ends in self.expected.edges for end in ends if end[1] == "client"}
        self.assertEqual(set(drawn.nodes), set(self.expected.nodes) | clients)
        for node, service in drawn.nodes.items():
            with self.subTest(node=node):
                self.check_node(node, service)
        for ends, edge in drawn.edges.items():
            with self.subTest(edge=ends):
                self.check_numbers(edge, self.expected.edges[ends])
                self.assertNotIn("EdgeType", edge)

    def check_node(self, node, service):
        self.assertEqual(service.get("Root", False), node in self.expected.roots)
        sent = {(segment["name"], segment["origin"]) for segment in self.expected.segments}
        self.assertEqual(service["State"], "active" if node in sent else "unknown")
        self.assertEqual(service["Names"][0], node[0])
        if node[1] == "client":
            self.assertNotIn("SummaryStatistics", service)
            self.assertEqual(len(service["Edges"]), 1)
        else:
            self.check_numbers(service, self.expected.nodes[node])

    def check_numbers(self, holder, numbers):
        expected, found = numbers.statistics(), holder["SummaryStatistics"]
        total = expected["TotalResponseTime"]
        self.assertAlmostEqual(found["TotalResponseTime"], total, delta=1e-6 * total)
        expected["TotalResponseTime"] = found["TotalResponseTime"]
        self.assertEqual(found, expected)
        histogram = holder["ResponseTimeHistogram"]
        times = sorted(entry["Value"] for entry in histogram for _ in range(entry["Count"]))
        self.assertEqual(len(times), len(numbers.seconds))
        for shown, true in zip(times, sorted(float(seconds) for seconds in numbers.seconds)):
            self.assertLessEqual(abs(shown - true), 0.001 + true * RESOLUTION)

    def draw(self, services):
        """The answer by names instead of reference numbers."""
        names = {service["ReferenceId"]: (service["Name"], service["Type"]) for service in services}
        self.assertEqual(len(names), len(services), "reference numbers repeat")
        self.assertEqual(len(set(names.values())), len(services), "nodes repeat")
        drawn = lambda: None  # noqa: E731
        drawn.nodes = {names[service["ReferenceId"]]: service for service in services}
        drawn.edges = {(names[service["ReferenceId"]], names[edge["ReferenceId"]]): edge
                       for service in services for edge in service["Edges"]}
        return drawn

    def test_trace_graph_says_the_same_as_the_map(self):
        ids = sorted({document["trace_id"] for document in self.documents})
        pages = self.xray.get_paginator("get_trace_graph").paginate(TraceIds=ids)
        drawn = self.draw([service for page in pages for service in page["Services"]])
        self.assertEqual(set(drawn.edges), set(self.expected.edges))
        for ends, edge in drawn.edges.items():
            self.check_numbers(edge, self.expected.edges[ends])

    def test_the_failing_sign_up_is_found(self):
        duplicates = {segment["trace_id"] for segment in self.expected.segments
                      if segment.get("http", {}).get("response", {}).get("status") == 409}
        self.assertEqual(len(duplicates), 2)
        for expression in ('service() { fault = true }',
                           'service("signups") { fault = true }',
                           'service(id(name: "signups", type: "AWS::DynamoDB::Table")) { fault }',
                           'http.status = 409', 'error AND http.url ENDSWITH "/signup"',
                           'error = true AND annotation.email BEGINSWITH ""'):
            self.check_found(expression, duplicates)

    def test_the_failing_sign_up_is_found_by_service_and_annotation(self):
        for language, (application, function) in EVENTS.items():
            own = documents(recording(language))
            (duplicate,) = {document["trace_id"] for document in own
                            if document.get("http", {}).get("response", {}).get("status") == 409}
            not_found = {document["trace_id"] for document in own
                         if document.get("http", {}).get("response", {}).get("status") == 404}
            (email,) = {document["annotations"]["email"] for document in own
                        if document["trace_id"] == duplicate and "email" in document.get("annotations", {})}
            ours = {document["trace_id"] for document in own
                    if document.get("annotations", {}).get("email") == email}
            self.assertEqual(len(ours), 2, "the first sign-up and its repetition")
            self.check_found(f'service("{application}") {{ error }}', not_found | {duplicate})
            self.check_found(f'service("{application}") {{ error }} AND http.status = 409', {duplicate})
            self.check_found(f'annotation.email = "{email}"', ours)
            self.check_found(f'annotation[email] = "{email}" AND error', {duplicate})
            self.check_found(f'edge("{function}", "signups") {{ fault }}', {duplicate})

    def test_fault_alone_asks_the_first_segment_only(self):
        # The application answered 409, its own error flag; the fault lies below. So says the
        # developer guide: simple keywords find issues at trace level only.
        self.check_found("fault = true", set())
        self.check_found("error = true", {segment["trace_id"] for segment in self.expected.segments
                                          if "parent_id" not in segment and segment.get("error")})

    def check_found(self, expression, traces):
        with self.subTest(expression=expression):
            self.assertEqual(self.found(self.start, self.end, expression), traces)

    def test_the_summary_names_the_culprit(self):
        (summary,) = [summary for summary in self.summaries(self.start, self.end, "http.status = 409")
                      if summary["EntryPoint"]["Name"] == "signup-app"]
        self.assertTrue(summary["HasError"])
        self.assertFalse(summary["HasFault"])
        self.assertEqual(summary["Http"]["HttpURL"], "http://127.0.0.1:18081/signup")
        (theme,) = summary["Annotations"]["theme"]
        self.assertEqual(theme["AnnotationValue"], {"StringValue": "dark"})

    def test_traces_come_back_whole(self):
        for language in FOLDERS:
            own = documents(recording(language))
            for trace_id in {document["trace_id"] for document in own}:
                kept = self.trace(trace_id)
                ours = {entity["id"]: entity for document in own if document["trace_id"] == trace_id
                        for entity in flat(document)}
                theirs = {entity["id"]: entity for document in kept.values() for entity in flat(document)}
                self.assertLessEqual(set(ours), set(theirs))
                for entity_id, sent in ours.items():
                    self.check_kept(sent, theirs[entity_id])
                inferred = [document for document in kept.values() if document.get("inferred")]
                calls = [entity for entity in ours.values() if entity["name"].lower() in ("dynamodb", "sns")]
                self.assertEqual({document["parent_id"] for document in inferred},
                                 {entity["id"] for entity in calls})

    def check_kept(self, sent, kept):
        """Whatever was sent is there; only what ties documents together may differ."""
        for key, value in sent.items():
            if key not in ("subsegments", "type", "parent_id", "trace_id", "in_progress", "namespace"):
                self.assertIn(key, kept, sent["id"])
                self.assertEqual(plain(kept[key]), plain(value), f"{key} of {sent['id']}")

    def test_subsegments_that_came_alone_hang_where_they_belong(self):
        for document in self.documents:
            if document.get("type") == "subsegment":
                kept = self.trace(document["trace_id"])
                parents = {child["id"]: entity["id"] for root in kept.values() for entity in flat(root)
                           for child in entity.get("subsegments", [])}
                self.assertEqual(parents[document["id"]], document["parent_id"])

    def test_the_native_search_finds_it_too(self):
        query = 'service = "signup-app" and http.response.status_code = 409'
        (found,) = self.server.get_json("/api/v1/search", q=query, **{
            "from": self.start * 10**9, "to": self.end * 10**9})["traces"]
        hexadecimal = [segment["trace_id"] for segment in self.expected.segments
                       if segment["name"] == "signup-app" and segment["http"]["response"]["status"] == 409]
        self.assertEqual([found["traceId"]], [trace[2:].replace("-", "") for trace in hexadecimal])


class SignupBackwards(Signup):
    """The last datagram first: every child before its parent."""

    order = "backwards"


class SignupShuffled(Signup):
    """In an order that no program would choose, but a network might."""

    order = "seed 7"


class SignupTwice(XrayTest):
    """An emitter that sends everything twice: nothing counts double."""

    def test_repeated_documents_are_one(self):
        messages = recording("node")
        self.send_udp(*messages)
        first = self.numbers(messages)
        self.send_udp(*messages)
        self.assertEqual(self.numbers(messages), first)

    def numbers(self, messages):
        sent = documents(messages)
        start = int(min(float(document["start_time"]) for document in sent)) - 1
        services = self.graph(start, start + 20)
        return {(service["Name"], service["Type"]): service.get("SummaryStatistics") for service in services}


def flat(document):
    yield document
    for child in document.get("subsegments", []):
        yield from flat(child)


def plain(value):
    """Numbers by value, whatever their form: 1, 1.0 and Decimal("1")."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, (bool, str)) or value is None:
        return value
    return float(value)
