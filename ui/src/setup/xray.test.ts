import { expect, test } from "vitest";
import { doorAt } from "./snippets";
import { xrayAddress, xraySnippets } from "./xray";

const PAGE = "http://traces.lan:8900/";
const doors = [{ name: "xray", address: "0.0.0.0:2000" }];

test("programs are sent to the daemon's door", () => {
  const address = xrayAddress(doorAt(doors, "xray", { hostname: "traces.lan" }), PAGE);
  expect(address).toEqual({ daemon: "traces.lan:2000", api: "http://traces.lan:2000" });
  const texts = xraySnippets(address).map((s) => s.text);
  expect(texts[0]).toContain("AWS_XRAY_DAEMON_ADDRESS=traces.lan:2000\n");
  for (const text of texts) expect(text).toContain("traces.lan:2000");
});

test("without that door the API is still on the page's port, and SDKs are not sent anywhere", () => {
  const address = xrayAddress(doorAt([], "xray", { hostname: "traces.lan" }), PAGE);
  expect(address.api).toBe("http://traces.lan:8900/xray");
  const snippets = xraySnippets(address);
  expect(snippets.map((s) => s.key)).not.toContain("sdk");
  for (const { text } of snippets) expect(text).not.toContain("null");
});
