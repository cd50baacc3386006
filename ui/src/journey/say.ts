/** How a message between two traces is said. Pure. */
import type { Join } from "../api/types";
import { formatDuration } from "../model/units";
import { type Message, t } from "../shared/messages";

/** How a join is drawn: what rests on an id is solid, on a likeness dashed, on a guess dotted. */
export type Stroke = "solid" | "dashed" | "dotted";

export function strokeOf(joinClass: string): Stroke {
  if (joinClass <= "E2" || joinClass === "user") return "solid";
  return joinClass <= "E3" ? "dashed" : "dotted";
}

/** The carrier and its queue, topic or stream: `kinesis orders`. */
export function viaOf({
  carrier,
  resource,
}: {
  carrier: string;
  resource?: string | null;
}): string {
  const name =
    carrier === "link" ? t("journey.link") : carrier === "user" ? t("journey.byHand") : carrier;
  return resource ? `${name} ${resource}` : name;
}

/** How long the message waited and where; a wait below zero is the clocks' difference. */
export function waitText(join: Pick<Join, "carrier" | "resource" | "waitNano">): string {
  if (join.waitNano === 0) return t("journey.atOnce", { via: viaOf(join) });
  return join.waitNano < 0
    ? t("journey.skew", { by: formatDuration(-join.waitNano) })
    : t("journey.waited", { wait: formatDuration(join.waitNano), via: viaOf(join) });
}

const CLASSES = ["E0", "E1", "E2", "E3", "E4", "E5", "user"] as const;

/** What the join rests on, in words; a class of a newer server is said as it is. */
export function howText(joinClass: string): string {
  const known = CLASSES.find((code) => code === joinClass);
  return known ? t(`journey.class.${known}`) : joinClass;
}

const SHARES = { by_order: true, together: true, unknown: true } as const;

/** What is particular about this delivery; an ordinary one has nothing. */
export function particulars(join: Join): string[] {
  const out: string[] = [];
  if (join.index != null) {
    const n = join.index + 1;
    const all = join.batchSize;
    if (all == null) out.push(t("journey.index", { n }));
    else if (all > 1) out.push(t("journey.batch", { n, all }));
  }
  if (join.attempt > 1) out.push(t("journey.attempt", { n: join.attempt }));
  if (join.moved) out.push(t("journey.moved"));
  if (join.replay) out.push(t("journey.replay"));
  if (join.failed) out.push(t("journey.failed"));
  if (!join.followed) out.push(t("journey.notFollowed"));
  if (join.share in SHARES) out.push(t(`journey.share.${join.share}` as Message));
  return out;
}

/** A number with its word: one trace, two traces. */
export function counted(word: "traces" | "messages" | "errors" | "refused", n: number): string {
  return t(n === 1 ? `journey.${word}.one` : `journey.${word}`, { n });
}

const REASONS = [
  "spans",
  "traces",
  "depth",
  "fan",
  "origins",
  "loop",
  "keys",
  "ambiguous",
] as const;

/** Why something was counted rather than followed; a reason of a newer server is said as it is. */
export function reasonText(reason: string): string {
  const known = REASONS.find((code) => code === reason);
  return known ? t(`journey.reason.${known}`) : reason;
}
