// Takes the pictures of the documents: every screen in both themes, from invented but seeded systems.
//   node pictures.js DIR          for the documents
//   node pictures.js DIR --all    at two sizes and without loss, for looking at changes
//   node pictures.js DIR URL      of the Kinesis workshop, from a server on which it was done
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startChromium } from "./chromium.js";
import { screens, sendSystems } from "./screens.js";
import { startServer } from "./server.js";

/** Small enough for a repository, good enough to read the smallest letters. */
const QUALITY = 75;

const [folder, flag = ""] = process.argv.slice(2);
const forLooking = flag === "--all";
mkdirSync(folder, { recursive: true });

const SMALL = { width: 1280, height: 800 };
const LARGE = { width: 1680, height: 945 };
/** A map of ninety nodes shows the numbers on its cards where there is room for them. */
const sizesOf = (name) => (forLooking ? [LARGE, SMALL] : [/^map(?!-table)/.test(name) ? LARGE : SMALL]);

/** Takes each screen in both themes, in each size. */
async function take(url, list) {
  const browser = await startChromium({ viewport: SMALL, reducedMotion: "reduce" });
  const page = await browser.newPage();
  const devtools = await page.context().newCDPSession(page);
  for (const [name, path, ready] of list) {
    for (const size of sizesOf(name)) {
      await page.setViewportSize(size);
      for (const theme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await page.goto(`${url}${path}`);
        await ready(page);
        await page.waitForLoadState("networkidle");
        await page.evaluate(() => document.fonts.ready);
        const file = join(folder, forLooking ? `${name}-${size.width}-${theme}` : `${name}-${theme}`);
        if (forLooking) await page.screenshot({ path: `${file}.png` });
        else {
          const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
          writeFileSync(`${file}.webp`, Buffer.from(data, "base64"));
        }
      }
    }
  }
  await browser.close();
}

/** The screens of the workshop: the newest of its journeys, and the trace in which the consumer works. */
async function labScreens(url) {
  const { journeys } = await (await fetch(`${url}/api/v1/journeys?from=-24h&limit=100`)).json();
  const largest = journeys.toSorted((a, b) => b.traces - a.traces)[0];
  const q = encodeURIComponent('name = "Kinesis.getRecord"');
  const { traces } = await (await fetch(`${url}/api/v1/search?q=${q}&from=-24h&limit=1`)).json();
  const [whole] = traces;
  const scope = `from=-24h&env=${encodeURIComponent(whole.environment)}`;
  const joined = largest.traceId;
  return [
    ["lab-map", `/map?${scope}`, (page) => page.getByRole("button", { name: /^consumer-lambda/ }).waitFor()],
    ["lab-trace", `/t/${whole.traceId}`, (page) => page.getByRole("heading", { name: "Resource" }).waitFor()],
    ["lab-journey", `/journeys/${joined}?from=-24h`, (page) => page.getByText("both name the same message id").waitFor()],
    ["lab-doctor", "/doctor?from=-24h", (page) => page.getByRole("heading", { name: /carry no context/ }).first().waitFor()],
  ];
}

if (flag.startsWith("http")) await take(flag, await labScreens(flag));
else {
  const server = await startServer(process.env.THROUGHLINE_BIN);
  try {
    const shown = screens(await sendSystems(server)).filter(([name]) => forLooking || name !== "unknown");
    await take(server.url, shown);
  } finally {
    await server.stop();
  }
}
