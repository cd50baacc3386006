import { expect, test } from "vitest";
import { addresses, curl, LANGUAGES, randomHex, snippet, testSpan } from "./snippets";

const page = { protocol: "http:", hostname: "traces.lan", origin: "http://traces.lan:8900" };

test("a door on every interface or on loopback is reached where the page is", () => {
  const check = (address: string, http: string) =>
    expect(addresses([{ name: "otlp_http", address }], page).http).toBe(http);
  check("0.0.0.0:4318", "http://traces.lan:4318");
  check("127.0.0.1:4318", "http://traces.lan:4318");
  check("[::]:4318", "http://traces.lan:4318");
  check("10.0.0.7:4318", "http://10.0.0.7:4318");
  check("[fd00::7]:4318", "http://[fd00::7]:4318");
});

test("without a door of its own, OTLP goes to the page's", () => {
  expect(addresses([], page)).toEqual({ http: "http://traces.lan:8900", grpc: null });
});

test("every language is told the real address", () => {
  for (const language of LANGUAGES) {
    expect(snippet(language, { http: "http://h:4318", grpc: null })).toContain(
      "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318\n",
    );
  }
});

test("the test span is valid OTLP JSON, also from a shell", () => {
  const span = testSpan(1_000, { traceId: randomHex(16), spanId: randomHex(8) });
  expect(span.resourceSpans[0]?.scopeSpans[0]?.spans[0]).toMatchObject({
    startTimeUnixNano: "1000000000",
    endTimeUnixNano: "1042000000",
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  const body = /-d '(.*)'$/s.exec(curl({ http: "http://h", grpc: null }))?.[1] ?? "";
  expect(() => JSON.parse(body.replace(/'\$\([^)]*\)'/g, "1"))).not.toThrow();
});
