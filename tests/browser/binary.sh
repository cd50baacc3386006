# What every command of this folder needs: node, Chromium, and the binary whose page is looked at.
# THROUGHLINE_PAGE names a folder as ui/dist to look at that page, in front of the same binary.
need_node
need_chromium
npm_install tests/browser
export THROUGHLINE_BIN="${THROUGHLINE_BIN:-$(target_dir)/debug/throughline}"
[ -x "$THROUGHLINE_BIN" ] || die "$THROUGHLINE_BIN is not there: cargo build --workspace, or name one in THROUGHLINE_BIN"
CHROMIUM=$(command -v chromium)
export CHROMIUM
