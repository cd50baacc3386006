/** What this browser remembers. Storage may be full or forbidden; the page then works without. */

const PREFIX = "throughline.";

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // Nothing depends on it being kept.
  }
}

/** A remembered JSON value that passes `isValid`, or the fallback. */
export function recallJson<T>(
  key: string,
  isValid: (value: unknown) => value is T,
  fallback: T,
): T {
  const stored = recall(key);
  if (stored === null) return fallback;
  try {
    const value: unknown = JSON.parse(stored);
    return isValid(value) ? value : fallback;
  } catch {
    return fallback;
  }
}
