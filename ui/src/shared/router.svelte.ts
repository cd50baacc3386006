/**
 * The one home of the page's state: the URL. Components read `router.get(key)` and change it by
 * `router.go` (a step back undoes it) or `router.tune` (sliders and typing: no step back).
 */
import { base, type Scope } from "../api/client";
import {
  apiMoment,
  type Changes,
  type Key,
  parseRoute,
  patch,
  queryText,
  type Route,
  read,
  travelling,
  type Value,
} from "./url";

class Router {
  #url = $state.raw(new URL(location.href));
  #search = $derived(this.#url.searchParams);
  readonly route: Route = $derived(parseRoute(under(this.#url.pathname)));
  /** Grows when the user asks for fresh data without changing the URL. */
  refreshes = $state(0);

  constructor() {
    addEventListener("pagehide", () => this.#flush());
    addEventListener("popstate", () => {
      clearTimeout(this.#waiting);
      this.#waiting = undefined;
      this.#url = new URL(location.href);
    });
  }

  get<K extends Key>(key: K): Value<K> {
    return read(this.#search, key);
  }

  /** The whole address, also when the address bar is a moment behind. */
  get absolute(): string {
    return this.#url.href;
  }

  /** What every question to the API carries. */
  get scope(): Scope {
    return {
      from: apiMoment(this.get("from")),
      to: apiMoment(this.get("to")),
      environment: this.get("env"),
    };
  }

  /**
   * The address of a screen; the scope and unknown keys travel along. A query is in our own
   * language, whatever was chosen for typing, unless `changes` say otherwise.
   */
  href(path: string, changes: Changes = {}): string {
    const language: Changes = changes.q === undefined ? {} : { lang: "native" };
    const search = patch(travelling(this.#search), { ...language, ...changes });
    return new URL(path.replace(/^\//, ""), base).pathname + queryText(search);
  }

  /** The address of this screen with some keys changed. */
  hrefHere(changes: Changes): string {
    return this.#url.pathname + queryText(patch(this.#search, changes));
  }

  /** Goes to another screen. */
  open(path: string, changes: Changes = {}): void {
    this.#set(this.href(path, changes), false);
  }

  /** Like `open`, for a redirect: the step before is not worth going back to. */
  redirect(path: string, changes: Changes = {}): void {
    this.#set(this.href(path, changes), true);
  }

  /** Changes keys of this screen; going back undoes it. */
  go(changes: Changes): void {
    this.#set(this.hrefHere(changes), false);
  }

  /** Changes keys of this screen without a step in the history. */
  tune(changes: Changes): void {
    this.#set(this.hrefHere(changes), true);
  }

  /** Follows links inside the page without loading it again. */
  follow(event: MouseEvent): void {
    const link = (event.target as Element | null)?.closest?.("a");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) {
      return;
    }
    const url = new URL(link.href);
    if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return;
    event.preventDefault();
    this.#set(url.pathname + url.search, false);
  }

  #set(href: string, replace: boolean): void {
    const next = new URL(href, location.href);
    if (next.href === this.#url.href) return;
    if (replace) this.#replaceSoon();
    else {
      this.#flush();
      history.pushState(null, "", next);
    }
    this.#url = next;
  }

  // Browsers refuse more than a few changes of the address a second; a held key makes thirty. So the
  // first is written at once, and those that follow it closely are gathered.
  #waiting: ReturnType<typeof setTimeout> | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;

  #replaceSoon(): void {
    const pause = Math.max(0, this.#writtenMs + 250 - performance.now());
    this.#waiting ??= setTimeout(() => this.#flush(), pause);
  }

  /** Writes the address bar if the page is ahead of it. */
  #flush(): void {
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    history.replaceState(null, "", this.#url);
    this.#writtenMs = performance.now();
  }
}

function under(pathname: string): string {
  const prefix = base.pathname;
  return pathname.startsWith(prefix) ? `/${pathname.slice(prefix.length)}` : pathname;
}

export const router = new Router();
