// Takes the pictures of the documents: every screen in both themes, from invented but seeded systems.
// `node pictures.js DIR [--all]`; with --all at two sizes and without loss, for looking at changes.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startChromium } from "./chromium.js";
import { screens, sendSystems } from "./screens.js";
import { startServer } from "./server.js";

/** Small enough for a repository, good enough to read the smallest letters. */
const QUALITY = 75;

const [folder, flag] = process.argv.slice(2);
const forLooking = flag === "--all";
const sizes = forLooking ? [[1680, 945], [1280, 800]] : [[1280, 800]];
mkdirSync(folder, { recursive: true });
const server = await startServer(process.env.THROUGHLINE_BIN);
try {
  const sent = await sendSystems(server);
  for (const [width, height] of sizes) {
    const browser = await startChromium({ viewport: { width, height }, reducedMotion: "reduce" });
    const page = await browser.newPage();
    const devtools = await page.context().newCDPSession(page);
    for (const [name, path, ready] of screens(sent)) {
      for (const theme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await page.goto(`${server.url}${path}`);
        await ready(page);
        await page.waitForLoadState("networkidle");
        await page.evaluate(() => document.fonts.ready);
        const file = join(folder, forLooking ? `${name}-${width}-${theme}` : `${name}-${theme}`);
        if (forLooking) await page.screenshot({ path: `${file}.png` });
        else {
          const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
          writeFileSync(`${file}.webp`, Buffer.from(data, "base64"));
        }
      }
    }
    await browser.close();
  }
} finally {
  await server.stop();
}
