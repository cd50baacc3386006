/** Reads what a span says about its failure. Rule: OpenTelemetry semantic conventions, exceptions. */
import type { Attribute, SpanDetail } from "../api/types";

export interface Finding {
  title: string;
  message: string;
  /** The frames of the program's own code, then those of libraries. */
  own: string[];
  library: string[];
}

/** The failure of a span: its last exception, else its status message; `null` when it did not fail. */
export function findingOf(span: SpanDetail): Finding | null {
  const exception = span.events.findLast((e) => e.name === "exception");
  if (!exception) {
    return span.status.code === "error"
      ? { title: "", message: span.status.message, own: [], library: [] }
      : null;
  }
  const text = (key: string) => valueText(exception.attributes.find((a) => a.key === key));
  const lines = text("exception.stacktrace")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const frames = lines.filter(isFrame);
  return {
    title: text("exception.type"),
    message: text("exception.message") || span.status.message,
    own: (frames.length > 0 ? frames : lines).filter((line) => !isLibrary(line)),
    library: frames.filter(isLibrary),
  };
}

/** How a value is shown: text as it is, everything else as JSON. */
export function valueText(attribute: Pick<Attribute, "value"> | undefined): string {
  const value = attribute?.value;
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A stack line of Node, Java, .NET, Python, Go or Rust that names a place in code. */
function isFrame(line: string): boolean {
  return /^at |^File "|^in |:\d+(?::\d+)?\)?$|^\d+: /.test(line);
}

function isLibrary(line: string): boolean {
  return /node_modules|node:|site-packages|dist-packages|\/rustc\/|\/go\/pkg\/mod|\bjava(?:x)?\.|org\.springframework|\bsun\.|System\.|Microsoft\./.test(
    line,
  );
}
