import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/**
 * Assets are named by their hash and found relative to `<base href>`, so the same `dist` can be
 * hosted under any path. Nothing is inlined: a strict Content-Security-Policy refuses `data:`.
 */
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/v1", "/xray"].map((path) => [path, "http://127.0.0.1:8900"]),
    ),
  },
});
