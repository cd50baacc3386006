// Logs of one trace of the shop, as an exporter would send them, and the walk through them.
import assert from "node:assert/strict";

const WORDS = { 9: "INFO", 13: "WARN", 17: "ERROR" };

/** What each span of the trace said: that it began, and of a failed one why it gave up. */
export async function sendLogs(server, traceId) {
  const { spans, services, startUnixNano } = await server.json(`/api/v1/traces/${traceId}/view`);
  const record = (row, offset, severity, text) => ({
    traceId,
    spanId: spans.spanId[row],
    timeUnixNano: String(BigInt(startUnixNano) + BigInt(Math.round(offset))),
    severityNumber: severity,
    severityText: WORDS[severity],
    body: { stringValue: text },
    attributes: [{ key: "thread.name", value: { stringValue: `worker-${row % 4}` } }],
  });
  const resourceLogs = spans.spanId.map((_, row) => {
    const records = [record(row, spans.start[row], 9, "request accepted, looking up what it needs")];
    if (spans.status[row] === 2) {
      const end = spans.start[row] + (spans.duration[row] ?? 0);
      records.push(record(row, end, 17, "giving up after 3 attempts\n  last answer: 503 Service Unavailable"));
    } else if (row % 5 === 0) {
      records.push(record(row, spans.start[row], 13, "connection pool is nearly empty: 2 of 20 left"));
    }
    const name = { key: "service.name", value: { stringValue: services[spans.service[row]] } };
    return { resource: { attributes: [name] }, scopeLogs: [{ scope: { name: "shop" }, logRecords: records }] };
  });
  // Of a span that was never sent.
  resourceLogs[0].scopeLogs[0].logRecords.push({ ...record(0, 0, 9, "sampled away"), spanId: "00000000000000ff" });
  const answer = await fetch(new URL("/v1/logs", server.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceLogs }),
  });
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), {});
}

export async function walkLogs({ page, open, step, traceId }) {
  const panel = () => page.getByRole("complementary", { name: "Selected span" });
  const logs = () => page.getByRole("region", { name: "Logs" });

  await step("logs and events of a trace stand in one order, and lead to their spans", async () => {
    await open(`/t/${traceId}?view=logs`);
    const failed = logs().getByRole("button", { name: /giving up after 3 attempts/ });
    await logs().getByRole("button", { name: /sampled away/ }).waitFor();
    const total = await logs().getByRole("button").count();
    await page.keyboard.press("/");
    await page.keyboard.type("giving up");
    await logs().getByRole("button", { name: /sampled away/ }).waitFor({ state: "detached" });
    assert.ok((await logs().getByRole("button").count()) < total);
    await failed.first().click();
    // The chosen one is open beside its span, with all its lines.
    await panel().getByText("last answer: 503 Service Unavailable").waitFor();
    await panel().getByText("thread.name").and(page.locator(":visible")).waitFor();
  });

  await step("a span shows what was said in it", async () => {
    await open(`/t/${traceId}`);
    await panel().getByRole("heading", { name: /^Logs [12]/ }).waitFor();
    await panel().getByText(/giving up after 3 attempts/).first().waitFor();
  });
}
