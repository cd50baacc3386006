// Every screen with a shop of some sixty services and a trace of 20 000 spans: what it is for works,
// and axe finds nothing, in either theme.
import assert from "node:assert/strict";
import { violations } from "./axe.js";
import { sendYesterday, walkChanges } from "./changes.js";
import { twoTraces, walkCompare } from "./compare.js";
import { walkExplore } from "./explore.js";
import { sendLogs, walkLogs } from "./logs.js";
import { makeRides, rideScreens, walkRides } from "./ride.js";
import { sendShop, sendTrace } from "./systems.js";

const ENV = "env=production";

/** The screens that are looked at: a name, an address, and what must be there first. */
export function screens({ big, failing, good, ride, lost }) {
  return [
    ["map", `/map?${ENV}`, (page) => page.getByRole("button", { name: /^payments service/ }).waitFor()],
    ["map-focus", `/map?${ENV}&focus=payments`, (page) => page.getByRole("heading", { name: "payments" }).waitFor()],
    ["map-edge", `/edges/checkout/payments?${ENV}`, (page) => page.getByRole("heading", { name: /^Operations/ }).waitFor()],
    ["map-table", `/map?${ENV}&view=table`, (page) => page.getByRole("table").first().waitFor()],
    ["traces", `/traces?${ENV}`, (page) => page.getByRole("table").waitFor()],
    ["traces-table", `/traces?${ENV}&view=table`, (page) => page.getByRole("table").waitFor()],
    ["traces-empty", `/traces?${ENV}&q=service+%3D+%22chekout%22`, (page) => page.getByText("did you mean").waitFor()],
    ["trace", `/t/${big}`, (page) => page.getByRole("heading", { name: "Resource" }).waitFor()],
    ["trace-flame", `/t/${big}?view=flame`, (page) => page.getByRole("img").waitFor()],
    ["trace-map", `/t/${failing}?view=graph`, (page) => page.getByRole("button", { name: / service / }).first().waitFor()],
    ["trace-spans", `/t/${big}?view=spans`, (page) => page.getByRole("region", { name: "Span table" }).waitFor()],
    ["trace-logs", `/t/${failing}?view=logs`, (page) => page.getByRole("region", { name: "Logs" }).waitFor()],
    ["service", `/services/payments?${ENV}`, (page) => page.getByRole("table").first().waitFor()],
    ["compare", `/compare/${good}/${failing}?${ENV}`, (page) => page.getByRole("treegrid").getByRole("row").nth(2).waitFor()],
    ["explore", `/explore?${ENV}`, (page) => page.getByRole("region", { name: "What is different in there" }).getByRole("row").nth(1).waitFor()],
    ["explore-by", `/explore?${ENV}&by=service&sel=slower`, (page) => page.getByRole("region", { name: "What is different in there" }).getByRole("row").nth(1).waitFor()],
    ["explore-table", `/explore?${ENV}&view=table`, (page) => page.getByRole("region", { name: "Numbers over time" }).waitFor()],
    ["map-parts", `/map?${ENV}&break=tenant.id&focus=payments`, (page) => page.getByText("By tenant.id").waitFor()],
    ["map-changes", `/map?${ENV}&cmp=-24h`, (page) => page.getByRole("button", { name: /^legacy-vat service/ }).waitFor()],
    ...rideScreens(ride),
    ["journeys", `/journeys?${ENV}`, (page) => page.getByRole("table").getByRole("row").nth(1).waitFor()],
    ["journey", `/journeys/${lost}?${ENV}`, (page) => page.getByText("lab-stream").first().waitFor()],
    ["doctor", `/doctor?${ENV}`, (page) => page.getByText("lab-stream").first().waitFor()],
    ["setup", "/setup", (page) => page.getByText("spans received").waitFor()],
    ["unknown", "/nowhere", (page) => page.getByText("There is no such page").waitFor()],
  ];
}

/** Sends both systems and waits until they can be found. */
export async function sendSystems(server) {
  await sendShop(server.url);
  const big = await sendTrace(server.url);
  const q = encodeURIComponent('service = "payments" and status = error');
  const { traces } = await server.json(`/api/v1/search?q=${q}&from=-1h&environment=production&limit=50`);
  const failing = traces.toSorted((a, b) => b.spanCount - a.spanCount)[0];
  await sendLogs(server, failing.traceId);
  const { good } = await twoTraces(server);
  await sendYesterday(server);
  const ride = await makeRides(server);
  const taken = await server.json("/api/v1/search?q=name+%3D+%22process+lab-stream%22&environment=production&limit=1");
  return { big, failing: failing.traceId, good, ride, lost: taken.traces[0].traceId };
}

export async function walkScreens({ page, server, step, complaints }) {
  const sent = await sendSystems(server);
  const { big, failing } = sent;
  const open = (path) => page.goto(`${server.url}${path}`);
  const panel = () => page.getByRole("complementary", { name: "Selected span" });
  const row = (name) => page.getByRole("treegrid").getByRole("row", { name });

  await step("a large trace opens on its first failing leaf, the rest folded", async () => {
    await open(`/t/${big}`);
    await panel().getByText("PaymentDeclinedError").first().waitFor();
    const rows = Number(await page.getByRole("treegrid").getAttribute("aria-rowcount"));
    assert.ok(rows > 10 && rows < 400, `${rows} rows`);
    await page.getByRole("button", { name: "Unfold all" }).click();
    await page.locator('[role=treegrid][aria-rowcount="20000"]').waitFor();
  });

  await step("a trace of 100 000 spans opens, unfolds, scrolls to its end and shows every view", async () => {
    const huge = await sendTrace(server.url, { count: 100_000 });
    await open(`/t/${huge}`);
    await panel().getByText("PaymentDeclinedError").first().waitFor();
    await page.getByRole("button", { name: "Unfold all" }).click();
    const grid = page.locator('[role=treegrid][aria-rowcount="100000"]');
    await grid.waitFor();
    await grid.evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await grid.locator('[role=row][aria-rowindex="100000"]').waitFor();
    await page.keyboard.press("x");
    await page.locator('[role=treegrid][aria-rowcount="7"]').waitFor();
    await page.getByRole("tab", { name: "Flame graph" }).click();
    await page.getByRole("img", { name: /as a flame graph/ }).waitFor();
    await page.getByRole("tab", { name: "Span table" }).click();
    const lines = page.getByRole("region", { name: "Span table" }).getByRole("button", { name: /Fraud.score/ });
    await lines.first().waitFor();
    await page.getByRole("tab", { name: "Waterfall" }).click();
  });

  await step("e goes on to the next failure, o shows one subtree alone", async () => {
    await open(`/t/${big}`);
    await panel().getByText("PaymentDeclinedError").first().waitFor();
    const first = new URL(page.url()).searchParams.get("s");
    await page.keyboard.press("e");
    await page.waitForURL((url) => url.searchParams.get("s") !== first);
    await page.keyboard.press("[");
    await panel().getByRole("heading", { name: "Payments.charge" }).waitFor();
    await page.keyboard.press("o");
    await page.locator('[role=treegrid][aria-rowcount="4"]').waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Only payments Payments.charge").waitFor({ state: "detached" });
  });

  await step("find looks into attributes, and filters when told to", async () => {
    await open(`/t/${failing}`);
    // Keys pressed before the trace is there belong to nobody.
    await page.getByRole("treegrid").getByRole("row").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("db.namespace=payments-db");
    await page.getByRole("status").getByText(/of [1-9]/).waitFor();
    await page.getByRole("button", { name: "Only these" }).click();
    await row("SELECT payments-db").or(row("INSERT payments-db")).first().waitFor();
    assert.equal(await row("GET cart-redis").count(), 0);
  });

  await step("the tabs show flame graph, map, span table and logs of the trace", async () => {
    await open(`/t/${failing}`);
    await page.getByRole("treegrid").getByRole("row").first().waitFor();
    await page.keyboard.press("f");
    await page.getByRole("img", { name: /as a flame graph/ }).waitFor();
    await page.getByRole("tab", { name: "Map" }).click();
    await page.getByRole("button", { name: /^payments service/ }).waitFor();
    await page.getByRole("tab", { name: "Span table" }).click();
    const line = page.getByRole("region", { name: "Span table" }).getByRole("button", { name: /payments/ });
    await line.first().click();
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByRole("tab", { name: "Waterfall" }).click();
    await page.keyboard.press("Escape");
  });

  await walkRides({ page, open, step, failing: sent.ride });
  await walkLogs({ page, open, step, traceId: failing });

  await step("a trace is copied as Markdown with its finding and ids", async () => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await open(`/t/${big}`);
    await page.getByRole("button", { name: "Copy this trace" }).click();
    await page.getByRole("button", { name: "As Markdown, the finding first" }).click();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /POST \/checkout\*\*: 4\.82 s, 20,000 spans/);
    assert.ok(text.includes(big) && text.includes("503 Service Unavailable"), text);
  });

  await step("the query box completes fields, operators and values", async () => {
    await open(`/traces?${ENV}`);
    await page.getByRole("table").waitFor();
    await page.keyboard.press("/");
    const option = (name) => page.getByRole("option", { name });
    await option(/^service/).first().waitFor();
    // A list that is about to be replaced takes no click: what no longer fits must have gone.
    await page.keyboard.type("serv");
    await option(/^kind/).waitFor({ state: "detached" });
    await option(/^service/).first().click();
    await option(/^=/).first().click();
    await option(/^api-gateway/).waitFor();
    await page.keyboard.type("paym");
    await option(/^api-gateway/).waitFor({ state: "detached" });
    await option(/^payments/).first().click();
    await option("and", { exact: true }).first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'service = "payments"');
  });

  await step("a facet narrows the search, and a box says what is different in it", async () => {
    await open(`/traces?${ENV}`);
    const facets = page.getByRole("complementary", { name: "What these traces have in common" });
    const chart = await page.locator(".chart").boundingBox();
    await page.mouse.move(chart.x + 20, chart.y + 12);
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width - 20, chart.y + 50, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("region", { name: "The box in the chart" }).getByText(/What is different/).waitFor();
    await page.keyboard.press("Escape");
    await facets.getByRole("link", { name: /with errors/ }).last().click();
    await page.waitForURL((url) => /status (!=|=) error/.test(url.searchParams.get("q") ?? ""));
  });

  await step("an empty result names the clause at fault and what was meant", async () => {
    await open(`/traces?${ENV}&q=${encodeURIComponent('service = "chekout" and duration > 1ns')}`);
    await page.getByText("matches nothing, even alone").waitFor();
    await page.getByRole("link", { name: 'service = "checkout"' }).click();
    await page.getByRole("table").waitFor();
  });

  await step("a live list shows what arrives", async () => {
    await open(`/traces?${ENV}&live=1`);
    await page.getByRole("table").waitFor();
    const [id] = await sendShop(server.url, { count: 1, seed: Date.now(), minutes: 0 });
    await page.locator(`a[href*="${id}"]`).waitFor();
  });

  await step("the map focuses a service, shows a call and compares with an earlier time", async () => {
    await open(`/map?${ENV}`);
    await page.getByRole("button", { name: /^checkout service/ }).click();
    const side = page.getByRole("complementary", { name: "checkout" });
    await side.getByText("Called by").waitFor();
    await side.getByTitle("Show this call").first().click();
    await page.getByRole("complementary", { name: / to checkout| to payments|checkout to / }).waitFor();
    await open(`/edges/checkout/payments?${ENV}`);
    await page.waitForURL((url) => url.pathname === "/map" && url.searchParams.get("edge") === "checkout>payments");
    const call = page.getByRole("complementary", { name: "checkout to payments" });
    await call.getByRole("link", { name: /^POST \/charge \d+ [\d.]+% [\d.]+ m?s$/ }).first().waitFor();
    await page.getByRole("button", { name: "Compare: off" }).click();
    await page.getByRole("button", { name: "Compare: 1 h earlier" }).click();
    await page.getByText(/vs 1 h ago/).first().waitFor();
  });

  await step("a call on the map shows what it is made of and leads to the very span", async () => {
    await open(`/edges/checkout/payments?${ENV}`);
    const call = page.getByRole("complementary", { name: "checkout to payments" });
    const calls = page.getByRole("heading", { name: "Calls, the failed first" });
    await calls.waitFor();
    await call.locator("section", { has: calls }).getByRole("link").first().click();
    await page.waitForURL((url) => url.pathname.startsWith("/t/") && url.searchParams.has("s"));
    await panel().getByRole("heading", { name: "POST /charge" }).waitFor();
    await panel().getByText(/payments · server/).waitFor();
  });

  await step("cards keep their places when a service joins", async () => {
    const place = () =>
      page.getByRole("button", { name: /^payments service/ }).evaluate((card) => card.style.transform);
    await open(`/map?${ENV}`);
    await page.getByRole("button", { name: /^payments service/ }).waitFor();
    const before = await place();
    const now = BigInt(Date.now()) * 1_000_000n;
    await fetch(`${server.url}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(newcomer(now)),
    });
    await page.getByRole("button", { name: "Load again" }).click();
    await page.getByRole("button", { name: /^newcomer service/ }).waitFor();
    assert.equal(await place(), before);
  });

  await step("a service has a page of its own", async () => {
    await open(`/services/payments?${ENV}`);
    await page.getByRole("link", { name: "POST /charge" }).click();
    await page.getByRole("heading", { name: /Traces with POST \/charge/ }).waitFor();
  });

  await step("anything pasted to /go opens", async () => {
    await open(`/go?x=${encodeURIComponent(`traceparent: 00-${big}-00f067aa0ba902b7-01`)}`);
    await page.waitForURL(`**/t/${big}*`);
    await open(`/go?x=${encodeURIComponent("status = error")}`);
    await page.waitForURL((url) => url.pathname === "/traces" && url.searchParams.get("q") === "status = error");
  });

  await walkCompare({ page, server, step, complaints });
  await walkExplore({ page, server, step });
  await walkChanges({ page, server, step });

  for (const theme of ["light", "dark"]) {
    for (const [name, path, ready] of screens(sent)) {
      await step(`axe finds nothing on ${name}, ${theme}`, async () => {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await open(path);
        await ready(page);
        assert.deepEqual(await violations(page), []);
      });
    }
  }
}

/** One span of a service that was not there before. */
function newcomer(now) {
  return {
    resourceSpans: [
      {
        resource: {
          attributes: [
            { key: "service.name", value: { stringValue: "newcomer" } },
            { key: "deployment.environment.name", value: { stringValue: "production" } },
          ],
        },
        scopeSpans: [
          {
            spans: [
              {
                traceId: "11111111111111111111111111111112",
                spanId: "1111111111111112",
                name: "GET /new",
                kind: 2,
                startTimeUnixNano: String(now - 2_000_000n),
                endTimeUnixNano: String(now),
              },
            ],
          },
        ],
      },
    ],
  };
}
