"""Works out, from documents alone, the service graph that X-Ray would draw of them.

Written apart from the server and slowly on purpose: one pass for each rule.
Rule: X-Ray developer guide, "Inferred segments" and "Service graph"; a request counts once, as a
fault before a throttle before an error before ok.
"""

import collections
import decimal
import json

CLIENT = "client"
TABLE, TOPIC = "AWS::DynamoDB::Table", "AWS::SNS"


class Numbers:
    """The requests of a node or an edge."""

    def __init__(self):
        self.outcomes = collections.Counter()
        self.seconds = []

    def add(self, entity):
        flags = [flag for flag in ("fault", "throttle", "error") if entity.get(flag)]
        self.outcomes[flags[0] if flags else "ok"] += 1
        self.seconds.append(entity["end_time"] - entity["start_time"])

    def statistics(self):
        ok, error = self.outcomes["ok"], self.outcomes["error"]
        throttle, fault = self.outcomes["throttle"], self.outcomes["fault"]
        return {"OkCount": ok, "TotalCount": ok + error + throttle + fault,
                "ErrorStatistics": {"ThrottleCount": throttle, "OtherCount": error,
                                    "TotalCount": throttle + error},
                "FaultStatistics": {"OtherCount": fault, "TotalCount": fault},
                "TotalResponseTime": float(sum(self.seconds))}


class Graph:
    """Nodes by (name, type), edges by both ends."""

    def __init__(self, documents):
        self.entities = {}     # by id: every segment and subsegment
        self.parent = {}       # id -> id of what it lies in, or was called by
        self.segments = []
        for document in documents:
            if document.get("type") != "subsegment":
                self.segments.append(document)
            self.walk(document, document.get("parent_id"))
        self.nodes = collections.defaultdict(Numbers)
        self.edges = collections.defaultdict(Numbers)
        self.roots = set()
        self.add_segments()
        self.add_calls()

    def walk(self, entity, parent):
        self.entities[entity["id"]] = entity
        if parent:
            self.parent[entity["id"]] = parent
        for child in entity.get("subsegments", []):
            self.walk(child, entity["id"])

    def segment_of(self, entity_id):
        """The segment that a segment's or subsegment's id lies in."""
        segments = {segment["id"]: segment for segment in self.segments}
        while entity_id not in segments:
            entity_id = self.parent[entity_id]
        return segments[entity_id]

    def add_segments(self):
        for segment in self.segments:
            node = node_of(segment)
            self.nodes[node].add(segment)
            caller = self.parent.get(segment["id"])
            if caller is None:
                self.roots.add(node)
                self.edges[(node[0], CLIENT), node].add(segment)
                continue
            # The caller's own times, but for a segment called by a segment: then the callee's.
            calling = self.entities[caller]
            observed = segment if "origin" in calling else calling
            self.edges[node_of(self.segment_of(caller)), node].add(observed)

    def add_calls(self):
        """Calls to what sends no segments: each makes an inferred one of the same numbers."""
        answered = {self.parent.get(segment["id"]) for segment in self.segments}
        for entity in self.entities.values():
            if entity.get("namespace") in ("aws", "remote") and entity["id"] not in answered:
                node = inferred_node(entity)
                self.nodes[node].add(entity)
                self.edges[node_of(self.segment_of(entity["id"])), node].add(entity)


def node_of(segment):
    return segment["name"], segment["origin"]


def inferred_node(subsegment):
    if subsegment["name"].lower() == "dynamodb":
        return subsegment["aws"]["table_name"], TABLE
    if subsegment["name"].lower() == "sns":
        return "SNS", TOPIC
    raise ValueError(f"no rule for {subsegment['name']}")


def exact(text):
    """A document whose numbers are the decimals that were sent, so that sums do not drift."""
    return json.loads(text, parse_float=decimal.Decimal)
