/**
 * The query box as an editor that completes: CodeMirror, loaded when the box is first entered.
 *
 * It lives in a shadow root, where its styles are sheets of the page's own code: a strict
 * Content-Security-Policy refuses `<style>` elements.
 */
import {
  acceptCompletion,
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  completionKeymap,
  completionStatus,
  moveCompletionSelection,
  selectedCompletionIndex,
  startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { Compartment, EditorState, Prec, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  EditorView,
  keymap,
  placeholder,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";

export interface EditorOptions {
  readonly parent: HTMLElement;
  readonly text: string;
  readonly cursor: number;
  readonly label: string;
  readonly hint: string;
  readonly complete: (text: string, cursor: number, signal: AbortSignal) => Promise<Offer>;
  readonly onchange: (text: string) => void;
  readonly onsubmit: () => void;
  readonly onleave: () => void;
}

/** What may be written from `from` on. */
export interface Offer {
  readonly from: number;
  readonly options: readonly { label: string; detail: string; insert: string; kind: string }[];
  /** Whether another question follows what is chosen. */
  readonly goesOn: boolean;
}

export interface Editor {
  set(text: string): void;
  describe(label: string, hint: string): void;
  focus(): void;
  destroy(): void;
}

const TOKEN =
  /(?<text>"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?)|(?<joint>\b(?:and|or|not|in|exists|order|by|limit|asc|desc|BEGINSWITH|CONTAINS)\b|&&|\|\|)|(?<number>\b\d[\w.]*)|(?<operator>[=!<>~]+)/gi;

const MARKS = {
  text: Decoration.mark({ class: "tl-text" }),
  joint: Decoration.mark({ class: "tl-joint" }),
  number: Decoration.mark({ class: "tl-number" }),
  operator: Decoration.mark({ class: "tl-operator" }),
};

const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = coloured(view.state.doc.toString());
    }
    update(update: ViewUpdate) {
      if (update.docChanged) this.decorations = coloured(update.state.doc.toString());
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

function coloured(text: string): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const match of text.matchAll(TOKEN)) {
    const kind = (Object.keys(MARKS) as (keyof typeof MARKS)[]).find((k) => match.groups?.[k]);
    if (kind) builder.add(match.index, match.index + match[0].length, MARKS[kind]);
  }
  return builder.finish();
}

const look = EditorView.theme({
  "&": { fontSize: "13px", color: "var(--ink)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": {
    fontFamily: "var(--mono)",
    lineHeight: "34px",
    overflowX: "auto",
    scrollbarWidth: "none",
  },
  ".cm-content": { padding: "0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-placeholder": { color: "var(--ink3)" },
  ".tl-text": { color: "var(--ok)" },
  ".tl-joint": { color: "var(--accent)", fontWeight: "600" },
  ".tl-number": { color: "var(--async)" },
  ".tl-operator": { color: "var(--ink2)" },
  ".cm-tooltip": {
    border: "1px solid var(--line2)",
    borderRadius: "10px",
    backgroundColor: "var(--raised)",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
    zIndex: "40",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    fontFamily: "var(--font)",
    fontSize: "13px",
    maxHeight: "320px",
    minWidth: "300px",
    padding: "5px",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": {
    display: "flex",
    alignItems: "baseline",
    gap: "16px",
    padding: "4px 9px",
    borderRadius: "6px",
    color: "var(--ink)",
    lineHeight: "20px",
  },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent-bg)",
    color: "var(--ink)",
  },
  ".cm-completionLabel": { flex: "1", fontWeight: "560" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)" },
  ".cm-completionDetail": { fontStyle: "normal", color: "var(--ink2)", fontSize: "12px" },
});

export function createEditor(options: EditorOptions): Editor {
  const root = options.parent.attachShadow({ mode: "open" });
  const described = new Compartment();
  const describe = (label: string, hint: string) => [
    EditorView.contentAttributes.of({
      "aria-label": label,
      spellcheck: "false",
      autocapitalize: "off",
      enterkeyhint: "search",
    }),
    placeholder(hint),
  ];

  async function source(context: CompletionContext): Promise<CompletionResult | null> {
    const abort = new AbortController();
    context.addEventListener("abort", () => abort.abort());
    const text = context.state.doc.toString();
    const offer = await options.complete(text, context.pos, abort.signal).catch(() => null);
    if (!offer || offer.options.length === 0) return null;
    return {
      from: offer.from,
      filter: false,
      options: offer.options.map(
        (o): Completion => ({
          label: o.label,
          detail: o.detail,
          type: o.kind,
          apply: (view, _completion, from, to) => {
            view.dispatch({
              changes: { from, to, insert: o.insert },
              selection: { anchor: from + o.insert.length },
            });
            if (offer.goesOn) setTimeout(() => startCompletion(view));
          },
        }),
      ),
    };
  }

  const view = new EditorView({
    root,
    parent: root as unknown as HTMLElement,
    state: EditorState.create({
      doc: options.text,
      selection: { anchor: Math.min(options.cursor, options.text.length) },
      extensions: [
        history(),
        closeBrackets(),
        colours,
        look,
        described.of(describe(options.label, options.hint)),
        autocompletion({
          override: [source],
          icons: false,
          // Enter sends what was typed, unless an option was chosen by the arrows.
          selectOnOpen: false,
          activateOnTyping: true,
          closeOnBlur: true,
          defaultKeymap: false,
        }),
        Prec.highest(keymap.of([{ key: "Tab", run: takeFirst }, ...completionKeymap])),
        keymap.of([
          { key: "Enter", run: doing(() => options.onsubmit()) },
          { key: "Escape", run: doing((v) => v.contentDOM.blur()) },
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        // One line: what is pasted keeps its words, not its lines.
        EditorState.transactionFilter.of((tr) =>
          tr.newDoc.lines > 1
            ? [tr, { changes: lineBreaks(tr.newDoc.toString()), sequential: true }]
            : tr,
        ),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onchange(update.state.doc.toString());
        }),
        EditorView.domEventHandlers({
          focus: (_event, v) => {
            if (completionStatus(v.state) === null) startCompletion(v);
          },
          blur: () => options.onleave(),
        }),
      ],
    }),
  });
  return {
    set(text) {
      if (text === view.state.doc.toString()) return;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: text },
        selection: { anchor: text.length },
      });
    },
    describe: (label, hint) => {
      view.dispatch({ effects: described.reconfigure(describe(label, hint)) });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** Tab takes the option that is chosen, or the first one; without options it leaves the box. */
function takeFirst(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  if (selectedCompletionIndex(view.state) === null) moveCompletionSelection(true)(view);
  return acceptCompletion(view);
}

/** A command that always takes its key. */
const doing = (act: (view: EditorView) => void) => (view: EditorView) => {
  act(view);
  return true;
};

function lineBreaks(text: string) {
  return [...text.matchAll(/\n/g)].map(({ index }) => ({
    from: index,
    to: index + 1,
    insert: " ",
  }));
}
