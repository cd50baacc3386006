/** One question to the API as state: asked again when what it depends on changes. */
import { ApiError, isAborted } from "../api/client";

export class Load<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(true);

  /**
   * Asks now and whenever the state read inside `ask` changes. The last answer stays while the next
   * is on its way, so nothing flickers. Returning `null` asks nothing.
   */
  constructor(ask: (signal: AbortSignal) => Promise<T> | null) {
    $effect(() => {
      const abort = new AbortController();
      const asked = ask(abort.signal);
      if (asked === null) {
        this.loading = false;
        this.value = null;
        return;
      }
      this.loading = true;
      asked.then(
        (value) => {
          if (abort.signal.aborted) return;
          this.value = value;
          this.error = null;
          this.loading = false;
        },
        (err: unknown) => {
          if (abort.signal.aborted || isAborted(err)) return;
          this.error =
            err instanceof ApiError ? err : new ApiError("the server does not answer", 0, null);
          this.value = null;
          this.loading = false;
        },
      );
      return () => abort.abort();
    });
  }
}
