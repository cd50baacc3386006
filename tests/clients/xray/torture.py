"""Every value of every recorded document, replaced by each of a dozen wrong ones.

Whatever becomes of such a document, it is told or kept, and everything that can be asked afterwards
is answered in the right form.
"""

import copy
import json

from documents import trace_id
from signup import recording
from world import XrayTest, document_of

WRONG = [None, True, 7, -1, 0.5, 1e300, -1e18, 2**64, "", "x", "\u0000\u2603" * 40, "0" * 16, [], [[]],
         [None, 1], {}, {"": {"": None}}, {"type": "subsegment"}]


def places(value, path=()):
    """The path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def with_value(document, path, value):
    changed = copy.deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


class Torture(XrayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        originals = [document_of(message) for message in recording("node") + recording("python")]
        richest = sorted(originals, key=lambda document: -len(set(map(str, places(document)))))
        cls.texts = []
        for number, document in enumerate([richest[0], originals[6]]):
            for path in places(document):
                if "stack" in path and path[-1] != 0:
                    continue  # forty frames of the same form
                for value in WRONG:
                    changed = with_value(document, path, value)
                    if path[0] != "trace_id":
                        changed["trace_id"] = trace_id(f"torture {number} {path} {value!r:.40}")
                    cls.texts.append(json.dumps(changed))

    def test_each_is_kept_or_told_and_everything_can_still_be_asked(self):
        start, end, told = 0, 2_000_000_000, 0
        for first in range(0, len(self.texts), 200):
            answer = self.xray.put_trace_segments(TraceSegmentDocuments=self.texts[first:first + 200])
            told += len(answer["UnprocessedTraceSegments"])
        counts = self.counts("xray_http")
        self.assertEqual(counts["dropped"], 0)
        self.assertGreaterEqual(counts["received"], len(self.texts))
        self.assertLessEqual(told, counts["rejected"])
        self.assertTrue(told)
        ids = [summary["Id"] for summary in self.summaries(start, end)]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertGreater(len(ids), len(self.texts) / 2)
        for kind in ("Event", "Service"):
            self.assertGreater(len(self.summaries(start, end, TimeRangeType=kind)), len(ids) / 2)
        for first in range(0, len(ids), 100):
            some = ids[first:first + 100]
            answer = self.xray.batch_get_traces(TraceIds=some)
            self.assertEqual(answer["UnprocessedTraceIds"], [])
            for trace in answer["Traces"]:
                for segment in trace["Segments"]:
                    self.assertEqual(json.loads(segment["Document"])["id"], segment["Id"])
            self.xray.get_trace_graph(TraceIds=some)
        self.graph(start, end)
        self.xray.get_time_series_service_statistics(StartTime=start, EndTime=end, Period=3600)
        for expression in ("fault", "service() { fault }", "rootcause.fault.service { name BEGINSWITH \"\" }",
                           "annotation.email", "http.status = 409", "responsetime > 1"):
            self.summaries(start, end, expression)
        self.rejected()
