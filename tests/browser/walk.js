// One walk through the page, as a person would go: the empty page, the map, the traces, one trace.
// THROUGHLINE_BIN names the binary, CHROMIUM the browser; `--shots DIR` keeps a picture of every
// screen in both themes, for the documents.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startChromium } from "./chromium.js";
import { CONSUMER, walkJourneys } from "./journeys.js";
import { walkLinks } from "./links.js";
import { walkScreens } from "./screens.js";
import { startServer } from "./server.js";
import { walkAsXrayUser } from "./xray.js";

const at = process.argv.indexOf("--shots");
const shots = at > 0 ? process.argv[at + 1] : undefined;
const results = { passed: 0, failed: 0 };

const server = await startServer(process.env.THROUGHLINE_BIN);
const browser = await startChromium();
const page = await browser.newPage();
page.setDefaultTimeout(60_000);
const complaints = [];
/** A second server, while a step needs one of its own. */
let other;
page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
page.on("console", (message) => {
  if (message.type() === "error") complaints.push(`console: ${message.text()}`);
});
page.on("request", (request) => {
  const { protocol, origin } = new URL(request.url());
  const ours = [server.url, other?.url].includes(origin) || protocol === "data:" || protocol === "blob:";
  if (!ours) complaints.push(`left the machine: ${request.url()}`);
});

async function step(name, body) {
  try {
    await body();
    results.passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
    const text = page.isClosed() ? "" : await page.locator("body").innerText();
    console.log(`  at ${page.url()}, which says:\n${text}`);
  }
}

/** Keeps a picture of the screen in both themes, when asked to; `prepare` is done before each. */
async function shoot(name, prepare = () => {}) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.reload({ waitUntil: "networkidle" });
    await prepare();
    await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`) });
  }
}

try {
  await step("an empty server's page says what to do", async () => {
    await page.goto(server.url);
    await page.getByText("4318").or(page.getByText("OTEL_EXPORTER")).first().waitFor();
    await shoot("empty");
  });

  await step("without spans of one's own there is an invented shop to look around in", async () => {
    other = await startServer(process.env.THROUGHLINE_BIN);
    try {
      await page.goto(`${other.url}/setup`);
      await page.getByRole("button", { name: "Load sample data" }).click();
      await page.waitForURL((url) => url.pathname === "/map" && url.searchParams.get("env") === "sample");
      await page.getByRole("button", { name: /^payments service/ }).waitFor();
      // Its stream loses the context of its messages: their ids join what belongs together.
      await page.goto(`${other.url}/doctor?env=sample`);
      await page.getByText("lab-stream").first().waitFor();
    } finally {
      await page.goto("about:blank");
      await other.stop();
    }
  });

  server.importLab();
  const { traces } = await server.json(
    `/api/v1/search?limit=1000&q=${encodeURIComponent('name = "Kinesis.PutRecord"')}`,
  );
  const lab = traces[0];

  await step("the map shows both Lambda services and what lies between", async () => {
    await page.goto(`${server.url}/map`);
    for (const service of ["producer-lambda", "consumer-lambda"]) {
      await page.getByRole("button", { name: new RegExp(service) }).first().waitFor();
    }
    await shoot("map");
  });

  await step("the map is also a table, for those who do not see it", async () => {
    await page.goto(`${server.url}/map?view=table`);
    for (const service of ["producer-lambda", "consumer-lambda"]) {
      await page.getByRole("table").getByText(service, { exact: true }).first().waitFor();
    }
  });

  await step("the list finds the lab's traces and leads to one", async () => {
    const q = encodeURIComponent('service = "producer-lambda" and name = "Kinesis.PutRecord"');
    await page.goto(`${server.url}/traces?q=${q}`);
    const link = page.locator(`a[href*="/t/${lab.traceId}"]`).first();
    await link.waitFor();
    await shoot("traces");
    await link.click();
    await page.waitForURL(`**/t/${lab.traceId}*`);
  });

  await step("a wrong query says what was expected", async () => {
    const answer = await fetch(`${server.url}/api/v1/search?q=${encodeURIComponent("service = = 1")}`);
    assert.equal(answer.status, 400);
    const { error } = await answer.json();
    assert.equal(typeof error.at, "number");
  });

  await step("one trace shows the names of all its spans", async () => {
    await page.goto(`${server.url}/t/${lab.traceId}`);
    const grid = page.getByRole("treegrid");
    await grid.getByRole("row").first().waitFor();
    const shown = await grid.locator(".name").allInnerTexts();
    const { names, spans } = await server.json(`/api/v1/traces/${lab.traceId}/view`);
    assert.deepEqual(shown.toSorted(), spans.name.map((name) => names[name]).toSorted());
    for (const name of ["lab-lambda-lab-dev-producer", "Kinesis.PutRecord", "POST", "tcp.connect"]) {
      assert.ok(shown.includes(name), `${name} is missing among ${shown}`);
    }
    await shoot("trace");
  });

  await step("a span's panel shows every attribute that was sent", async () => {
    const grid = page.getByRole("treegrid");
    await grid.getByText("Kinesis.PutRecord", { exact: true }).click();
    await page.locator("dt", { hasText: "rpc.method" }).waitFor();
    const pairs = await page
      .locator("dl > div")
      .evaluateAll((rows) => rows.map((row) => [row.querySelector("dt"), row.querySelector("dd")].map((e) => e?.innerText.trim())));
    const shown = new Map(pairs);
    const { resourceSpans } = await server.json(`/api/v1/traces/${lab.traceId}`);
    const sent = resourceSpans
      .flatMap((resource) => resource.scopeSpans.flatMap((scope) => scope.spans))
      .find((span) => span.name === "Kinesis.PutRecord");
    assert.ok(sent.attributes.length >= 8);
    for (const { key, value } of sent.attributes) {
      assert.equal(shown.get(key), String(Object.values(value)[0]), key);
    }
    assert.equal(shown.get("service.name"), "producer-lambda");
    await shoot("span");
  });

  await step("the address alone brings the same screen back", async () => {
    const address = page.url();
    await page.goto(`${server.url}/map`);
    await page.goto(address);
    await page.locator("dt", { hasText: "rpc.method" }).waitFor();
  });

  await step("any pasted trace id opens", async () => {
    await page.goto(`${server.url}/traces`);
    await page.keyboard.press("/");
    await page.keyboard.type(lab.traceId);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/t/${lab.traceId}*`);
    await page.getByRole("treegrid").getByText("Kinesis.PutRecord", { exact: true }).waitFor();
  });

  await step("an unknown trace says so", async () => {
    const unknown = "0123456789abcdef0123456789abcdef";
    await page.goto(`${server.url}/t/${unknown}`);
    await page.getByText(unknown.slice(0, 8)).first().waitFor();
    // The browser itself reports the 404; that one is meant.
    const others = complaints.filter((text) => !text.includes("404"));
    complaints.splice(0, complaints.length, ...others);
  });

  await walkAsXrayUser({ page, server, step, shoot, complaints });
  await walkJourneys({ page, server, step, shoot });
  await walkLinks({ page, server, step, journey: CONSUMER });
  await walkScreens({ page, server, step, complaints });

  await step("the page neither broke nor asked anyone else", () => assert.deepEqual(complaints, []));
} finally {
  await browser.close();
  await step("the server stops cleanly", async () => assert.equal(await server.stop(), 0));
}
console.log(`${results.passed} passed, ${results.failed} failed`);
process.exitCode = results.failed > 0 ? 1 : 0;
