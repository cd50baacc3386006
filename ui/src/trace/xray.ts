/**
 * Says a span in X-Ray's words when it came as a segment: what X-Ray has a name or a place for is
 * taken out of the attributes, the rest stays. Pure.
 */
import type { Attribute, SpanDetail } from "../api/types";
import { valueText } from "./exception";

const FLAGS = ["fault", "error", "throttle"] as const;
export type Flag = (typeof FLAGS)[number];

export interface XrayWords {
  type: "segment" | "subsegment";
  /** What ran it, such as `AWS::EC2::Instance`; empty when not said. */
  origin: string;
  /** `aws` or `remote` for a call; empty when not said. */
  namespace: string;
  flags: Flag[];
  isInProgress: boolean;
  /** Keys as X-Ray has them, without our prefix. */
  annotations: Attribute[];
  metadata: Metadata[];
  /** What we keep so that the document can be given back as it was. */
  raw: Metadata[];
  rest: Attribute[];
}

export interface Metadata {
  name: string;
  /** JSON, one member a line. */
  text: string;
}

const ANNOTATION = "annotation.";
const METADATA = "metadata.";
const RAW = new Set(["xray.extra", "xray.cause"]);
const SHOWN = new Set(["xray.type", "xray.namespace", ...FLAGS.map((flag) => `xray.${flag}`)]);

/** The words of a span that X-Ray would know, or `null` when it did not come from there. */
export function xrayWords(span: SpanDetail): XrayWords | null {
  const text = (key: string) => valueText(span.attributes.find((a) => a.key === key));
  const type = text("xray.type");
  if (type !== "segment" && type !== "subsegment") return null;
  const words: XrayWords = {
    type,
    // A subsegment shares the resource of its segment, yet only the segment says where it ran.
    origin: type === "segment" ? valueText(span.resource.find((a) => a.key === "xray.origin")) : "",
    namespace: text("xray.namespace"),
    flags: FLAGS.filter((flag) => text(`xray.${flag}`) === "true"),
    isInProgress: span.durationNano === null,
    annotations: [],
    metadata: [],
    raw: [],
    rest: [],
  };
  for (const attribute of span.attributes) {
    const { key } = attribute;
    if (key.startsWith(ANNOTATION)) {
      words.annotations.push({ ...attribute, key: key.slice(ANNOTATION.length) });
    } else if (key.startsWith(METADATA)) {
      words.metadata.push({ name: key.slice(METADATA.length), text: pretty(attribute) });
    } else if (RAW.has(key)) {
      words.raw.push({ name: key, text: pretty(attribute) });
    } else if (!SHOWN.has(key)) {
      words.rest.push(attribute);
    }
  }
  return words;
}

/** JSON in lines; what is no JSON stays as it is. */
function pretty(attribute: Attribute): string {
  const text = valueText(attribute);
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return indented(text);
}

/** Puts every member on a line without reading the values: JavaScript would round large numbers. */
function indented(json: string): string {
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return tokens.reduce((out, token, i) => {
    if (token === ":") return `${out}: `;
    if (token === ",") return `${out},${line()}`;
    if (token === "{" || token === "[") {
      depth += 1;
      return isClosing(tokens[i + 1]) ? out + token : out + token + line();
    }
    if (!isClosing(token)) return out + token;
    depth -= 1;
    const before = tokens[i - 1];
    return before === "{" || before === "[" ? out + token : out + line() + token;
  }, "");
}

const isClosing = (token: string | undefined) => token === "}" || token === "]";
