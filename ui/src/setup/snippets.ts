/** What to paste into a program so that its spans arrive here. Pure: the doors come from /status. */
import type { Status } from "../api/types";

export interface Address {
  /** OTLP over HTTP, without a path: SDKs add `/v1/traces` themselves. */
  http: string;
  grpc: string | null;
}

/** Where this page was reached. */
export interface PagePlace {
  hostname: string;
  origin: string;
}

/** The OTLP addresses as seen from this browser. */
export function addresses(doors: Status["doors"], page: PagePlace): Address {
  const url = (name: string) => {
    const at = doorAt(doors, name, page);
    return at === null ? null : `http://${at}`;
  };
  return { http: url("otlp_http") ?? page.origin, grpc: url("otlp_grpc") };
}

/**
 * Host and port of a door, `null` when it is closed. A door bound to every interface or to loopback
 * is reached at the name this page was reached at.
 */
export function doorAt(
  doors: Status["doors"],
  name: string,
  page: Pick<PagePlace, "hostname">,
): string | null {
  const door = doors.find((d) => d.name === name);
  if (!door) return null;
  const at = /^(.*):(\d+)$/.exec(door.address);
  if (!at) return door.address;
  const host = (at[1] ?? "").replace(/^\[|\]$/g, "");
  const isOwn = ["", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"].includes(host);
  const shown = isOwn ? page.hostname : host;
  return `${shown.includes(":") && !shown.startsWith("[") ? `[${shown}]` : shown}:${at[2]}`;
}

export const LANGUAGES = ["node", "python", "java", "go", "rust", "dotnet"] as const;
export type Language = (typeof LANGUAGES)[number];

const COMMANDS: Record<Language, readonly string[]> = {
  node: [
    "npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node",
    "node --require @opentelemetry/auto-instrumentations-node/register app.js",
  ],
  python: [
    "pip install opentelemetry-distro opentelemetry-exporter-otlp",
    "opentelemetry-bootstrap -a install",
    "opentelemetry-instrument python app.py",
  ],
  java: ["java -javaagent:opentelemetry-javaagent.jar -jar app.jar"],
  go: [
    "go get go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
    "# in main: otlptracehttp.New(ctx) reads the variables above",
  ],
  rust: [
    'cargo add opentelemetry_sdk && cargo add opentelemetry-otlp --features "http-proto"',
    "# in main: SpanExporter::builder().with_http().build() reads the variables above",
  ],
  dotnet: [
    "dotnet add package OpenTelemetry.Exporter.OpenTelemetryProtocol",
    "dotnet add package OpenTelemetry.Extensions.Hosting",
    "# in Program.cs: AddOpenTelemetry().WithTracing(t => t.AddOtlpExporter())",
  ],
};

/** The three lines every SDK reads, and how the program is then started. */
export function snippet(language: Language, address: Address): string {
  return [
    "export OTEL_SERVICE_NAME=my-service",
    `export OTEL_EXPORTER_OTLP_ENDPOINT=${address.http}`,
    "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    "",
    ...COMMANDS[language],
  ].join("\n");
}

/** A request that sends one span that began `now` milliseconds after the epoch and took 42 ms. */
export function testSpan(nowMs: number, ids: { traceId: string; spanId: string }) {
  const start = BigInt(nowMs) * 1_000_000n;
  const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
  return {
    resourceSpans: [
      {
        resource: { attributes: [text("service.name", "setup-page")] },
        scopeSpans: [
          {
            scope: { name: "throughline.setup" },
            spans: [
              {
                traceId: ids.traceId,
                spanId: ids.spanId,
                name: "hello throughline",
                kind: 2,
                startTimeUnixNano: String(start),
                endTimeUnixNano: String(start + 42_000_000n),
                attributes: [text("greeting", "it works")],
                status: {},
              },
            ],
          },
        ],
      },
    ],
  };
}

/** The same as a command for a shell; it makes its own ids and time. */
export function curl(address: Address): string {
  const body = JSON.stringify(testSpan(0, { traceId: "TRACE", spanId: "SPAN" }))
    .replace('"TRACE"', `"'$(od -An -tx1 -N16 /dev/urandom | tr -d ' \\n')'"`)
    .replace('"SPAN"', `"'$(od -An -tx1 -N8 /dev/urandom | tr -d ' \\n')'"`)
    .replace('"startTimeUnixNano":"0"', `"startTimeUnixNano":"'$(date +%s)'000000000"`)
    .replace('"endTimeUnixNano":"42000000"', `"endTimeUnixNano":"'$(date +%s)'042000000"`)
    .replace("setup-page", "curl");
  return `curl -sS ${address.http}/v1/traces -H 'content-type: application/json' -d '${body}'`;
}

/** `count` random bytes as hex. */
export function randomHex(count: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(count));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
