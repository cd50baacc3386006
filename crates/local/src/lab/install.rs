//! What the workshops need from npm and PyPI, installed once into a cache folder, from lock files.
//!
//! In:   the folders of `labs/` that have a lock file, or a `requirements.txt` that pins everything.
//! Out:  a [`Toolbox`].
//! Rule: a folder is named by the digest of what it is made of, and gets its name when it is whole. So an
//!       interrupted installation is no installation, and two at once do not meet. No package's own script is run.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::programs::Run;
use super::report::{Line, Say};
use super::{LabError, files};
use crate::ids;
use crate::lambda::LayerMapping;

/// Layers of Splunk's account, in any region and version.
const SPLUNK_LAYERS: &str = "arn:aws:lambda:*:254067382080:layer:splunk-apm*";
/// A slow network and a slow disk.
const INSTALL_SECONDS_MAX: u64 = 900;

/// What was installed, and how the local cloud is told of it.
#[derive(Clone, Debug)]
pub struct Toolbox {
    /// The folder of the workshop's `sls`: a script, for `PATH`.
    pub bin: PathBuf,
    /// For [`crate::lambda::LambdaConfig::node_runtime`].
    pub node_runtime: PathBuf,
    /// For [`crate::lambda::LambdaConfig::layers`].
    pub layers: Vec<LayerMapping>,
}

/// `$XDG_CACHE_HOME/throughline/labs`, or the same below `~/.cache`. `None`: no home folder is known.
pub fn default_cache() -> Option<PathBuf> {
    let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")))?;
    Some(caches.join("throughline/labs"))
}

/// Whether [`toolbox`] would find everything there.
pub fn is_installed(cache: &Path) -> bool {
    ["tools", "runtime", "layer"].into_iter().all(|folder| place_of(cache, folder).is_dir())
}

/// Installs what the Kinesis lab needs, unless it is there: the workshop's command, `aws-sdk` v2, and the layer, whose
/// spans go to `otlp_http` (`http://127.0.0.1:4318`).
pub async fn toolbox(
    cache: &Path,
    otlp_http: &str,
    say: &mut impl Say,
) -> Result<Toolbox, LabError> {
    let tools = installed(cache, "tools", say).await?;
    let runtime = installed(cache, "runtime", say).await?;
    let layer = installed(cache, "layer", say).await?;
    let layer = layer_for(cache, &layer, otlp_http)?;
    let layers = vec![LayerMapping { arn: SPLUNK_LAYERS.to_owned(), path: layer }];
    Ok(Toolbox { bin: tools, node_runtime: runtime, layers })
}

/// What AWS's Python runtime brings along, `boto3`: for functions in Python. The workshops have none, so what keeps it
/// from being installed is said and no error.
pub async fn python_runtime(cache: &Path, say: &mut impl Say) -> Option<PathBuf> {
    match installed(cache, "python", say).await {
        Ok(place) => Some(place.join(PACKAGES)),
        Err(err) => {
            say.say(Line::Note(&format!("functions in Python will find no boto3: {err}")));
            None
        }
    }
}

/// Where [`python_runtime`] is, if it was installed.
pub fn python_runtime_there(cache: &Path) -> Option<PathBuf> {
    Some(place_of(cache, "python").join(PACKAGES)).filter(|place| place.is_dir())
}

/// Where a folder of `labs/` is installed. Other files or locks have another place.
fn place_of(cache: &Path, folder: &str) -> PathBuf {
    cache.join(format!("{}-{}", folder.replace('/', "-"), files::digest(folder)))
}

/// The packages of a folder of `labs/`, installed beside its files.
pub(super) async fn installed(
    cache: &Path,
    folder: &str,
    say: &mut impl Say,
) -> Result<PathBuf, LabError> {
    let place = place_of(cache, folder);
    if place.is_dir() {
        return Ok(place);
    }
    let staged = place.with_extension(format!("part{:x}", ids::random_u64()));
    let outcome = install(folder, &staged, say).await;
    let outcome = outcome.and_then(|()| match fs::rename(&staged, &place) {
        // Somebody else was faster, with the same.
        Err(_) if place.is_dir() => fs::remove_dir_all(&staged).map_err(LabError::io(&staged)),
        other => other.map_err(LabError::io(&place)),
    });
    if let Err(err) = outcome {
        let _ = fs::remove_dir_all(&staged);
        return Err(err);
    }
    Ok(place)
}

/// Where the packages of a Python folder are, beside its files.
pub(super) const PACKAGES: &str = "packages";

async fn install(folder: &str, staged: &Path, say: &mut impl Say) -> Result<(), LabError> {
    files::write(folder, staged)?;
    if staged.join("requirements.txt").is_file() {
        return install_python(folder, staged, say).await;
    }
    let shown = format!("npm ci (labs/{folder})");
    say.say(Line::Note(&format!("installing what labs/{folder} needs, this once")));
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    command.current_dir(staged);
    let run = Run { shown: &shown, command, seconds_max: INSTALL_SECONDS_MAX };
    run.wait(say).await.map(drop)
}

/// Wheels alone, so that no package's own script is run; all are named, so that none brings others along.
async fn install_python(folder: &str, staged: &Path, say: &mut impl Say) -> Result<(), LabError> {
    let shown = format!("pip install (labs/{folder})");
    say.say(Line::Note(&format!("installing what labs/{folder} needs, this once")));
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command.args(["--no-deps", "--only-binary=:all:", "--no-compile"]);
    command.args(["--requirement", "requirements.txt", "--target", PACKAGES]);
    command.current_dir(staged);
    let run = Run { shown: &shown, command, seconds_max: INSTALL_SECONDS_MAX };
    run.wait(say).await.map(drop)
}

/// What stands at `/opt`: our wrapper, the installed packages, and where spans go.
fn layer_for(cache: &Path, installed: &Path, otlp_http: &str) -> Result<PathBuf, LabError> {
    let safe = otlp_http.chars().all(|c| c.is_ascii_alphanumeric() || ":/._-[]".contains(c));
    if !safe {
        return Err(LabError::Options(format!("{otlp_http:?} is no address of an OTLP door")));
    }
    let port: String = otlp_http.chars().filter(char::is_ascii_alphanumeric).collect();
    let place = cache.join(format!("opt-{}-{port}", files::digest("layer")));
    if place.is_dir() {
        return Ok(place);
    }
    let staged = cache.join(format!("opt.part{:x}", ids::random_u64()));
    let modules = staged.join("nodejs");
    fs::create_dir_all(&modules).map_err(LabError::io(&modules))?;
    files::write("layer", &staged)?;
    let settings = staged.join("settings");
    let text =
        format!("OTEL_EXPORTER_OTLP_ENDPOINT=\"${{OTEL_EXPORTER_OTLP_ENDPOINT:-{otlp_http}}}\"\n");
    fs::write(&settings, text).map_err(LabError::io(&settings))?;
    let link = modules.join("node_modules");
    std::os::unix::fs::symlink(installed.join("node_modules"), &link)
        .map_err(LabError::io(&link))?;
    match fs::rename(&staged, &place) {
        Err(_) if place.is_dir() => fs::remove_dir_all(&staged).map_err(LabError::io(&staged))?,
        other => other.map_err(LabError::io(&place))?,
    }
    Ok(place)
}

/// Says that a program is missing before anything needs it.
pub(super) fn need(program: &'static str, hint: &'static str) -> Result<(), LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if found { Ok(()) } else { Err(LabError::Missing { program, hint }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_knows_where_its_spans_go() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("packages");
        fs::create_dir_all(packages.join("node_modules/uuid")).unwrap();
        let first = layer_for(dir.path(), &packages, "http://127.0.0.1:4318").unwrap();
        let other = layer_for(dir.path(), &packages, "http://127.0.0.1:40001").unwrap();
        assert_ne!(first, other);
        assert_eq!(first, layer_for(dir.path(), &packages, "http://127.0.0.1:4318").unwrap());
        assert!(first.join("nodejs/node_modules/uuid").is_dir());
        assert!(first.join("nodejs-otel-handler").is_file());
        let settings = fs::read_to_string(other.join("settings")).unwrap();
        assert!(settings.contains(":-http://127.0.0.1:40001}"), "{settings}");
    }

    #[test]
    fn an_address_is_never_a_script() {
        let dir = tempfile::tempdir().unwrap();
        for address in ["http://x$(id)", "http://x\"", "http://x;id"] {
            assert!(layer_for(dir.path(), dir.path(), address).is_err(), "{address}");
        }
    }
}
