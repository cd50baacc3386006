// The map against an earlier time and broken down by a key; places and colours kept by the server.
import assert from "node:assert/strict";
import { startChromium } from "./chromium.js";
import { sendShop } from "./systems.js";

const ENV = "env=production";
const DAY_MS = 86_400_000;
const MS = 1_000_000n;

/** The shop of a day ago, which had a service that is gone today. */
export async function sendYesterday(server) {
  const nowMs = Date.now() - DAY_MS;
  await sendShop(server.url, { count: 500, seed: 9, until: "-24h" });
  const start = BigInt(nowMs - 600_000) * MS;
  const traceId = "deadbeefdeadbeefdeadbeefdeadbee1";
  const span = (spanId, parentSpanId, name, kind, shift) => ({
    traceId,
    spanId,
    ...(parentSpanId ? { parentSpanId } : {}),
    name,
    kind,
    startTimeUnixNano: String(start + shift * MS),
    endTimeUnixNano: String(start + (40n - shift) * MS),
  });
  const answer = await fetch(`${server.url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      resourceSpans: [
        resource("checkout", [
          span("deadbeef00000001", "", "POST /checkout", 2, 0n),
          span("deadbeef00000002", "deadbeef00000001", "POST /vat", 3, 5n),
        ]),
        resource("legacy-vat", [span("deadbeef00000003", "deadbeef00000002", "POST /vat", 2, 6n)]),
      ],
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

function resource(service, spans) {
  const text = ([key, value]) => ({ key, value: { stringValue: value } });
  return {
    resource: {
      attributes: [["service.name", service], ["deployment.environment.name", "production"]].map(text),
    },
    scopeSpans: [{ spans }],
  };
}

export async function walkChanges({ page, server, step }) {
  const open = (path) => page.goto(`${server.url}${path}`);
  const card = (name, on = page) => on.getByRole("button", { name: new RegExp(`^${name} service`) });

  await step("what came and what went since yesterday is drawn on the map and said in the table", async () => {
    await open(`/map?${ENV}&cmp=-24h`);
    await card("legacy-vat").waitFor();
    assert.match(await card("legacy-vat").innerText(), /gone/);
    await page.getByRole("status").getByText(/\d+ new · \d+ gone|\d+ gone/).waitFor();
    await page.keyboard.press("v");
    const row = page.getByRole("row").filter({ hasText: "legacy-vat" }).first();
    await row.waitFor();
    assert.match(await row.innerText(), /gone/);
    await open(`/map?${ENV}`);
    await card("payments").waitFor();
    assert.equal(await card("legacy-vat").count(), 0);
  });

  await step("services are broken down by any key, with colours that hold on every card", async () => {
    await open(`/map?${ENV}`);
    await card("payments").waitFor();
    await page.getByRole("button", { name: "Break down: off" }).click();
    await page.getByLabel("Find an attribute").fill("tenant");
    await page.getByRole("button", { name: "tenant.id", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("break") === "tenant.id");
    await card("payments").click();
    const side = page.getByRole("complementary", { name: "payments" });
    await side.getByText("By tenant.id").waitFor();
    const { nodes } = await server.json(`/api/v1/map?from=-1h&environment=production&breakdown=tenant.id`);
    const { parts } = nodes.find((n) => n.name === "payments");
    assert.ok(parts.length >= 4, JSON.stringify(parts));
    for (const { value } of parts) {
      if (value !== null) await side.getByRole("link", { name: value, exact: true }).waitFor();
    }
    await side.getByRole("link", { name: "globex", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'service = "payments" and tenant.id = "globex"');
    await page.getByRole("table").waitFor();
  });

  await step("services are grouped by what most of their requests say of any key", async () => {
    await open(`/map?${ENV}`);
    await card("payments").waitFor();
    await page.getByRole("button", { name: "Group: none" }).click();
    await page.getByLabel("Find an attribute").fill("sdk.lang");
    await page.getByRole("button", { name: "telemetry.sdk.language", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("group") === "telemetry.sdk.language");
    const family = page.getByRole("button", { name: /^java \(\d+\) service/ });
    await family.waitFor();
    assert.equal(await card("payments").count(), 0);
    await family.click();
    const side = page.getByRole("complementary", { name: /^java/ });
    const { nodes } = await server.json("/api/v1/map?from=-1h&environment=production&breakdown=telemetry.sdk.language");
    const members = nodes.filter((n) => n.kind === "service" && n.parts?.[0]?.value === "java");
    assert.ok(members.length >= 2, JSON.stringify(nodes));
    for (const { name } of members) await side.getByRole("link", { name }).first().waitFor();
    await open(`/map?${ENV}`);
    await page.getByRole("button", { name: "Group: none" }).click();
    await page.getByRole("button", { name: "prefix of names" }).click();
    await page.waitForURL((url) => url.searchParams.get("group") === "prefix");
  });

  await step("another browser shows every card in its place, in its colour", async () => {
    await open(`/map?${ENV}`);
    await card("payments").waitFor();
    const look = (on) =>
      card("payments", on).evaluate((e) => [e.style.transform, e.style.getPropertyValue("--svc")]);
    const here = await look(page);
    await until(async () => {
      const { places, colors } = await server.json("/api/v1/page/places?environment=production");
      return places["service:payments"] !== undefined && colors.payments !== undefined;
    }, "the server keeps the place and the colour of payments");
    const other = await startChromium({ reducedMotion: "reduce" });
    try {
      const theirs = await other.newPage();
      await theirs.goto(`${server.url}/map?${ENV}`);
      await card("payments", theirs).waitFor();
      const { colorScheme } = await page.evaluate(() => ({ colorScheme: document.documentElement.dataset.theme }));
      await theirs.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await until(async () => String(await look(theirs)) === String(here), `${here} in the other browser`);
    } finally {
      await other.close();
    }
  });
}

/** Waits until `check` holds; `what` says what did not come. */
export async function until(check, what) {
  for (let i = 0; i < 80; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`did not come: ${what}`);
}
