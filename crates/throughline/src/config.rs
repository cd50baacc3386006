//! The configuration of `serve`: defaults, then a TOML file, then the environment, then flags.
//!
//! Two steps: [`layers`] collects every setting as text with its origin; [`resolve`] gives it a
//! type. So a mistake is reported with the place where it was made, and `config show` is the list.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use throughline_server::{DoorAddress, ServerConfig};
use toml::de::{DeTable, DeValue};

use crate::bytes_and_times::{parse_duration, parse_size_bytes};
use crate::cli::ServeFlags;
use crate::failure::Failure;

/// One setting: its key in the file, the default, the flag and what it means.
struct Setting {
    key: &'static str,
    default: &'static str,
    flag: &'static str,
    meaning: &'static str,
}

const SETTINGS: [Setting; 16] = [
    setting("listen.http", "127.0.0.1:8900", "--listen", "the page, all APIs and OTLP"),
    setting("listen.otlp_grpc", "127.0.0.1:4317", "--otlp-grpc", "OTLP over gRPC"),
    setting("listen.otlp_http", "127.0.0.1:4318", "--otlp-http", "OTLP over HTTP"),
    setting("listen.xray", "127.0.0.1:2000", "--xray", "X-Ray's daemon: segments and its API"),
    setting("listen.allow_hosts", "", "--allow-host", "more host names, with commas between"),
    setting("store.directory", "", "--data", "where spans are kept"),
    setting("store.retention", "72h", "--retention", "remove older spans, or off"),
    setting(
        "store.retention_bytes",
        "off",
        "--retention-bytes",
        "remove the oldest beyond, or off",
    ),
    setting("store.allow_reset", "false", "--allow-reset", "let POST /api/v1/reset forget all"),
    setting("xray.account", "000000000000", "--xray-account", "account of X-Ray's answers"),
    setting("xray.region", "us-east-1", "", "region of X-Ray's ARNs for unsigned calls"),
    setting("xray.keys", "", "--xray-keys", "file of key ids and secrets; empty takes any call"),
    setting("xray.strict", "false", "--xray-strict", "refuse documents that AWS would refuse"),
    setting("log.format", "text", "--log-format", "text or json"),
    setting("log.filter", "info", "", "what is logged, such as info or throughline_server=debug"),
    setting("intake.body_bytes", "64MiB", "", "largest body, as sent and inflated"),
];

const fn setting(
    key: &'static str,
    default: &'static str,
    flag: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { key, default, flag, meaning }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A setting as collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layered {
    pub(crate) value: String,
    pub(crate) origin: Origin,
    pub(crate) meaning: &'static str,
}

/// All settings by key.
pub(crate) type Layers = BTreeMap<&'static str, Layered>;

/// What `serve` needs to know.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) server: ServerConfig,
    pub(crate) log_json: bool,
    pub(crate) log_filter: String,
}

/// Collects every setting. `environment` is a parameter so that tests own it.
pub(crate) fn layers(
    flags: &ServeFlags,
    environment: &BTreeMap<String, String>,
) -> Result<Layers, Failure> {
    let mut layers: Layers = SETTINGS
        .iter()
        .map(|s| {
            let value = s.default.to_owned();
            (s.key, Layered { value, origin: Origin::Default, meaning: s.meaning })
        })
        .collect();
    if let Some(path) = &flags.config {
        let text = std::fs::read_to_string(path)
            .map_err(|err| Failure::Usage(format!("cannot read {}: {err}", path.display())))?;
        read_file(path, &text, &mut layers)?;
    }
    read_environment(environment, &mut layers)?;
    read_flags(flags, &mut layers);
    let directory = layers.get_mut("store.directory").expect("the table has this key");
    if directory.value.is_empty()
        && let Some(default) = default_directory(environment)
    {
        directory.value = default.display().to_string();
    }
    Ok(layers)
}

fn read_file(path: &Path, text: &str, layers: &mut Layers) -> Result<(), Failure> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|err| {
        let line = err.span().map_or(1, |span| line_of(span.start));
        Failure::Usage(format!("{}:{line}: {}", path.display(), err.message()))
    })?;
    for (section, content) in table.get_ref() {
        let line = line_of(section.span().start);
        let place = format!("{}:{line}", path.display());
        let DeValue::Table(content) = content.get_ref() else {
            let hint = nearest_hint(section.get_ref());
            let text = format!(
                "{place}: expected sections such as [listen], got {section:?}{hint}",
                section = section.get_ref()
            );
            return Err(Failure::Usage(text));
        };
        for (key, value) in content {
            let line = line_of(key.span().start);
            let place = format!("{}:{line}", path.display());
            let name = format!("{}.{}", section.get_ref(), key.get_ref());
            let Some((_, layered)) = layers.iter_mut().find(|(known, _)| **known == name) else {
                let hint = nearest_hint(&name);
                return Err(Failure::Usage(format!("{place}: there is no setting {name}{hint}")));
            };
            let Some(value) = plain(value.get_ref()) else {
                let text = format!("{place}: {name}: expected text, a number, true or false");
                return Err(Failure::Usage(text));
            };
            layered.value = value;
            layered.origin = Origin::File { path: path.to_owned(), line };
        }
    }
    Ok(())
}

/// A value of the file as text; a list becomes words with commas between.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|i| plain(i.get_ref())).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

fn read_environment(
    environment: &BTreeMap<String, String>,
    layers: &mut Layers,
) -> Result<(), Failure> {
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix("THROUGHLINE_") else { continue };
        let wanted = rest.to_ascii_lowercase();
        let mut known = layers.iter_mut();
        if let Some((_, layered)) = known.find(|(key, _)| key.replace('.', "_") == wanted) {
            layered.value.clone_from(value);
            layered.origin = Origin::Environment(name.clone());
            continue;
        }
        // A misspelt setting must not pass in silence; names with no section of ours are others'.
        let section = wanted.split('_').next().unwrap_or_default();
        if layers.keys().any(|key| key.split('.').next() == Some(section)) {
            let hint = nearest_hint(&wanted);
            return Err(Failure::Usage(format!("{name}: there is no such setting{hint}")));
        }
    }
    Ok(())
}

fn read_flags(flags: &ServeFlags, layers: &mut Layers) {
    let hosts = (!flags.allow_host.is_empty()).then(|| flags.allow_host.join(","));
    let given = [
        ("listen.http", flags.listen.clone()),
        ("listen.otlp_grpc", flags.otlp_grpc.clone()),
        ("listen.otlp_http", flags.otlp_http.clone()),
        ("listen.xray", flags.xray.clone()),
        ("listen.allow_hosts", hosts),
        ("store.directory", flags.data.as_ref().map(|path| path.display().to_string())),
        ("store.retention", flags.retention.clone()),
        ("store.retention_bytes", flags.retention_bytes.clone()),
        ("store.allow_reset", flags.allow_reset.then(|| "true".to_owned())),
        ("xray.account", flags.xray_account.clone()),
        ("xray.keys", flags.xray_keys.as_ref().map(|path| path.display().to_string())),
        ("xray.strict", flags.xray_strict.then(|| "true".to_owned())),
        ("log.format", flags.log_format.clone()),
    ];
    for (key, value) in given {
        let Some(value) = value else { continue };
        let layered = layers.get_mut(key).expect("the table has this key");
        layered.value = value;
        layered.origin = Origin::Flag(flag_of(key));
    }
}

/// The flag of a key.
pub(crate) fn flag_of(key: &str) -> &'static str {
    SETTINGS.iter().find(|s| s.key == key).map(|s| s.flag).unwrap_or_default()
}

/// Gives every setting its type.
pub(crate) fn resolve(layers: &Layers) -> Result<Resolved, Failure> {
    let value = |key: &str| layers[key].value.as_str();
    let wrong = |key: &str, expected: &str| {
        let Layered { value, origin, .. } = &layers[key];
        Failure::Usage(format!("{key} ({origin}): expected {expected}, got {value:?}"))
    };
    let door = |key: &str| {
        let expected = "an address such as 127.0.0.1:8900, or off";
        parse_door(value(key)).ok_or_else(|| wrong(key, expected))
    };
    let directory = value("store.directory");
    if directory.is_empty() {
        let text = "no place for the spans: say one with --data DIR";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut server = ServerConfig::on_free_ports(PathBuf::from(directory));
    server.http = door("listen.http")?;
    server.otlp_grpc = door("listen.otlp_grpc")?;
    server.otlp_http = door("listen.otlp_http")?;
    server.xray = door("listen.xray")?;
    let hosts = value("listen.allow_hosts").split(',').map(str::trim);
    server.allowed_hosts = hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect();
    server.retention = match value("store.retention") {
        "off" => None,
        text => {
            let expected = "a time such as 72h or 30d, or off";
            Some(parse_duration(text).ok_or_else(|| wrong("store.retention", expected))?)
        }
    };
    server.retention_size_bytes_max = match value("store.retention_bytes") {
        "off" => None,
        text => {
            let expected = "a size such as 10GB, or off";
            let size = parse_size_bytes(text);
            Some(size.ok_or_else(|| wrong("store.retention_bytes", expected))?)
        }
    };
    server.allow_reset = value("store.allow_reset")
        .parse()
        .map_err(|_| wrong("store.allow_reset", "true or false"))?;
    let account = value("xray.account");
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("xray.account", "twelve digits"));
    }
    account.clone_into(&mut server.xray_api.account_id);
    value("xray.region").clone_into(&mut server.xray_api.region);
    server.xray_api.strict_documents =
        value("xray.strict").parse().map_err(|_| wrong("xray.strict", "true or false"))?;
    server.xray_api.keys = match value("xray.keys") {
        "" => BTreeMap::new(),
        path => {
            let text = std::fs::read_to_string(path)
                .map_err(|err| Failure::Usage(format!("xray.keys: cannot read {path}: {err}")))?;
            let expected = "a file with a key id and a secret on each line";
            parse_keys(&text).ok_or_else(|| wrong("xray.keys", expected))?
        }
    };
    let body = parse_size_bytes(value("intake.body_bytes"))
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| (1..=1 << 30).contains(size));
    let body = body.ok_or_else(|| wrong("intake.body_bytes", "a size up to 1GiB"))?;
    server.limits.body_size_bytes_max = body;
    server.limits.inflated_size_bytes_max = body;
    // One body of the largest size, as sent and inflated, must fit.
    server.limits.intake_size_bytes_max = server.limits.intake_size_bytes_max.max(body * 4);
    let log_json = match value("log.format") {
        "text" => false,
        "json" => true,
        _ => return Err(wrong("log.format", "text or json")),
    };
    let log_filter = value("log.filter").to_owned();
    if tracing_subscriber::EnvFilter::try_new(&log_filter).is_err() {
        return Err(wrong("log.filter", "a level or a list such as info,throughline_server=debug"));
    }
    Ok(Resolved { server, log_json, log_filter })
}

/// A key id and its secret on each line; empty lines and those that begin with `#` say nothing. A
/// file without a key is a mistake: it would open what was to be shut.
fn parse_keys(text: &str) -> Option<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (id, secret, more) = (words.next()?, words.next()?, words.next());
        if more.is_some() {
            return None;
        }
        keys.insert(id.to_owned(), secret.to_owned());
    }
    Some(keys).filter(|keys| !keys.is_empty())
}

fn parse_door(text: &str) -> Option<DoorAddress> {
    match text {
        "off" => Some(DoorAddress::Off),
        _ => {
            let address: Option<SocketAddr> = text.parse().ok();
            let address = address.or_else(|| text.to_socket_addrs().ok()?.next());
            address.map(DoorAddress::Listen)
        }
    }
}

fn default_directory(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let variable = |name: &str| environment.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // Rule: XDG base directory specification; a path that is not absolute is ignored.
    if let Some(path) = variable("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
        return Some(path.join("throughline"));
    }
    let home = variable("HOME")?;
    Some(if cfg!(target_os = "macos") {
        home.join("Library/Application Support/throughline")
    } else {
        home.join(".local/share/throughline")
    })
}

/// `; did you mean x?` for the known key with the fewest letters to change, when it is near.
fn nearest_hint(name: &str) -> String {
    let name = name.replace('.', "_");
    let distance = |key: &str| {
        let whole = edits(&name, &key.replace('.', "_"));
        // A key without its section is a common slip.
        let last = key.rsplit('.').next().unwrap_or(key);
        whole.min(edits(&name, last))
    };
    let nearest = SETTINGS.iter().map(|s| (distance(s.key), s.key)).min();
    match nearest {
        Some((edits, key)) if edits <= name.len() / 3 + 1 => format!("; did you mean {key}?"),
        _ => "; `throughline config show` lists all".to_owned(),
    }
}

/// How many letters to add, remove or change: Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let home = [("HOME", "/users/ada")];
        home.iter().chain(pairs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn with_file(text: &str) -> Result<Layers, String> {
        let mut layers = layers(&ServeFlags::default(), &environment(&[])).unwrap();
        match read_file(Path::new("t.toml"), text, &mut layers) {
            Ok(()) => Ok(layers),
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    fn check_error(text: &str, expected: &str) {
        let err = with_file(text).unwrap_err();
        assert!(err.contains(expected), "{err}");
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let env = environment(&[
            ("THROUGHLINE_LISTEN_HTTP", "127.0.0.1:1"),
            ("THROUGHLINE_STORE_RETENTION", "1h"),
            ("THROUGHLINE_URL", "http://elsewhere"),
        ]);
        let flags = ServeFlags { listen: Some("off".to_owned()), ..ServeFlags::default() };
        let layers = layers(&flags, &env).unwrap();
        assert_eq!(layers["listen.http"].value, "off");
        assert_eq!(layers["listen.http"].origin, Origin::Flag("--listen"));
        let name = "THROUGHLINE_STORE_RETENTION".to_owned();
        assert_eq!(layers["store.retention"].origin, Origin::Environment(name));
        assert_eq!(layers["store.directory"].value, "/users/ada/.local/share/throughline");
        let resolved = resolve(&layers).unwrap();
        assert_eq!(resolved.server.http, DoorAddress::Off);
        assert_eq!(resolved.server.retention, parse_duration("1h"));
    }

    #[test]
    fn a_file_is_read_with_its_lines() {
        let layers = with_file("[store]\n\nretention = \"5d\"\nallow_reset = true\n").unwrap();
        assert_eq!(layers["store.retention"].value, "5d");
        let origin = Origin::File { path: "t.toml".into(), line: 3 };
        assert_eq!(layers["store.retention"].origin, origin);
        assert!(resolve(&layers).unwrap().server.allow_reset);
        let hosts = with_file("[listen]\nallow_hosts = [\"a\", \"b\"]").unwrap();
        assert_eq!(resolve(&hosts).unwrap().server.allowed_hosts, ["a", "b"]);
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        check_error("[store]\nretentoin = \"5d\"", "t.toml:2: there is no setting store.retentoin");
        check_error("[store]\nretentoin = \"5d\"", "did you mean store.retention?");
        check_error("retention = \"5d\"", "did you mean store.retention?");
        check_error("[listen\nhttp = 1", "t.toml:1:");
        check_error("[store]\nretention = 1.5", "expected text");
        let env = environment(&[("THROUGHLINE_STORE_RETENTOIN", "1h")]);
        assert!(layers(&ServeFlags::default(), &env).is_err());
    }

    #[test]
    fn keys_stand_one_on_a_line() {
        let keys = parse_keys("# of the team\n\nAKID SECRET\n OTHER\tX \n").unwrap();
        assert_eq!(keys["AKID"], "SECRET");
        assert_eq!(keys["OTHER"], "X");
        for text in ["", "# none", "AKID", "A B C"] {
            assert!(parse_keys(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_origin() {
        let layers = with_file("[store]\nretention = \"soon\"").unwrap();
        let Err(Failure::Usage(text)) = resolve(&layers) else { panic!("it was taken") };
        assert!(text.starts_with("store.retention (t.toml:2): expected a time"), "{text}");
    }
}
