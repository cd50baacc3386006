// Serves a built page (`ui/dist`) in front of a running server, which answers everything else: so a
// page can be walked through before it is built into the binary. The policy is the server's own.
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
const OF_SERVER = /^\/(?:api|v1|xray|metrics|ready)(?:\/|$)/;

/** Gives `{ url, stop }`; `dist` is a folder, `server` the address of a running server. */
export async function servePage(dist, server) {
  const { headers } = await fetch(server);
  const policy = headers.get("content-security-policy") ?? "";
  const target = new URL(server);
  const http = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, "http://page");
    if (OF_SERVER.test(pathname)) {
      const asked = request(
        {
          host: target.hostname,
          port: target.port,
          path: req.url,
          method: req.method,
          headers: { ...req.headers, host: target.host, ...(req.headers.origin ? { origin: target.origin } : {}) },
        },
        (answer) => {
          res.writeHead(answer.statusCode, answer.headers);
          answer.pipe(res);
        },
      );
      asked.on("error", () => res.writeHead(502).end());
      res.on("close", () => asked.destroy());
      req.pipe(asked);
      return;
    }
    const file = join(dist, normalize(pathname));
    const found = extname(pathname) !== "" && file.startsWith(dist) && existsSync(file);
    const shown = found ? file : join(dist, "index.html");
    res.writeHead(200, {
      "content-type": TYPES[extname(shown)] ?? "application/octet-stream",
      "content-security-policy": policy,
      "cache-control": "no-cache",
    });
    if (found) return createReadStream(shown).pipe(res);
    // The server says where the page lives, and what it will ask for first.
    const own = await (await fetch(new URL(req.url, target))).text();
    const [head] = own.match(/<base [^>]*>(?:<link rel="preload" href="api[^>]*>)*/) ?? [""];
    res.end(readFileSync(shown, "utf8").replace(/<base [^>]*>/, head));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    stop: () => {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(resolve));
    },
  };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { url } = await servePage(process.argv[2], process.argv[3]);
  console.log(url);
}
