// The same walk for someone who comes from AWS X-Ray: segments in, a filter expression, the trace in
// X-Ray's words, and the document that could not be kept.
import assert from "node:assert/strict";

const started = Math.floor(Date.now() / 1000) - 60;
/** An id of today, as X-Ray's SDKs make them: eight digits of time, then chance. */
const traceId = (last) => `1-${started.toString(16)}-${"abcdef012345678901234567".slice(0, 23)}${last}`;

const checkout = {
  trace_id: traceId(1),
  id: "53995c3f42cd8ad8",
  name: "xray-shop",
  start_time: started + 0.25,
  end_time: started + 2.75,
  origin: "AWS::ECS::Container",
  fault: true,
  user: "alice",
  http: {
    request: { method: "POST", url: "https://shop.example/checkout", client_ip: "192.0.2.7" },
    response: { status: 502, content_length: 117 },
  },
  annotations: { email: "alice@example.com", items: 3, express: true },
  metadata: { default: { cart: { lines: [1, 2, 3], order: 12345678901234 } }, debug: { flags: [] } },
  cause: {
    working_directory: "/srv/shop",
    exceptions: [{ id: "aaaaaaaaaaaaaaaa", type: "PaymentRefused", message: "the bank said no" }],
  },
  links: [{ trace_id: traceId(2), id: "53995c3f42cd8ad9", odd: { kept: true } }],
  subsegments: [
    {
      id: "53995c3f42cd8a01",
      name: "DynamoDB",
      start_time: started + 0.5,
      end_time: started + 0.75,
      namespace: "aws",
      throttle: true,
      error: true,
      aws: { table_name: "carts", operation: "UpdateItem", region: "eu-west-1" },
      annotations: { retried: 2 },
    },
    {
      id: "53995c3f42cd8a02",
      name: "bank.example",
      start_time: started + 1,
      end_time: started + 2.5,
      namespace: "remote",
      fault: true,
      http: { request: { method: "POST", url: "https://bank.example/pay" }, response: { status: 500 } },
    },
  ],
};

const browse = {
  trace_id: traceId(2),
  id: "53995c3f42cd8ad9",
  name: "xray-shop",
  start_time: started + 5,
  end_time: started + 5.1,
  annotations: { email: "bob@example.com" },
};

const bad = { trace_id: "no trace id", id: "53995c3f42cd8bad", name: "xray-broken", start_time: started, end_time: started + 1 };

export async function walkAsXrayUser({ page, server, step, shoot, complaints }) {
  const post = async (path, body) => {
    const answer = await fetch(`${server.url}/xray${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, path);
    return answer.json();
  };
  const language = (name) => page.locator("main").getByRole("button", { name, exact: true });
  const query = () => page.getByRole("textbox", { name: "X-Ray filter expression" });

  await step("the setup page says where X-Ray's programs go, and that nothing was rejected", async () => {
    await page.goto(`${server.url}/setup`);
    const { doors } = await server.json("/api/v1/status");
    const door = doors.find(({ name }) => name === "xray").address;
    await page.getByText(`AWS_XRAY_DAEMON_ADDRESS=${door}`, { exact: true }).waitFor();
    await page.getByText(`AWS_ENDPOINT_URL_XRAY=http://${door}`, { exact: true }).waitFor();
    await page.getByText("Nothing was rejected").waitFor();
    await page.getByRole("tab", { name: "Grafana" }).click();
    await page.getByText("Custom endpoint").waitFor();
  });

  await step("segments arrive, and a bad one does not cost its neighbours", async () => {
    const documents = [checkout, bad, browse].map((document) => JSON.stringify(document));
    const answer = await post("/TraceSegments", { TraceSegmentDocuments: documents });
    assert.deepEqual(answer.UnprocessedTraceSegments.map(({ Id }) => Id), [bad.id]);
    await post("/CreateGroup", {
      GroupName: "slow-checkouts",
      FilterExpression: "responsetime > 1 AND annotation.items >= 3",
    });
  });

  const row = (name) => page.getByRole("treegrid").locator(".name").getByText(name, { exact: true });
  const found = (id) => page.locator(`a[href*="/t/${id.replaceAll("-", "").slice(1)}"]`).first();

  await step("the switch makes the box take a filter expression", async () => {
    await page.goto(`${server.url}/traces`);
    await language("X-Ray filter").click();
    await page.waitForURL("**lang=xray*");
    await query().fill('service("xray-shop") { fault } AND annotation.email = "alice@example.com"');
    await query().press("Enter");
    await found(checkout.trace_id).waitFor();
    await found(browse.trace_id).waitFor({ state: "detached" });
    await shoot("xray-traces");
  });

  await step("a group is one click away", async () => {
    await query().fill("");
    await page.getByRole("button", { name: "Groups: search within one" }).click();
    await page.getByRole("button", { name: /slow-checkouts/ }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'group.name = "slow-checkouts"');
    await found(checkout.trace_id).waitFor();
    await found(browse.trace_id).waitFor({ state: "detached" });
  });

  await step("a wrong expression shows the place of the mistake", async () => {
    await query().fill('service("xray-shop") { fault } AND responsetime >');
    await query().press("Enter");
    await page.getByRole("alert").getByText(/at character \d+/).waitFor();
    // In our own language it is wrong too, and the way out is offered.
    await language("throughline").click();
    await page.getByRole("button", { name: "Read it as an X-Ray filter expression" }).click();
    await page.waitForURL("**lang=xray*");
    await page.getByRole("alert").waitFor();
    // The browser itself reports the 400s; those are meant.
    const others = complaints.filter((text) => !text.includes("400"));
    complaints.splice(0, complaints.length, ...others);
  });

  await step("the trace is told in X-Ray's words", async () => {
    await query().fill('annotation.email = "alice@example.com"');
    await query().press("Enter");
    await found(checkout.trace_id).click();
    await page.getByText(checkout.trace_id, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Copy the trace id in X-Ray's form" }).waitFor();
    await row("xray-shop").click();
    const panel = page.getByRole("complementary", { name: "Selected span" });
    await panel.getByText("segment", { exact: true }).waitFor();
    await panel.getByText("AWS::ECS::Container", { exact: true }).first().waitFor();
    await panel.getByRole("link", { name: "fault", exact: true }).waitFor();
    const annotations = panel.locator("section", { has: page.getByRole("heading", { name: "Annotations" }) });
    const keys = await annotations.locator("dt").allInnerTexts();
    assert.deepEqual(keys.toSorted(), ["email", "express", "items"]);
    const metadata = panel.locator("section", { has: page.getByRole("heading", { name: "Metadata" }) });
    await metadata.getByText('"order": 12345678901234').waitFor();
    assert.equal(await panel.getByText("working_directory").first().isVisible(), false);
    await panel.getByText("Raw: what the document had besides").click();
    assert.equal(await panel.getByText("working_directory").first().isVisible(), true);
    await shoot("xray-trace");

    await row("DynamoDB").click();
    await panel.getByText("subsegment", { exact: true }).waitFor();
    for (const flag of ["error", "throttle"]) await panel.getByRole("link", { name: flag, exact: true }).waitFor();
    await shoot("xray-subsegment");
  });

  await step("an annotation leads to the traces that have it", async () => {
    await row("xray-shop").click();
    await page.getByRole("link", { name: 'Find traces with annotation.items = 3', exact: true }).click();
    await page.waitForURL("**lang=xray*");
    assert.equal(await query().inputValue(), "annotation.items = 3");
    await found(checkout.trace_id).waitFor();
  });

  await step("the rejected document is shown with its reason", async () => {
    await page.goto(`${server.url}/setup`);
    const rejected = page.getByRole("region", { name: "1 span was rejected" });
    await rejected.getByText("InvalidTraceId", { exact: true }).waitFor();
    await rejected.getByText(`id ${bad.id}`).waitFor();
    const unfold = async () => {
      await rejected.getByText("What was sent").click();
      await rejected.getByText('"name":"xray-broken"').scrollIntoViewIfNeeded();
    };
    await unfold();
    await shoot("xray-rejected", unfold);
  });
}
