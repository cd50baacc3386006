// Two traces in one screen: from the list, from the head of a trace, and by the address; as a table
// that keys walk through.
import assert from "node:assert/strict";

const ENV = "env=production";

/** Two traces of one operation: one that failed in payments, and one that did not. */
export async function twoTraces(server) {
  const q = encodeURIComponent('service = "web-storefront" and name = "page view"');
  const { traces } = await server.json(`/api/v1/search?q=${q}&from=-1h&environment=production&limit=500`);
  const paid = traces.filter((t) => t.services.includes("payments"));
  const failed = paid.find((t) => t.failing?.service === "payments");
  const good = paid.find((t) => t.errorCount === 0);
  assert.ok(failed && good, "the shop has a trace that failed in payments and one that did not");
  return { failed: failed.traceId, good: good.traceId };
}

export async function walkCompare({ page, server, step, complaints }) {
  const { failed, good } = await twoTraces(server);
  const open = (path) => page.goto(`${server.url}${path}`);
  const grid = () => page.getByRole("treegrid", { name: "Both traces" });

  await step("two traces stand in one tree, with what came and went", async () => {
    await open(`/compare/${good}/${failed}?${ENV}`);
    await grid().getByRole("row").nth(2).waitFor();
    const [a, b] = await Promise.all(
      [good, failed].map((id) => server.json(`/api/v1/traces/${id}/view`)),
    );
    const said = await page.locator("header .between").innerText();
    assert.match(said, a.durationNano === b.durationNano ? /±0/ : /longer|shorter|as long/);
    await page.getByText(/fails? in the second and not in the first/).waitFor();
    await page.getByRole("button", { name: "Unfold all" }).click();
    // Every service of either trace has a line.
    const names = new Set(await grid().locator("tbody th b").allInnerTexts());
    for (const service of new Set([...a.services, ...b.services])) {
      assert.ok(names.has(service), `${service} is missing among ${[...names]}`);
    }
    const words = new Set(await grid().locator("td.gap .word").allInnerTexts());
    assert.ok(words.has("new") || words.has("gone"), [...words].join());
  });

  await step("only differences are shown on demand, and keys walk the rows", async () => {
    await open(`/compare/${good}/${failed}?${ENV}`);
    await grid().getByRole("row").nth(2).waitFor();
    const all = await grid().getByRole("row").count();
    await page.keyboard.press("d");
    await page.waitForURL((url) => url.searchParams.get("diff") === "1");
    assert.ok((await grid().getByRole("row").count()) <= all);
    await grid().getByRole("row").nth(1).focus();
    await page.keyboard.press("j");
    const level = await page.evaluate(() => document.activeElement?.getAttribute("aria-rowindex"));
    assert.equal(level, "3");
  });

  await step("the two are swapped, and each leads back to its trace", async () => {
    await open(`/compare/${good}/${failed}?${ENV}`);
    await grid().getByRole("row").nth(2).waitFor();
    await page.keyboard.press("x");
    await page.waitForURL(`**/compare/${failed}/${good}*`);
    await page.getByRole("region", { name: "First trace" }).getByRole("link", { name: "Open this trace" }).click();
    await page.waitForURL(`**/t/${failed}*`);
  });

  await step("the head of a trace leads to the median of its operation, or to an id", async () => {
    await open(`/t/${failed}?${ENV}`);
    await page.getByRole("button", { name: "Compare this trace with another" }).click();
    await page.getByLabel("Id of the other trace").fill("not an id");
    await page.keyboard.press("Enter");
    await page.getByText("That is no trace id.").waitFor();
    await page.getByRole("button", { name: /^Median trace of/ }).click();
    await page.waitForURL(`**/compare/${failed}/*`);
    await grid().getByRole("row").nth(1).waitFor();
  });

  await step("two traces are chosen from the list", async () => {
    await open(`/traces?${ENV}&q=${encodeURIComponent('service = "payments"')}`);
    const rows = page.getByRole("table").locator("tbody tr");
    await rows.first().waitFor();
    await rows.first().getByRole("button", { name: "Compare this trace with another of the list" }).click();
    await page.getByRole("status").getByText(/choose a second trace/).waitFor();
    await rows.nth(1).getByRole("link", { name: "Compare with this trace" }).click();
    await page.waitForURL(/\/compare\/[0-9a-f]{32}\/[0-9a-f]{32}/);
    await grid().getByRole("row").nth(1).waitFor();
  });

  await step("a trace that is not held is named", async () => {
    const unknown = "0123456789abcdef0123456789abcdef";
    await open(`/compare/${good}/nothing`);
    await page.getByRole("heading", { name: "One of the two is not held here" }).waitFor();
    await open(`/compare/${good}/${unknown}`);
    await page.getByText(unknown, { exact: true }).waitFor();
    // The browser itself reports the 404; that one is meant.
    const others = complaints.filter((text) => !text.includes("404"));
    complaints.splice(0, complaints.length, ...others);
  });
}
