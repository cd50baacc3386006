import type { Difference } from "../api/types";

/**
 * The differences in their order, those that count the same inside and outside as one group: a host
 * and its service, a route and its operation. Pure.
 */
export function alike(differences: readonly Difference[]): Difference[][] {
  const groups = new Map<string, Difference[]>();
  for (const difference of differences) {
    const key = `${difference.inside} ${difference.outside}`;
    const group = groups.get(key);
    if (group) group.push(difference);
    else groups.set(key, [difference]);
  }
  return [...groups.values()];
}
