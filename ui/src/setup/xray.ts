/** What to paste so that what speaks to AWS X-Ray speaks to this server. Pure. */

export interface XrayAddress {
  /** Host and port of the daemon's door, UDP and TCP; `null` when it is closed. */
  daemon: string | null;
  /** The X-Ray API: the door if it is open, else a path of this page's own port. */
  api: string;
}

/** Where X-Ray is, given its door and where this page is, with a slash at its end. */
export function xrayAddress(daemon: string | null, page: string): XrayAddress {
  return { daemon, api: daemon === null ? `${page}xray` : `http://${daemon}` };
}

/** AWS's programs refuse to start without these, so they are given any. */
const ANY_KEYS =
  "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1";

/** What each kind of program is told. */
export function xraySnippets({ daemon, api }: XrayAddress) {
  const endpoint = `export AWS_ENDPOINT_URL_XRAY=${api}`;
  const sdk = [
    `export AWS_XRAY_DAEMON_ADDRESS=${daemon}`,
    "# then start your program; nothing else changes",
  ];
  const cli = [
    endpoint,
    ANY_KEYS,
    "now=$(date +%s)",
    "aws xray get-trace-summaries --start-time $((now - 3600)) --end-time $now \\",
    "    --filter-expression 'service() { fault }'",
  ];
  const boto3 = [
    endpoint,
    ANY_KEYS,
    "python3 - <<'END'",
    "import boto3, datetime",
    "now = datetime.datetime.now(datetime.timezone.utc)",
    'pages = boto3.client("xray").get_paginator("get_trace_summaries")',
    "for page in pages.paginate(StartTime=now - datetime.timedelta(hours=1), EndTime=now):",
    '    print([summary["Id"] for summary in page["TraceSummaries"]])',
    "END",
  ];
  const collector = [
    "exporters:",
    "  awsxray:",
    `    endpoint: ${api}`,
    "    region: us-east-1",
    "    local_mode: true",
  ];
  const grafana = [
    "# Connections, Add new data source, X-Ray",
    `Custom endpoint: ${api}`,
    "Access key and secret: any",
    "Default region: any",
  ];
  return [
    ...(daemon === null ? [] : [{ key: "sdk", name: "X-Ray SDKs", text: sdk.join("\n") }]),
    { key: "cli", name: "AWS CLI", text: cli.join("\n") },
    { key: "boto3", name: "boto3", text: boto3.join("\n") },
    { key: "collector", name: "Collector", text: collector.join("\n") },
    { key: "grafana", name: "Grafana", text: grafana.join("\n") },
  ];
}
