// Takes the pictures of the documents: the screens that say most, in both themes, from invented but
// seeded systems. `node pictures.js DIR [--all]`; with --all every screen, for looking at changes.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startChromium } from "./chromium.js";
import { screens, sendSystems } from "./screens.js";
import { startServer } from "./server.js";

/** Those of the documents: few and not large, so that the repository stays small. */
const FEW = ["trace-logs-light", "map-light", "map-focus-dark", "traces-light", "trace-light", "trace-dark", "service-dark"];

const [folder, flag] = process.argv.slice(2);
const sizes = flag === "--all" ? [[1680, 945], [1280, 800]] : [[1280, 760]];
mkdirSync(folder, { recursive: true });
const server = await startServer(process.env.THROUGHLINE_BIN);
try {
  const sent = await sendSystems(server);
  for (const [width, height] of sizes) {
    const browser = await startChromium({ viewport: { width, height }, reducedMotion: "reduce" });
    const page = await browser.newPage();
    for (const [name, path, ready] of screens(sent)) {
      for (const theme of ["light", "dark"]) {
        if (flag !== "--all" && !FEW.includes(`${name}-${theme}`)) continue;
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await page.goto(`${server.url}${path}`);
        await ready(page);
        await page.waitForLoadState("networkidle");
        await page.evaluate(() => document.fonts.ready);
        const size = flag === "--all" ? `-${width}` : "";
        await page.screenshot({ path: join(folder, `shop-${name}${size}-${theme}.png`) });
      }
    }
    await browser.close();
  }
} finally {
  await server.stop();
}
