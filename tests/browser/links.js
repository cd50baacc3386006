// What a trace says of its neighbours, and how it is taken along: links both ways, evidence in the
// rows, one HTML file, and a narrow screen.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startChromium } from "./chromium.js";

const MS = 1_000_000n;
const FROM = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeee1";
const TO = "fffffffffffffffffffffffffffffff2";

/** A span of one trace that links to a span of another. */
export async function sendLinked(server) {
  const start = BigInt(Date.now() - 120_000) * MS;
  const text = ([key, value]) => ({ key, value: { stringValue: value } });
  const resource = (service, span) => ({
    resource: { attributes: [["service.name", service], ["deployment.environment.name", "links"]].map(text) },
    scopeSpans: [{ spans: [{ kind: 1, startTimeUnixNano: String(start), endTimeUnixNano: String(start + 9n * MS), ...span }] }],
  });
  const answer = await fetch(`${server.url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      resourceSpans: [
        resource("uploader", { traceId: TO, spanId: "fffffffffffffff2", name: "store upload" }),
        resource("resizer", {
          traceId: FROM,
          spanId: "eeeeeeeeeeeeeee1",
          name: "resize <b>all</b>",
          links: [{ traceId: TO, spanId: "fffffffffffffff2" }],
        }),
      ],
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

export async function walkLinks({ page, server, step, journey }) {
  await sendLinked(server);
  const open = (path) => page.goto(`${server.url}${path}`);
  const panel = (on = page) => on.getByRole("complementary", { name: "Selected span" });

  await step("a trace says which other traces link to it, and where its own links lead", async () => {
    await open(`/t/${TO}`);
    await page.getByRole("button", { name: "linked from 1 trace" }).waitFor();
    await panel().getByRole("link", { name: "resizer resize <b>all</b>", exact: true }).click();
    await page.waitForURL(`**/t/${FROM}?*s=eeeeeeeeeeeeeee1*`);
    await panel().getByRole("link", { name: "uploader store upload", exact: true }).waitFor();
  });

  await step("a row that took a message says what it is known by", async () => {
    await open(`/t/${journey}`);
    await page.getByRole("treegrid").getByText(/takes a message, known by/).first().waitFor();
  });

  await step("a trace is saved as one file that opens without a server", async () => {
    await open(`/t/${FROM}`);
    await page.getByRole("button", { name: "Download", exact: true }).click();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "As one HTML file" }).click(),
    ]);
    assert.equal(file.suggestedFilename(), `trace-${FROM}.html`);
    const html = readFileSync(await file.path(), "utf8");
    const other = await startChromium();
    try {
      const alone = await other.newPage();
      const asked = [];
      alone.on("request", (request) => asked.push(request.url()));
      await alone.setContent(html);
      await alone.locator("summary", { hasText: "resize <b>all</b>" }).click();
      await alone.getByText("deployment.environment.name").waitFor();
      assert.deepEqual(asked, []);
    } finally {
      await other.close();
    }
  });

  await step("on a narrow screen the names make room, and come when asked for", async () => {
    const { width, height } = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 800 });
    try {
      await open(`/t/${FROM}`);
      await page.getByRole("button", { name: "Show names" }).click();
      await page.getByRole("button", { name: "Hide names" }).click();
      await page.getByRole("button", { name: "Show names" }).waitFor();
    } finally {
      await page.setViewportSize({ width, height });
    }
  });
}
