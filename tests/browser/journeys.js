// Two services that share no context, joined by the id of a message: the trace, the journey, the
// doctor and the map say so, and axe finds nothing on them, in either theme.
import assert from "node:assert/strict";
import { violations } from "./axe.js";

const PRODUCER = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
export const CONSUMER = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2";
const ALONE = "ccccccccccccccccccccccccccccccc3";
const SENDER = "ddddddddddddddddddddddddddddddd4";
const TAKER = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeee5";
const KEY = "kinesis|us-east-1|orders|123";
const ENV = "journeys";
const MS = 1_000_000n;
/** The doctor judges traces that have settled only. */
const SETTLED_MS = 600_000;

/** A span that began `agoMs` before the traces had settled, sent as one service's. */
function sent(service, agoMs, forMs, span) {
  const start = BigInt(Date.now() - SETTLED_MS - agoMs) * MS;
  const text = ([key, value]) => ({ key, value: { stringValue: value } });
  const { attributes = {}, ...rest } = span;
  return {
    resource: {
      attributes: [
        ["service.name", service],
        ["deployment.environment.name", ENV],
        ["telemetry.sdk.language", "nodejs"],
      ].map(text),
    },
    scopeSpans: [
      {
        spans: [
          {
            ...rest,
            startTimeUnixNano: String(start),
            endTimeUnixNano: String(start + BigInt(forMs) * MS),
            attributes: Object.entries(attributes).map(text),
          },
        ],
      },
    ],
  };
}

function orders() {
  const out = { "stitch.out": KEY };
  const taken = { "stitch.in": KEY };
  const topic = { "messaging.system": "kafka", "messaging.destination.name": "mails" };
  return {
    resourceSpans: [
      sent("shop", 5_000, 20, { traceId: PRODUCER, spanId: "aaaaaaaaaaaaaaa1", name: "POST /orders", kind: 2 }),
      sent("shop", 4_995, 10, { traceId: PRODUCER, spanId: "aaaaaaaaaaaaaaa2", parentSpanId: "aaaaaaaaaaaaaaa1", name: "put order", kind: 4, attributes: out }),
      sent("packer", 2_000, 30, { traceId: CONSUMER, spanId: "bbbbbbbbbbbbbbb1", name: "take order", kind: 5, attributes: taken }),
      sent("packer", 1_990, 10, { traceId: CONSUMER, spanId: "bbbbbbbbbbbbbbb2", parentSpanId: "bbbbbbbbbbbbbbb1", name: "pack", kind: 1 }),
      sent("mailer", 9_000, 10, { traceId: SENDER, spanId: "ddddddddddddddd1", name: "send mails", kind: 4, attributes: topic }),
      sent("postman", 8_000, 10, { traceId: TAKER, spanId: "eeeeeeeeeeeeeee1", name: "take mails", kind: 5, attributes: topic }),
      sent("clock", 2_500, 10, { traceId: ALONE, spanId: "ccccccccccccccc1", name: "tick", kind: 1 }),
    ],
  };
}

/** Sends the three traces and waits until the first two are one journey. */
export async function sendOrders(server) {
  const answer = await fetch(`${server.url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(orders()),
  });
  assert.equal(answer.status, 200);
  for (let tries = 0; ; tries++) {
    const known = await fetch(`${server.url}/api/v1/journeys/${CONSUMER}`);
    if (known.ok && (await known.json()).joins.length === 1) return;
    assert.ok(tries < 200, "the two traces never became a journey");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function walkJourneys({ page, server, step, shoot }) {
  await sendOrders(server);
  const chip = () => page.getByRole("button", { name: /^waited 2\.9\d s in kinesis orders/ });

  await step("a trace says that it is part of a journey, and its span by which message", async () => {
    await page.goto(`${server.url}/t/${CONSUMER}`);
    await page.getByText("2 traces, 1 message").waitFor();
    await chip().click();
    await page.getByText("E2: same message id", { exact: false }).waitFor();
    await page.getByRole("link", { name: "Goes on" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Comes from shop put order" }).click();
    await page.waitForURL(`**/t/${PRODUCER}?*s=aaaaaaaaaaaaaaa2*`);
  });

  await step("the journey shows both traces in order, the wait between them, and why", async () => {
    await page.getByRole("link", { name: "Open the journey" }).click();
    await page.waitForURL(`**/journeys/${PRODUCER}*`);
    const rows = page.getByRole("region", { name: "Traces of this journey" });
    await rows.getByText("take order").waitFor();
    const names = await rows.locator(".span a").allInnerTexts();
    assert.deepEqual(names, ["shop POST /orders", "shop put order", "packer take order", "packer pack"]);
    await rows.getByText(/^2\.9\d s idle$/).waitFor();
    await chip().click();
    const evidence = page.getByRole("complementary", { name: "How these two were joined" });
    await evidence.getByText("both name the same message id").waitFor();
    await evidence.getByRole("link", { name: "shop put order" }).waitFor();
    assert.match(page.url(), /[?&]join=[0-9a-f]{32}/);
    await shoot("journey");
  });

  await step("the address of a journey brings its evidence back, and x the true scale", async () => {
    await page.reload();
    await page.getByText("both name the same message id").waitFor();
    await page.keyboard.press("x");
    await page.waitForURL(/scale=true/);
    await page.getByText(/s idle$/).waitFor({ state: "detached" });
  });

  await step("a trace without messages says what would join it", async () => {
    await page.goto(`${server.url}/journeys/${ALONE}`);
    await page.getByRole("heading", { name: "No message of this trace is known" }).waitFor();
    await page.getByText("stitch.out", { exact: false }).waitFor();
  });

  await step("the list of journeys has each once, and says what it went over and how long it waited", async () => {
    await page.goto(`${server.url}/journeys?env=${ENV}`);
    await page.getByRole("status").getByText("1 journey").waitFor();
    const row = page.getByRole("row").filter({ hasText: "POST /orders" });
    assert.match(await row.innerText(), /→\s*packer[\s\S]*waited 2\.9\d s[\s\S]*kinesis/);
    await page.getByRole("button", { name: "10s", exact: true }).click();
    await page.getByRole("heading", { name: "No journey here" }).waitFor();
    await page.getByRole("button", { name: "1s", exact: true }).click();
    await row.waitFor();
    await page.goto(`${server.url}/journeys?env=${ENV}&q=service%20%3D%20"clock"`);
    await page.getByRole("heading", { name: "No journey here" }).waitFor();
    await page.goto(`${server.url}/journeys?env=${ENV}&q=name%20%3D%20"pack"`);
    await row.getByRole("link").click();
    await page.waitForURL(`**/journeys/${PRODUCER}*`);
  });

  await step("a person confirms a join, splits it, and takes both back", async () => {
    await page.goto(`${server.url}/journeys/${CONSUMER}`);
    await chip().click();
    await page.getByText("By hand", { exact: true }).click();
    await page.getByRole("button", { name: "Confirm", exact: true }).click();
    await page.getByRole("alert").getByText("Say who you are first").waitFor();
    await page.getByLabel("Your name").fill("Ada");
    await page.getByLabel("Why (others will read it)").fill("seen in the broker's log");
    await page.getByRole("button", { name: "Confirm", exact: true }).click();
    await page.getByText(/^Confirmed by Ada, /).waitFor();
    await page.getByText("seen in the broker's log").first().waitFor();
    await page.getByRole("button", { name: "Take it back" }).click();
    await page.getByText(/^Confirmed by Ada, /).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Split here" }).click();
    await page.getByText(/Split by Ada, /).waitFor();
    await chip().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Take it back" }).click();
    await chip().waitFor();
  });

  await step("a person joins two traces that share nothing, and takes it back", async () => {
    await page.goto(`${server.url}/journeys/${ALONE}`);
    await page.getByText("By hand", { exact: true }).click();
    await page.getByLabel("Your name").fill("Ada");
    await page.getByLabel("A span or trace id").fill("nothing");
    await page.getByRole("button", { name: "Join", exact: true }).click();
    await page.getByRole("alert").getByText("No trace id can be read from this").waitFor();
    await page.getByLabel("A span or trace id").fill(`${server.url}/t/${SENDER}`);
    await page.getByRole("button", { name: "Join", exact: true }).click();
    const rows = page.getByRole("region", { name: "Traces of this journey" });
    await rows.getByText("send mails").waitFor();
    const { joins } = await server.json(`/api/v1/journeys/${ALONE}`);
    assert.deepEqual(joins.map((j) => [j.fromTraceId, j.toTraceId, j.confirmed.by]), [[ALONE, SENDER, "Ada"]]);
    await rows.getByRole("button", { name: /clock|joined|by hand/i }).first().click();
    await page.getByRole("button", { name: "Take it back" }).click();
    await rows.getByText("send mails").waitFor({ state: "detached" });
  });

  await step("guesses are shown when asked, and joined by nobody", async () => {
    await page.goto(`${server.url}/journeys/${SENDER}`);
    await page.getByLabel("Show what may belong here too").check();
    await page.waitForURL(/guesses=/);
    await page.getByText("dddddddd… → eeeeeeee…").waitFor();
    const rows = page.getByRole("region", { name: "Traces of this journey" });
    assert.equal(await rows.getByText("take mails").count(), 0);
    await page.goto(`${server.url}/journeys/${ALONE}?guesses=1`);
    await page.getByText("Nothing else fits.").waitFor();
  });

  await step("the doctor says where the context was lost, and what to change", async () => {
    await page.goto(`${server.url}/doctor?env=${ENV}`);
    await page.getByRole("button", { name: /from shop to packer/i }).waitFor();
    await page.getByText("1 of 1", { exact: true }).waitFor();
    await page.locator("pre").first().waitFor();
    await page.getByRole("link", { name: "The two as one journey" }).waitFor();
    await shoot("doctor");
  });

  await step("the doctor says so where nothing is wrong, and where nothing is", async () => {
    await page.goto(`${server.url}/doctor?env=nowhere`);
    await page.getByRole("heading", { name: "No trace in this range" }).waitFor();
  });

  for (const theme of ["light", "dark"]) {
    for (const [name, path, text] of [
      ["a trace of a journey", `/t/${CONSUMER}`, "Part of a journey"],
      ["a journey", `/journeys/${CONSUMER}`, "How traces were joined"],
      ["the list of journeys", `/journeys?env=${ENV}`, "1 journey"],
      ["the list without journeys", "/journeys?env=nowhere", "No journey here"],
      ["guesses", `/journeys/${SENDER}?guesses=1`, "dddddddd… → eeeeeeee…"],
      ["a journey of one", `/journeys/${ALONE}`, "No message of this trace is known"],
      ["the doctor", `/doctor?env=${ENV}`, "What to change"],
      ["the doctor without traces", "/doctor?env=nowhere", "No trace in this range"],
    ]) {
      await step(`axe finds nothing on ${name}, ${theme}`, async () => {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await page.goto(server.url + path);
        await page.getByText(text).first().waitFor();
        assert.deepEqual(await violations(page), []);
      });
    }
  }
}
