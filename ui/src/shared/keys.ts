/** Keys that mean something on a screen must not be taken from someone who types. */

/** Whether an event comes from a place where text is written, also inside a shadow root. */
export function isTyping(event: Event): boolean {
  const target = event.composedPath()[0];
  return (
    target instanceof HTMLElement &&
    (target.matches("input, select, textarea") || target.isContentEditable)
  );
}

/** A key without Ctrl, Alt or the like, pressed outside of text. */
export function isPlainKey(event: KeyboardEvent): boolean {
  return !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event);
}
