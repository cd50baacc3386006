import { expect, test } from "vitest";
import type { OtlpTrace, TraceView } from "../api/types";
import { type ExportWords, escapeHtml, traceHtml } from "./export-html";
import { buildTree } from "./tree";

const WORDS: ExportWords = {
  column: "Service",
  attributes: "Attributes",
  resource: "Resource",
  events: "Events",
  links: "Links",
  missing: "not received",
  error: "error",
  made: "made",
  cut: "cut",
  spans: "spans",
  services: "services",
  errors: "errors",
};
const EVIL = `</td><script>alert("x")</script>`;
const view: TraceView = {
  traceId: "a".repeat(32),
  startUnixNano: "0",
  durationNano: 100,
  rootService: "web",
  rootName: "get",
  environment: null,
  spanCount: 2,
  errorCount: 1,
  services: ["web", EVIL],
  names: ["get", "charge"],
  spans: {
    spanId: ["1".repeat(16), "2".repeat(16)],
    parent: [-1, 0],
    missingParent: ["", ""],
    service: [0, 1],
    name: [0, 1],
    kind: [2, 3],
    status: [0, 2],
    start: [0, 25],
    duration: [100, 50],
    events: [0, 0],
    links: [0, 0],
    statusMessage: ["", EVIL],
  },
  eventTimes: [],
};
const whole: OtlpTrace = {
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: EVIL } }] },
      scopeSpans: [
        {
          spans: [
            {
              spanId: "2".repeat(16),
              attributes: [
                { key: EVIL, value: { stringValue: EVIL } },
                { key: "n", value: { intValue: "503" } },
              ],
              events: [{ name: EVIL, attributes: [] }],
              links: [{ traceId: "b".repeat(32), spanId: "3".repeat(16) }],
            },
          ],
        },
      ],
    },
  ],
};
const html = traceHtml({
  tree: buildTree(view),
  whole,
  title: `web ${EVIL}`,
  started: "now",
  slot: () => 3,
  words: WORDS,
});

test("no text of a trace becomes markup", () => {
  expect(escapeHtml(`<a href="x">'&`)).toBe("&#60;a href=&#34;x&#34;&#62;&#39;&#38;");
  expect(html).not.toContain("<script");
  expect(html.match(/alert\(&#34;x&#34;\)/g)?.length).toBeGreaterThan(4);
});

test("the file asks nobody and runs nothing", () => {
  expect(html).not.toMatch(/\b(?:src|href)=|url\(|@import|https?:/);
  expect(html).toContain("default-src 'none'");
});

test("each span is there with its place in time and its attributes", () => {
  expect(html.match(/<details>/g)).toHaveLength(2);
  expect(html).toContain("left:25%;width:50%");
  expect(html).toContain("<th>n</th><td>503</td>");
  expect(html).toContain("b".repeat(32));
});
