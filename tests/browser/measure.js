// Measures the page in Debian's Chromium against the real server: first paint, usable, frame times
// while a large trace scrolls, and the size of what is loaded. Prints a table for docs/benchmarks.md.
import { readdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startChromium } from "./chromium.js";
import { startServer } from "./server.js";
import { sendShop, sendTrace } from "./systems.js";

const LOADS = 5;
const FRAMES = 240;
const VIEWPORT = { width: 1680, height: 945 };

const server = await startServer(process.env.THROUGHLINE_BIN);
const rows = [];
try {
  await sendShop(server.url);
  const middle = await sendTrace(server.url, { count: 20_000 });
  const large = await sendTrace(server.url, { count: 100_000 });
  const { nodes } = await server.json("/api/v1/map?environment=production");
  const screens = [
    // What no page can be faster than: machines of different speed compare by it.
    ["a document of one word", "data:text/html,<title>x</title><p>word", "p"],
    [`map, ${nodes.length} nodes`, "/map?env=production", '.paper button[id^="node-"]'],
    ["traces, 500 of 900 with chart and facets", "/traces?env=production", "tbody tr"],
    ["trace, 20 000 spans", `/t/${middle}`, "[role=treegrid] [role=row]"],
    ["trace, 100 000 spans", `/t/${large}`, "[role=treegrid] [role=row]"],
  ];
  for (const [name, path, usable] of screens) {
    const loads = [];
    for (let i = 0; i < LOADS; i++) loads.push(await load(path, usable));
    rows.push([`${name}: first contentful paint`, span(loads.map((l) => l.paint), "ms")]);
    rows.push([`${name}: usable`, span(loads.map((l) => l.usable), "ms")]);
    const scripts = loads[0].scriptBytes;
    if (scripts > 0) rows.push([`${name}: scripts until then, as sent`, `${(scripts / 1000).toFixed(1)} kB`]);
  }
  for (const [count, id] of [
    ["20 000", middle],
    ["100 000", large],
  ]) {
    const { times, heapMb } = await scroll(id);
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.floor(times.length * share)].toFixed(1);
    const late = times.filter((ms) => ms > 33.4).length;
    rows.push([
      `scrolling ${count} open spans, frame p50 / p95 / max`,
      `${at(0.5)} / ${at(0.95)} / ${times.at(-1).toFixed(1)} ms; ${late} of ${times.length} over 33 ms`,
    ]);
    rows.push([`heap after that`, `${heapMb.toFixed(0)} MB`]);
  }
} finally {
  await server.stop();
}
const dist = process.env.THROUGHLINE_PAGE ?? new URL("../../ui/dist", import.meta.url).pathname;
for (const file of readdirSync(join(dist, "assets")).filter((f) => f.endsWith(".js"))) {
  const size = gzipSync(readFileSync(join(dist, "assets", file)), { level: 9 }).length;
  rows.push([`script ${file.replace(/-[\w-]{8}\.js$/, "")}, gzip`, `${(size / 1000).toFixed(1)} kB`]);
}
console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0].model}), ${VIEWPORT.width} × ${VIEWPORT.height}, headless, software rendering; load of the machine at the end ${loadavg()[1].toFixed(1)}\n`);
console.log("| | |\n|---|---|");
for (const [name, value] of rows) console.log(`| ${name} | ${value} |`);

/** The least, middle and greatest of some numbers. */
function span(values, unit) {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, mid, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  return `${Math.round(mid)} ${unit} (${Math.round(least)} to ${Math.round(most)})`;
}

/** One load with an empty cache; times are milliseconds since the navigation began. */
async function load(path, usable) {
  const browser = await startChromium({ viewport: VIEWPORT, reducedMotion: "reduce" });
  try {
    const page = await browser.newPage();
    await page.addInitScript((selector) => {
      const look = () => {
        if (document.querySelector(selector)) {
          // What is in the document is on the screen with the next frame.
          requestAnimationFrame(() => {
            globalThis.usableMs = performance.now();
          });
        } else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, usable);
    await page.goto(path.startsWith("/") ? server.url + path : path);
    await page.waitForFunction(() => globalThis.usableMs !== undefined);
    return await page.evaluate(() => ({
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
      usable: globalThis.usableMs,
      scriptBytes: performance
        .getEntriesByType("resource")
        .filter(({ name }) => name.endsWith(".js"))
        .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
    }));
  } finally {
    await browser.close();
  }
}

/** Frame times while everything is unfolded and scrolled, half of the frames by a jump. */
async function scroll(id) {
  const browser = await startChromium({ viewport: VIEWPORT });
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}/t/${id}`);
    await page.getByRole("treegrid").getByRole("row").first().waitFor();
    await page.getByRole("button", { name: "Unfold all" }).click();
    return await page.evaluate(async (frames) => {
      const box = document.querySelector("[role=treegrid]");
      const times = [];
      const frame = () => new Promise(requestAnimationFrame);
      for (let i = 0; i < 30; i++) await frame();
      let last = performance.now();
      for (let i = 0; i < frames; i++) {
        box.scrollTop = i % 2 ? box.scrollTop + 137 : (box.scrollHeight * i) / frames;
        await frame();
        const now = performance.now();
        times.push(now - last);
        last = now;
      }
      return { times, heapMb: performance.memory.usedJSHeapSize / 1e6 };
    }, FRAMES);
  } finally {
    await browser.close();
  }
}
