"""Sends messages as real programs do, and holds what the server joins against what happened."""

import argparse
import collections
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.error

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(HERE, "python")]

from cases import CASES  # noqa: E402
from world import World  # noqa: E402

PAGE = os.path.join(HERE, "..", "..", "..", "docs", "journeys.md")
TABLE = ("<!-- messages: begin -->", "<!-- messages: end -->")
RECIPES = [(("<!-- python: begin -->", "<!-- python: end -->"), "python", "python/recipe.py"),
           (("<!-- node: begin -->", "<!-- node: end -->"), "js", "node/recipe.js")]
# Joins less sure than this the doctor does not name.
SURE = 0.9
WAIT_S = 10


class Asked(World):
    """The world, and questions to its server."""

    def journey(self, trace):
        """The journey of a trace; what came by UDP may be held a moment later."""
        pause, deadline = threading.Event(), time.monotonic() + WAIT_S
        while True:
            try:
                return self.server.get_json(f"/api/v1/journeys/{trace}")
            except AssertionError as error:
                if ": 404 " not in str(error) or time.monotonic() > deadline:
                    raise
            pause.wait(0.02)

    def spans(self, trace):
        """The spans of a trace by id, each with its service; of notes there are none."""
        found = {}
        for resource in self.server.get_json(f"/api/v1/traces/{trace}")["resourceSpans"]:
            names = {a["key"]: a["value"].get("stringValue") for a in resource["resource"]["attributes"]}
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    found[span["spanId"]] = {**span, "service": names.get("service.name")}
        return found


def told(join, spans, q):
    """A join in the words of cases.py."""
    ends = [spans[join[f"{end}TraceId"]][join[f"{end}SpanId"]] for end in ("from", "to")]
    from_, to = (f"{end['service']} {end['name'].replace(q, 'Q')}" for end in ends)
    unusual = [f"delivery {join['attempt']}"] * (join["attempt"] > 1)
    unusual += [word for word in ("moved", "replay", "failed") if join[word]]
    known = f"{join['carrier']} {join['class']} {join['confidence']:g}"
    return f"{from_} > {to}: " + ", ".join([known, *unusual])


def ask(world, case, q, traces):
    """The joins of a case's traces, and what is wrong with what the server says of them."""
    wrong, joins, refused = [], {}, set()
    journeys = {trace: world.journey(trace) for trace in dict.fromkeys(traces)}
    spans = {trace: world.spans(trace) for trace in journeys}
    for trace, journey in journeys.items():
        for join in journey["joins"]:
            joins[join["id"]] = join
        refused |= {(pair["from"]["spanId"], pair["to"]["spanId"], pair["reason"]) for pair in journey["refused"]}
        strange = {t["traceId"] for t in journey["traces"]} - journeys.keys()
        if strange:
            wrong.append(f"the journey of {trace} has traces of others: {strange}")
        if journey["truncated"]:
            wrong.append(f"the journey of {trace} is truncated by {journey['limits']}")
    for join in joins.values():
        for end in ("from", "to"):
            if join["id"] not in {j["id"] for j in journeys[join[f"{end}TraceId"]]["joins"]}:
                wrong.append(f"the journey of {join[f'{end}TraceId']} lacks {told(join, spans, q)}")
        sent, taken = spans[join["fromTraceId"]][join["fromSpanId"]], spans[join["toTraceId"]][join["toSpanId"]]
        there = int(join["serverTimeUnixNano"] or sent["endTimeUnixNano"])
        wait = max(0, int(taken["startTimeUnixNano"]) - there)
        if join["waitNano"] != wait:
            wrong.append(f"{told(join, spans, q)}: waited {join['waitNano']} ns, expected {wait} ns")
    now, expected = (collections.Counter(list) for list in ([told(j, spans, q) for j in joins.values()], case.joins))
    wrong += [f"missing: {join}" for join in (expected - now).elements()]
    wrong += [f"too many: {join}" for join in (now - expected).elements()]
    reasons = sorted(reason for _, _, reason in refused)
    if reasons != sorted(case.refused):
        wrong.append(f"refused: {reasons}, expected {sorted(case.refused)}")
    gaps = sorted({gap["kind"] for journey in journeys.values() for gap in journey["gaps"]})
    if gaps != sorted(case.gaps):
        wrong.append(f"gaps: {gaps}, expected {sorted(case.gaps)}")
    if (len(joins) < case.deliveries) != bool(case.missing):
        wrong.append(f"{len(joins)} of {case.deliveries} deliveries are joined, and missing is {case.missing!r}")
    hops = {hop(join, spans) for join in joins.values()}
    return joins.values(), hops, wrong


def hop(join, spans):
    """What the doctor says of a join: from, to, over, resource; and whether it has to."""
    services = [spans[join[f"{end}TraceId"]][join[f"{end}SpanId"]]["service"] for end in ("from", "to")]
    is_lost = join["class"] != "E1" and join["confidence"] >= SURE and join["fromTraceId"] != join["toTraceId"]
    return (*services, join["carrier"], join["resource"]), is_lost


def ask_doctor(world, hops):
    """Every hop without a context is named, and no other."""
    findings = world.server.get_json("/api/v1/doctor")["findings"]
    named = {tuple(f["hop"].get(k) for k in ("from", "to", "over", "resource"))
             for f in findings if f["kind"] == "lost_at_broker"}
    lost = {where for where, is_lost in hops if is_lost}
    return [f"the doctor does not name {where}" for where in sorted(lost - named)] + \
           [f"the doctor names {where}, which lost nothing" for where in sorted(named - lost)]


def ask_map(world, cases):
    """The ways to and from a case's queues, topics and streams are those that it names."""
    wrong, now = [], collections.defaultdict(set)
    for edge in world.server.get_json("/api/v1/map")["edges"]:
        ends = [edge[end].removeprefix("service:") for end in ("from", "to")]
        for q in {match[0] for end in ends for match in re.finditer(r"orders-\d+", end)}:
            text = " > ".join(end.replace(q, "Q") for end in ends)
            now[q].add(f"{text}: {edge['kind']}, {'+'.join(edge['evidence'])}")
    for q, case in cases.items():
        if case.ways is not None and now[q] != set(case.ways):
            wrong += [f"{case.name}: the map lacks {way}" for way in sorted(set(case.ways) - now[q])]
            wrong += [f"{case.name}: the map has {way} too" for way in sorted(now[q] - set(case.ways))]
    return wrong


def row(case, joins):
    ways = collections.Counter(f"{j['carrier']} {j['class']} {j['confidence']:g}" for j in joins)
    found = f"{len(joins)} of {case.deliveries}" if case.deliveries else "none, rightly"
    found += "".join(f", {way}" for way in sorted(ways))
    words = {"none": "none", "tracecontext": "W3C", "xray": "X-Ray"}
    return f"| {case.broker} | {case.sender} | {case.taker} | {words[case.context]} | {found} | {case.missing} |"


def table(rows):
    head = ["broker", "sender traced by", "taker traced by", "propagator", "joined", "what is missing"]
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *rows])


def between(text, marks):
    before, begin, rest = text.partition(marks[0])
    was, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise SystemExit(f"docs/journeys.md has no {marks[0]} and {marks[1]}")
    return before + begin, was.strip(), end + after


def write_or_check(rows, is_write):
    """Gives whether the page says what was seen, and has the recipes that were tried."""
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    parts = [(TABLE, table(rows))]
    for marks, language, path in RECIPES:
        with open(os.path.join(HERE, path), encoding="utf-8") as recipe:
            parts.append((marks, f"```{language}\n{recipe.read().strip()}\n```"))
    is_right = True
    for marks, now in parts:
        before, was, after = between(text, marks)
        is_right &= was == now
        text = f"{before}\n{now}\n{after}"
    if is_write:
        with open(PAGE, "w", encoding="utf-8") as page:
            page.write(text)
    elif not is_right:
        print("docs/journeys.md differs from what was seen, or from a recipe; run this with --write.\n")
        print(table(rows))
    return is_right or is_write


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="writes the table into docs/journeys.md")
    options.add_argument("-k", metavar="WORD", default="", help="only cases whose name has the word")
    options.add_argument("--show", action="store_true", help="prints the spans of every case")
    chosen = options.parse_args()
    cases = [case for case in CASES if chosen.k in case.name]
    passed, failed, rows, hops, asked = 0, 0, [], set(), {}
    # Asked to stop it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    world = Asked()
    try:
        for number, case in enumerate(CASES):
            if case not in cases:
                continue
            q, began = f"orders-{number}", time.monotonic()
            asked[q] = case
            try:
                traces = case.run(world, q, case)
                world.flush()
                joins, seen, wrong = ask(world, case, q, traces)
                hops |= seen
            except (AssertionError, KeyError, urllib.error.URLError) as error:
                joins, wrong = [], [f"{type(error).__name__}: {error}"]
            if case.page:
                rows.append(row(case, joins))
            if chosen.show:
                show(world, traces)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'ok' if not wrong else 'FAILED'}  {case.name}  {time.monotonic() - began:.1f} s", flush=True)
            for text in wrong:
                print(f"        {text}")
        for name, wrong in (("the map", ask_map(world, asked)), ("the doctor", ask_doctor(world, hops))):
            print(f"{'ok' if not wrong else 'FAILED'}  {name}", *wrong, sep="\n        ")
            passed, failed = passed + (not wrong), failed + bool(wrong)
    finally:
        world.stop()
    if len(cases) == len(CASES):
        is_right = write_or_check(rows, chosen.write)
        passed, failed = passed + is_right, failed + (not is_right)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def show(world, traces):
    for trace in traces:
        print(f"  {trace}")
        for span in world.spans(trace).values():
            said = {a["key"]: next(iter(a["value"].values())) for a in span.get("attributes", [])}
            print(f"    {span['service']}: {span['name']} kind {span['kind']}", json.dumps(said))
            for link in span.get("links", []):
                print("      link", json.dumps(link))


if __name__ == "__main__":
    sys.exit(main())
