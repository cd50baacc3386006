"""Every pairing of real propagators as caller and callee, and what arrives.

    pairings.py             writes the tables into docs/propagation.md
    pairings.py --check     compares them with the page; exit code 1 when they differ
    pairings.py --record F  writes the spans of Python calling Node into a file, for the doctor's own test
    pairings.py --doctor    sends the spans to a server, whose doctor must name the mixed pairings

THROUGHLINE_BIN names the server's binary; ./run prepares the packages and calls this.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

PAGE = os.path.join(HERE, "..", "..", "..", "docs", "propagation.md")
BEGIN, END = "<!-- pairings: begin -->", "<!-- pairings: end -->"
SETS = ["tracecontext", "b3", "b3multi", "xray", "jaeger", "tracecontext,b3", "b3,tracecontext",
        "tracecontext,baggage,xray", "b3multi,b3,tracecontext,baggage"]
# One trace for each format, to see which of several in one request wins.
TRACES = {"tracecontext": "1", "b3": "2", "b3multi": "3", "xray": "4"}
LANGUAGES = {"python": [sys.executable, "python/peer.py"], "node": ["node", "node/peer.js"]}
CALLS = 3
# Old enough that the doctor takes each trace for whole.
AGO_S = 600


class Peer:
    """One language, with a port for each set of propagators."""

    def __init__(self, language, *arguments):
        self.language = language
        self.process = subprocess.Popen([*LANGUAGES[language], json.dumps(SETS), *arguments], cwd=HERE,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {language} peer did not start")
        self.urls = dict(zip(SETS, (f"http://127.0.0.1:{port}" for port in json.loads(line)), strict=True))

    def ask(self, names, path, **query):
        address = f"{self.urls[names]}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stdout.close()


def all_pairings(peers):
    for caller in peers:
        for callee in peers:
            for sent in SETS:
                for read in SETS:
                    yield caller, sent, callee, read


def outcome(caller, sent, callee, read):
    """What arrives, in words: of a sampled call and of one that is not."""
    url = f"{callee.urls[read]}/work"
    sampled, denied = (caller.ask(sent, "/call", url=url, mode=mode) for mode in ("sampled", "unsampled"))

    def same(said, key):
        return said["callee"][key] == said["caller"][key]

    if not same(sampled, "traceId"):
        return "new trace"
    lost = []
    if sampled["callee"]["parentId"] != sampled["caller"]["spanId"]:
        lost.append("parent")
    if not same(denied, "traceId") or not same(sampled, "sampled") or not same(denied, "sampled"):
        lost.append("sampling")
    if not same(sampled, "state"):
        lost.append("tracestate")
    return f"no {', no '.join(lost)}" if lost else "whole"


def headers_of_all():
    """A request that brings a trace of its own in every format of TRACES."""
    ids = {name: (digit * 32, digit * 16) for name, digit in TRACES.items()}
    (w3c, w3c_span), (b3, b3_span) = ids["tracecontext"], ids["b3"]
    (multi, multi_span), (xray, xray_span) = ids["b3multi"], ids["xray"]
    return {"traceparent": f"00-{w3c}-{w3c_span}-01", "tracestate": "vendor=kept", "b3": f"{b3}-{b3_span}-1",
            "X-B3-TraceId": multi, "X-B3-SpanId": multi_span, "X-B3-Sampled": "1",
            "X-Amzn-Trace-Id": f"Root=1-{xray[:8]}-{xray[8:]};Parent={xray_span};Sampled=1"}


def winner(callee, read):
    """Whose trace goes on in a request with several, and whether W3C's tracestate goes with it."""
    request = urllib.request.Request(f"{callee.urls[read]}/work", headers=headers_of_all())
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = json.load(answer)
    names = [name for name, digit in TRACES.items() if said["traceId"] == digit * 32]
    name = names[0] if names else "none"
    return f"`{name}`, with W3C's tracestate" if said["state"] and name != "tracecontext" else f"`{name}`"


def record():
    """Outcomes by sent and read set, then by languages; and winners by read set, then by language."""
    peers = [Peer(language) for language in LANGUAGES]
    try:
        found = collections.defaultdict(dict)
        for caller, sent, callee, read in all_pairings(peers):
            languages = f"{caller.language} to {callee.language}"
            found[sent, read][languages] = outcome(caller, sent, callee, read)
        winners = {read: {peer.language: winner(peer, read) for peer in peers} for read in SETS if "," in read}
        return found, winners
    finally:
        for peer in peers:
            peer.stop()


def tables(found, winners):
    """Both tables as Markdown: what most language pairs see, and who sees something else."""
    lines = ["| sent by the caller ↓, read by the callee → | " + " | ".join(f"`{s}`" for s in SETS) + " |",
             "|---" * (len(SETS) + 1) + "|"]
    notes = []
    for sent in SETS:
        cells = []
        for read in SETS:
            outcomes = found[sent, read]
            # Of two that are as common the first by name, so that the page does not flicker.
            usual, _ = min(collections.Counter(outcomes.values()).items(), key=lambda pair: (-pair[1], pair[0]))
            others = [f"{languages}: {said}" for languages, said in outcomes.items() if said != usual]
            if others:
                notes.append(f"{len(notes) + 1}. `{sent}` read by `{read}`, {'; '.join(others)}.")
            cells.append(f"{usual} ({len(notes)})" if others else usual)
        lines.append(f"| `{sent}` | " + " | ".join(cells) + " |")
    counts = collections.Counter(said for outcomes in found.values() for said in outcomes.values())
    total = ", ".join(f"{said} {count}" for said, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
    lines += ["", f"All {sum(counts.values())} pairings: {total}."]
    if notes:
        lines += ["", "Not every language sees the same:", "", *notes]
    lines += ["", "One request with a trace of its own in each of `traceparent`, `b3`, `X-B3-*` and `X-Amzn-Trace-Id`:",
              "", "| read by the callee | " + " | ".join(f"{language} goes on with" for language in LANGUAGES) + " |",
              "|---" * (len(LANGUAGES) + 1) + "|"]
    for read, by_language in winners.items():
        lines.append(f"| `{read}` | " + " | ".join(by_language[language] for language in LANGUAGES) + " |")
    return "\n".join(lines)


def split_page():
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    before, begin, rest = text.partition(BEGIN)
    was, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"docs/propagation.md has no {BEGIN} and {END}")
    return before, was.strip(), after


def write_or_check(is_check):
    """Gives whether the page says what was measured."""
    now = tables(*record())
    before, was, after = split_page()
    if is_check:
        if was != now:
            print("docs/propagation.md differs from what the propagators do; run this without --check.\n")
            print(now)
        return was == now
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(f"{before}{BEGIN}\n{now}\n{END}{after}")
    return True


def record_spans(path):
    """Both sides of each call of one language pair: what crates/topology/tests/doctor/pairings.json is."""
    peers = [Peer(language) for language in LANGUAGES]
    try:
        calls = []
        for _ in range(CALLS):
            for caller, sent, callee, read in all_pairings(peers):
                if (caller.language, callee.language) == ("python", "node"):
                    url = f"{callee.urls[read]}/work"
                    said = caller.ask(sent, "/call", url=url, mode="root")
                    for side, service in (("caller", f"python {sent}"), ("callee", f"node {read}")):
                        del said[side]["sampled"], said[side]["state"]
                        said[side]["service"] = service
                    calls.append({**said, "port": urllib.parse.urlsplit(url).port})
    finally:
        for peer in peers:
            peer.stop()
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(call, separators=(",", ":")) for call in calls) + "\n]\n")


def named(findings):
    """Caller and callee of each finding that says that the two speak of other headers."""
    return {(f["hop"].get("from"), f["hop"].get("to")): f for f in findings
            if f["kind"] in ("mixed_formats", "dropped_over_http")}


def check_doctor():
    """Sends every pairing's spans and compares the doctor's findings with what was seen.

    Gives what is wrong, or None when this server has no doctor.
    """
    from server import Server

    server = Server(os.environ["THROUGHLINE_BIN"])
    peers = []
    try:
        try:
            with urllib.request.urlopen(f"{server.url}/api/v1/doctor", timeout=30):
                pass
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        otlp = f"http://{server.doors['otlp_http']}/v1/traces"
        peers = [Peer(language, otlp) for language in LANGUAGES]
        lost, kept = set(), set()
        for _ in range(CALLS):
            for caller, sent, callee, read in all_pairings(peers):
                said = caller.ask(sent, "/call", url=f"{callee.urls[read]}/work?ago={AGO_S}", mode="root", ago=AGO_S)
                hop = (f"{caller.language} {sent}", f"{callee.language} {read}")
                is_kept = said["callee"]["traceId"] == said["caller"]["traceId"]
                (kept if is_kept else lost).add(hop)
        for peer in peers:
            for names in SETS:
                peer.ask(names, "/flush")
        found = named(server.get_json("/api/v1/doctor")["findings"])
        wrong = [f"not named: {a} to {b}" for a, b in sorted(lost - found.keys())]
        wrong += [f"named, though whole: {a} to {b}" for a, b in sorted(found.keys() & kept)]
        for (a, b), finding in found.items():
            if finding["kind"] != "mixed_formats" or finding["count"] != CALLS:
                wrong.append(f"{a} to {b}: {finding['kind']}, {finding['count']} cases")
            elif not any("OTEL_PROPAGATORS" in fix["code"] for fix in finding["fix"]):
                wrong.append(f"{a} to {b}: no line to change")
        print(f"{len(lost)} mixed pairings, {len(kept)} whole ones, {len(found)} named")
        return wrong
    finally:
        for peer in peers:
            peer.stop()
        server.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="compares the tables with the page")
    options.add_argument("--doctor", action="store_true", help="asks a server's doctor about every pairing")
    options.add_argument("--record", metavar="FILE", help="writes the spans of Python calling Node")
    chosen = options.parse_args()
    if chosen.record:
        record_spans(chosen.record)
        return 0
    passed, failed, skipped = 0, 0, 0
    if chosen.check or not chosen.doctor:
        is_right = write_or_check(chosen.check)
        passed, failed = passed + is_right, failed + (not is_right)
    if chosen.doctor:
        wrong = check_doctor()
        if wrong is None:
            print("SKIPPED doctor: this server has no GET /api/v1/doctor (404)")
            skipped += 1
        else:
            print(*wrong, sep="\n", end="\n" if wrong else "")
            passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
