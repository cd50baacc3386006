/** The worker that lays the map out, started before there is a map: its script loads meanwhile. */
import LayoutWorker from "./layout.worker?worker";

let spare: Worker | null = null;

export function prepareWorker(): void {
  spare ??= new LayoutWorker();
}

/** A worker of the caller's own, who ends it. */
export function takeWorker(): Worker {
  const taken = spare ?? new LayoutWorker();
  spare = null;
  return taken;
}
