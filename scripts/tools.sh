# Sourced by the other scripts: says what is missing and how to get it, installs what it may.

say() { printf '\n== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need_rust() {
    command -v cargo >/dev/null || die "Rust is missing: install rustup, then open a new shell; the version follows from rust-toolchain.toml"
    command -v cc >/dev/null || die "a C compiler is missing: on Debian, apt-get install gcc"
}

need_node() {
    command -v node >/dev/null || die "Node.js is missing: version 20.19 or newer is needed"
    node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
    ' || die "Node.js $(node --version) is too old: version 20.19 or newer is needed"
}

need_python() {
    command -v python3 >/dev/null || die "python3 is missing: on Debian, apt-get install python3 python3-venv"
}

need_chromium() {
    command -v chromium >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        die "Chromium is missing: on Debian, apt-get install chromium (as root); elsewhere put it on the PATH as chromium"
    say "installing Debian's chromium"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
}

# Installs a folder's npm packages when its lock file is newer than what is there.
npm_install() {
    if [ ! -e "$1/node_modules/.package-lock.json" ] || [ "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]; then
        say "installing npm packages of $1"
        npm --prefix "$1" ci --no-audit --no-fund --loglevel=error
        touch "$1/node_modules/.package-lock.json"
    fi
}

# Builds the page; what the build says is only shown when it fails.
build_page() {
    local said
    said=$(npm --prefix ui run build --silent 2>&1) || { echo "$said" >&2; return 1; }
}

# Where cargo puts what it builds.
target_dir() { printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"; }
