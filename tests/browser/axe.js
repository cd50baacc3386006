// Asks axe-core what it finds on the page as it is. Rule: WCAG 2.2 A and AA, and axe's best practices.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Every violation as a line: rule, how often, and where first. */
export async function violations(page) {
  await page.evaluate(SOURCE);
  const found = await page.evaluate(
    async (values) => (await globalThis.axe.run(document, { runOnly: { type: "tag", values } })).violations,
    TAGS,
  );
  return found.map(
    ({ id, nodes }) => `${id} ${nodes.length}×: ${nodes[0].target.join(" ")} ${nodes[0].html.slice(0, 160)}`,
  );
}
