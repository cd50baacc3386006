import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  test: {
    // Nothing here waits; on a machine that builds, computing alone may take this long.
    testTimeout: 60_000,
    include: ["src/**/*.test.ts"],
    environment: "node",
    css: true,
  },
});
