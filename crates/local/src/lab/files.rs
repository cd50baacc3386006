//! The folder `labs/`, carried in the binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::LabError;
use crate::ids;

/// A file: its path below `labs/`, its text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("../../../../labs/", $path)))),*] };
}

/// Everything that is in `labs/`, but for what a reader does not need to run, and `kinesis/rust`, which needs crates
/// of the checkout.
const FILES: &[File] = files! {
    "kinesis/auto/handler.js"
    "kinesis/auto/serverless.yml"
    "kinesis/auto/serverless_unset.yml"
    "kinesis/manual/handler.js"
    "kinesis/manual/serverless.yml"
    "kinesis/manual/serverless_unset.yml"
    "layer/nodejs-otel-handler"
    "layer/package-lock.json"
    "layer/package.json"
    "layer/wrapper.js"
    "python/requirements.txt"
    "runtime/package-lock.json"
    "runtime/package.json"
    "signup/app/Procfile"
    "signup/app/app.js"
    "signup/app/package-lock.json"
    "signup/app/package.json"
    "signup/app/page.html"
    "signup/beanstalk"
    "signup/lambda/index.js"
    "signup/lambda/package-lock.json"
    "signup/lambda/package.json"
    "signup/onpremises/welcome.js"
    "signup/python/app.py"
    "signup/python/page.html"
    "signup/python/requirements.txt"
    "tools/package-lock.json"
    "tools/package.json"
    "tools/redirect.js"
    "tools/sls"
};

/// Writes everything below `folder` of `labs/` to `place`, with its subfolders. Scripts may be run.
pub(super) fn write(folder: &str, place: &Path) -> Result<(), LabError> {
    for (path, text) in below(folder) {
        let file = place.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(LabError::io(parent))?;
        }
        fs::write(&file, text).map_err(LabError::io(&file))?;
        if text.starts_with("#!") {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&file, mode).map_err(LabError::io(&file))?;
        }
    }
    Ok(())
}

/// The most that [`copy`] takes, in files and in bytes: Lambda's limit of an unpacked function, twice.
const COPIED_FILES_MAX: usize = 50_000;
const COPIED_BYTES_MAX: u64 = 500 << 20;

/// Copies a folder with its subfolders. What `sls` left there and links are left out.
pub(super) fn copy(folder: &Path, place: &Path) -> Result<(), LabError> {
    let (mut files_left, mut bytes_left) = (COPIED_FILES_MAX, COPIED_BYTES_MAX);
    let mut open = vec![(folder.to_owned(), place.to_owned())];
    while let Some((from, to)) = open.pop() {
        fs::create_dir_all(&to).map_err(LabError::io(&to))?;
        for entry in fs::read_dir(&from).map_err(LabError::io(&from))? {
            let entry = entry.map_err(LabError::io(&from))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = entry.metadata().map_err(LabError::io(&source))?;
            if metadata.is_dir()
                && entry.file_name() != ".serverless"
                && entry.file_name() != ".git"
            {
                open.push((source, target));
            } else if metadata.is_file() {
                let left = files_left.checked_sub(1).zip(bytes_left.checked_sub(metadata.len()));
                (files_left, bytes_left) = left.ok_or_else(|| {
                    LabError::Options(format!("{} is too large for a workshop", folder.display()))
                })?;
                fs::copy(&source, &target).map_err(LabError::io(&source))?;
            }
        }
    }
    Ok(())
}

/// A short name of what a folder has now: another when any file changes.
pub(super) fn digest(folder: &str) -> String {
    let mut digest = Sha256::new();
    for (path, text) in below(folder) {
        digest.update(path.as_bytes());
        digest.update([0]);
        digest.update(text.as_bytes());
        digest.update([0]);
    }
    ids::hex(digest.finalize().get(..6).unwrap_or_default())
}

fn below(folder: &str) -> impl Iterator<Item = File> {
    FILES.iter().filter_map(move |(path, text)| {
        Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    /// Every file below `folder`; what npm installed is no part of it.
    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let not_ours = ["node_modules", ".serverless", "kinesis/rust", "__pycache__"];
            if not_ours.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn the_binary_carries_every_file_of_the_labs() {
        let labs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../labs");
        let mut found = BTreeSet::new();
        walk(&labs, &labs, &mut found);
        found.remove("README.md");
        let carried: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(carried, found);
    }

    #[test]
    fn a_folder_is_copied_without_what_tools_left() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["from/lib/a.js", "from/.serverless/x.zip", "from/serverless.yml"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        copy(&from, &to).unwrap();
        let mut found = BTreeSet::new();
        walk(&to, &to, &mut found);
        assert_eq!(found, ["lib/a.js", "serverless.yml"].map(str::to_owned).into());
        assert!(copy(&dir.path().join("absent"), &to).is_err());
    }

    #[test]
    fn scripts_can_be_run_and_digests_tell_folders_apart() {
        let dir = tempfile::tempdir().unwrap();
        write("layer", dir.path()).unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("nodejs-otel-handler") & 0o111, 0o111);
        assert_eq!(mode("wrapper.js") & 0o111, 0);
        assert_ne!(digest("layer"), digest("tools"));
        assert_eq!(digest("layer"), digest("layer"));
    }
}
