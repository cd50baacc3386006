//! What a function sees at `/opt`: its layers, laid over each other.
//!
//! In:   the folders of its layers, in their order.
//! Out:  one folder, and a way to have it at `/opt`: a mount namespace where the kernel allows one, and otherwise a
//!       copy whose scripts name the folder itself.
//! Rule: AWS Lambda developer guide, "Packaging layers": later layers cover earlier ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::ids;

/// Scripts and settings at the top of a layer are rewritten when there is no mount; a larger file is no script.
const REWRITE_BYTES_MAX: u64 = 65_536;
/// Deeper than any layer.
const DEPTH_MAX: usize = 64;

/// How `/opt` comes to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// `unshare` with these flags, then a bind mount.
    Namespace(&'static [&'static str]),
    /// Paths are rewritten.
    Rewrite,
}

/// Finds out once what the kernel allows.
#[derive(Debug, Default)]
pub(crate) struct Mounting {
    found: OnceCell<Mount>,
}

impl Mounting {
    /// The best way there is. `interpreters` below `/opt` would be hidden by a mount, so then there is none.
    pub(crate) async fn way(&self, allowed: bool, hidden: &[&Path]) -> Mount {
        let below_opt =
            |path: &&Path| fs::canonicalize(path).is_ok_and(|path| path.starts_with("/opt"));
        if !allowed || hidden.iter().any(below_opt) {
            return Mount::Rewrite;
        }
        *self.found.get_or_init(probe).await
    }
}

async fn probe() -> Mount {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    for flags in WAYS {
        let mut command = Command::new("unshare");
        command.args(flags).args(["--", "/bin/sh", "-c", "mount --bind /tmp /opt"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().await.is_ok_and(|status| status.success()) {
            return Mount::Namespace(flags);
        }
    }
    tracing::info!(
        "no mount namespace is allowed; layers get their paths rewritten instead of /opt"
    );
    Mount::Rewrite
}

/// Lays `layers` over each other. One layer alone is used as it is, unless it is to be rewritten.
///
/// Works on files: call it where blocking is allowed. The same layers give the same folder, made once.
pub(crate) fn lay(layers: &[PathBuf], below: &Path, mount: Mount) -> io::Result<PathBuf> {
    if let ([only], Mount::Namespace(_)) = (layers, mount) {
        return fs::canonicalize(only);
    }
    let mut digest = Sha256::new();
    for layer in layers {
        digest.update(layer.as_os_str().as_encoded_bytes());
        // A folder of the user's may have changed since.
        let changed =
            fs::metadata(layer)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        digest.update(changed.as_nanos().to_le_bytes());
    }
    let kind = if mount == Mount::Rewrite { "rewritten" } else { "merged" };
    let name = ids::hex(digest.finalize().get(..16).unwrap_or_default());
    let folder = below.join(format!("{kind}-{name}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    let staged = below.join(format!("{kind}-{name}.part{:x}", ids::random_u64()));
    fs::create_dir_all(&staged)?;
    for layer in layers {
        cover(layer, &staged, 0)?;
    }
    if mount == Mount::Rewrite {
        rewrite(&staged, &folder)?;
    }
    match fs::rename(&staged, &folder) {
        // Somebody else was faster, with the same.
        Err(_) if folder.is_dir() => fs::remove_dir_all(&staged)?,
        other => other?,
    }
    Ok(folder)
}

/// Copies a tree over another; files are hard links where the file system allows.
fn cover(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("a layer is nested too deeply"));
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if target.is_symlink() || target.is_file() {
                fs::remove_file(&target)?;
            }
            fs::create_dir_all(&target)?;
            cover(&source, &target, depth + 1)?;
            continue;
        }
        if target.is_dir() && !target.is_symlink() {
            fs::remove_dir_all(&target)?;
        } else if target.exists() || target.is_symlink() {
            fs::remove_file(&target)?;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() && fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Makes the files at the top of `folder` name `final_place` where they name `/opt`.
fn rewrite(folder: &Path, final_place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if !metadata.is_file() || metadata.len() > REWRITE_BYTES_MAX {
            continue;
        }
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        if text.contains("/opt/") {
            let text = text.replace("/opt/", &format!("{}/", final_place.display()));
            // Not in place: the file may be a hard link to the layer's own.
            let staged = entry.path().with_extension("rewritten");
            fs::write(&staged, text)?;
            fs::set_permissions(&staged, metadata.permissions())?;
            fs::rename(&staged, entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(below: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = below.join(name);
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn later_layers_cover_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let first =
            layer(dir.path(), "a", &[("nodejs/x", "1"), ("keep", "1"), ("was-folder/y", "1")]);
        let second =
            layer(dir.path(), "b", &[("nodejs/x", "2"), ("nodejs/z", "2"), ("was-folder", "2")]);
        let layers = [first.clone(), second];
        let opt = lay(&layers, dir.path(), Mount::Namespace(&[])).unwrap();
        for (path, text) in
            [("nodejs/x", "2"), ("nodejs/z", "2"), ("keep", "1"), ("was-folder", "2")]
        {
            assert_eq!(fs::read_to_string(opt.join(path)).unwrap(), text, "{path}");
        }
        assert_eq!(
            fs::read_to_string(first.join("nodejs/x")).unwrap(),
            "1",
            "the layer itself is as it was"
        );
    }

    #[test]
    fn scripts_name_their_folder_when_there_is_no_mount() {
        let dir = tempfile::tempdir().unwrap();
        let only =
            layer(dir.path(), "a", &[("wrapper", "#!/bin/sh\nexec \"$@\" --require /opt/x.js\n")]);
        let opt = lay(std::slice::from_ref(&only), dir.path(), Mount::Rewrite).unwrap();
        let text = fs::read_to_string(opt.join("wrapper")).unwrap();
        assert!(text.contains(&format!("--require {}/x.js", opt.display())), "{text}");
        assert!(fs::read_to_string(only.join("wrapper")).unwrap().contains("/opt/x.js"));
    }
}
