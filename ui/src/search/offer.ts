/** Asks the server for the words that may come next in a query. */
import { attributeKeys, attributeValues, type Scope } from "../api/client";
import type { AttributeKey } from "../api/types";
import { literal, quotedKey } from "../model/query";
import { formatCount } from "../model/units";
import type { Language } from "../model/xray-filter";
import { t } from "../shared/messages";
import {
  FIELDS,
  KNOWN_VALUES,
  OPERATORS,
  type Wanted,
  wantedAt,
  XRAY_OPERATORS,
  XRAY_WORDS,
} from "./complete";
import type { Offer } from "./editor";

const OPTIONS_MAX = 50;
const KEYS_MAX = 500;

type Option = Offer["options"][number];

/** Keys change slowly: asked for once for as long as the page is open. */
let keys: Promise<AttributeKey[]> | null = null;

function knownKeys(): Promise<AttributeKey[]> {
  keys ??= attributeKeys(KEYS_MAX, new AbortController().signal).catch(() => {
    keys = null;
    return [];
  });
  return keys;
}

export async function offer(
  text: string,
  cursor: number,
  language: Language,
  scope: Scope,
  signal: AbortSignal,
): Promise<Offer> {
  const wanted = wantedAt(text, cursor, language);
  const options = await optionsFor(wanted, language, scope, signal);
  return { from: wanted.from, options, goesOn: wanted.what !== "nothing" };
}

async function optionsFor(
  wanted: Wanted,
  language: Language,
  scope: Scope,
  signal: AbortSignal,
): Promise<Option[]> {
  const typed = wanted.typed.toLowerCase();
  switch (wanted.what) {
    case "field":
      return language === "xray" ? xrayFields(typed) : fields(typed);
    case "operator":
      return operators(language, wanted.key, typed);
    case "value":
      return values(wanted, language, scope, signal);
    case "joint":
      return joints(language, typed);
    default:
      return [];
  }
}

async function fields(typed: string): Promise<Option[]> {
  const own = FIELDS.map(([name, detail]) => option(name, detail, `${name} `, "keyword"));
  const attributes = (await knownKeys()).map(({ key, scope, spans }) =>
    option(
      key,
      t("complete.key", { scope, n: formatCount(spans) }),
      `${quotedKey(key)} `,
      "property",
    ),
  );
  return matching([...own, ...unique(attributes)], typed);
}

async function xrayFields(typed: string): Promise<Option[]> {
  const own = XRAY_WORDS.map(([name, detail]) => {
    const insert = name.endsWith("(") ? `${name}"` : name.endsWith(".") ? name : `${name} `;
    return option(name, detail, insert, "keyword");
  });
  const annotations = (await knownKeys())
    .filter(({ key, scope }) => scope === "span" && /^\w+$/.test(key))
    .map(({ key }) => option(`annotation.${key}`, "", `annotation.${key} `, "property"));
  return matching([...own, ...annotations], typed);
}

function operators(language: Language, key: string, typed: string): Option[] {
  if (language === "xray") {
    return matching(
      XRAY_OPERATORS.map((o) => option(o, "", `${o} `, "operator")),
      typed,
    );
  }
  const list = key === "duration" ? OPERATORS.slice(2, 6) : OPERATORS;
  return matching(
    list.map((o) =>
      option(
        o,
        t(`complete.op.${o}`),
        o === "in" ? "in (" : o === "exists" ? "exists " : `${o} `,
        "operator",
      ),
    ),
    typed,
  );
}

async function values(
  wanted: Wanted,
  language: Language,
  scope: Scope,
  signal: AbortSignal,
): Promise<Option[]> {
  const end = language === "xray" && wanted.key === "service" ? '") ' : " ";
  const known = KNOWN_VALUES[wanted.key];
  if (known) {
    return matching(
      known.map((v) => option(v, "", `${v}${end}`, "constant")),
      wanted.typed.toLowerCase(),
    );
  }
  const key = wanted.key.replace(/^annotation\.|^(?:span|resource|event|link)\./, "");
  const found = await attributeValues(key, wanted.typed, OPTIONS_MAX, scope, signal);
  return found.map(({ value, type, spans }) =>
    option(
      value,
      t("complete.spans", { n: formatCount(spans) }),
      end === " "
        ? `${type === "string" ? literal(value) : value} `
        : `${literal(value).slice(0, -1)}${end}`,
      "text",
    ),
  );
}

function joints(language: Language, typed: string): Option[] {
  const words =
    language === "xray"
      ? ["AND", "OR"]
      : ["and", "or", "order by duration desc", "order by start asc", "limit"];
  return matching(
    words.map((w) => option(w, "", `${w} `, "keyword")),
    typed,
  );
}

const option = (label: string, detail: string, insert: string, kind: string): Option => ({
  label,
  detail,
  insert,
  kind,
});

/** A key may stand on spans and on resources: the first, most used one speaks for all. */
function unique(options: readonly Option[]): Option[] {
  const seen = new Set<string>();
  return options.filter(({ label }) => !seen.has(label) && seen.add(label));
}

/** Those that begin with what was typed, then those that hold it. */
function matching(options: readonly Option[], typed: string): Option[] {
  const low = (o: Option) => o.label.toLowerCase();
  const starts = options.filter((o) => low(o).startsWith(typed));
  const holds = options.filter((o) => !low(o).startsWith(typed) && low(o).includes(typed));
  return [...starts, ...holds].slice(0, OPTIONS_MAX);
}
