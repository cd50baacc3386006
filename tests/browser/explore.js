// Rates over time by any key, and what is different in a box, on the explore screen and on the list.
import assert from "node:assert/strict";

const ENV = "env=production";

export async function walkExplore({ page, server, step }) {
  const open = (path) => page.goto(`${server.url}${path}`);
  const what = () => page.getByRole("region", { name: "What is different in there" });
  const drag = async (box, from, to) => {
    await page.mouse.move(box.x + box.width * from[0], box.y + box.height * from[1]);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to[0], box.y + box.height * to[1], { steps: 4 });
    await page.mouse.up();
  };

  await step("explore opens on what the slowest traces have and the others have not", async () => {
    await open(`/explore?${ENV}`);
    await what().getByRole("row").nth(1).waitFor();
    await what().getByText(/[1-9]\d* traces against [\d,]+ others/).waitFor();
    for (const name of [/^Requests over time/, /^Errors over time/, /^Duration p50, p95, p99 over time/]) {
      await page.getByRole("img", { name }).waitFor();
    }
    const [from, to] = await page.getByRole("img", { name: /^Requests/ }).evaluate((svg) => {
      const line = svg.querySelector("path.line").getAttribute("d");
      return [line.length, line.split("L").length];
    });
    assert.ok(from > 100 && to > 20, "the line of requests has points");
  });

  await step("a key tells the lines apart, and its values filter", async () => {
    await open(`/explore?${ENV}`);
    await page.getByRole("button", { name: "By: all together" }).click();
    await page.getByLabel("Find an attribute").fill("tenant.id");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.searchParams.get("by") === "tenant.id");
    const { series } = await server.json("/api/v1/series?from=-1h&environment=production&points=60&by=tenant.id");
    assert.ok(series.length >= 4);
    await page.getByRole("img", { name: new RegExp(`^Requests over time, ${series.length} lines`) }).waitFor();
    await page.getByRole("link", { name: "globex", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'tenant.id = "globex"');
    await page.getByText(/[1-9][\d,]* spans match/).waitFor();
  });

  await step("a drawn box is the comparison, and a value of it filters", async () => {
    await open(`/explore?${ENV}`);
    await what().getByText(/that took .* or longer/).waitFor();
    const box = await page.locator(".chart canvas").boundingBox();
    await drag(box, [0.2, 0.02], [0.9, 0.45]);
    await page.waitForURL((url) => /^\d+,\d+,\d+,\d+$/.test(url.searchParams.get("sel") ?? ""));
    await what().getByRole("row").nth(1).waitFor();
    const only = what().getByRole("link", { name: /^Only / }).first();
    const said = await only.getAttribute("title");
    await only.click();
    await page.waitForURL((url) => (url.searchParams.get("q") ?? "") !== "");
    const [, key, value] = /^Only (.*) = (.*)$/.exec(said);
    const q = new URL(page.url()).searchParams.get("q");
    assert.ok(q.includes(key) && q.includes(value), `${q} is about ${said}`);
    const found = await server.json(`/api/v1/search?from=-1h&environment=production&q=${encodeURIComponent(q)}`);
    assert.ok(found.traces.length > 0, `${q} finds something`);
  });

  await step("the numbers of the charts are a table, too", async () => {
    await open(`/explore?${ENV}`);
    await page.getByRole("img", { name: /^Requests over time/ }).waitFor();
    await page.keyboard.press("v");
    const table = page.getByRole("region", { name: "Numbers over time" });
    await table.waitFor();
    assert.equal(await table.getByRole("row").count(), 61);
  });

  await step("the box of the list says what is different in it, over any attribute", async () => {
    await open(`/traces?${ENV}`);
    await page.getByRole("table").waitFor();
    const box = await page.locator(".chart canvas").boundingBox();
    await drag(box, [0.1, 0.02], [0.98, 0.4]);
    const bar = page.getByRole("region", { name: "The box in the chart" });
    await bar.getByRole("row").nth(1).waitFor();
    const keys = await bar.locator("td.key").allInnerTexts();
    assert.ok(keys.length >= 1, keys.join());
    const sel = new URL(page.url()).searchParams.get("box");
    await bar.getByRole("link", { name: "Explore" }).click();
    await page.waitForURL((url) => url.pathname === "/explore" && url.searchParams.get("sel") === sel);
    await what().getByRole("row").nth(1).waitFor();
  });

  await step("the scope of a search is one click", async () => {
    await open(`/traces?${ENV}&q=${encodeURIComponent('service = "payments"')}`);
    await page.getByRole("table").waitFor();
    await page.getByRole("button", { name: "Root", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'service = "payments" and root = true');
    await page.getByText("No trace matches").waitFor();
    await open(`/traces?${ENV}&q=${encodeURIComponent('service = "payments"')}`);
    await page.getByRole("button", { name: "Entry", exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === 'service = "payments" and entry = true');
    await page.getByRole("table").locator("tbody tr").first().waitFor();
  });
}
