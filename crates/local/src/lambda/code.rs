//! Zips and what is in them, each once, named by its SHA-256.
//!
//! In:   a [`CodeSource`].
//! Out:  a [`Code`], whose zip and folder stay on disk until [`CodeStore::keep_only`] takes them away.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::error::LambdaError;
use super::types::CodeSource;
use super::unzip::{LIMITS, UnzipError, unzip};
use crate::ids;
use crate::seams::Blobs;

/// Code that is unpacked and ready.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Code {
    /// SHA-256 of the zip, as a name on disk.
    pub hex: String,
    /// The same, as the API gives it.
    pub sha256_base64: String,
    /// Bytes of the zip.
    pub size_bytes: u64,
}

/// A folder of zips and a folder of what is in them.
#[derive(Debug)]
pub(crate) struct CodeStore {
    root: PathBuf,
}

impl CodeStore {
    /// Keeps its files below `root`, which is made.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join("zips"))?;
        fs::create_dir_all(root.join("folders"))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Takes code in. Works on files: call it where blocking is allowed.
    pub(crate) fn put(&self, archive: &[u8]) -> Result<Code, LambdaError> {
        let digest = Sha256::digest(archive);
        let code = Code {
            hex: ids::hex(&digest),
            sha256_base64: STANDARD.encode(digest),
            size_bytes: archive.len() as u64,
        };
        let zip = self.zip(&code.hex);
        let failed = |err: io::Error| LambdaError::Service(format!("cannot keep code: {err}"));
        if !self.folder(&code.hex).is_dir() {
            unzip(archive, &self.folder(&code.hex), LIMITS).map_err(|err| match err {
                UnzipError::Io(err) => failed(err),
                refused => LambdaError::InvalidParameterValue(refused.to_string()),
            })?;
        }
        if !zip.is_file() {
            let staged = zip.with_extension("part");
            fs::write(&staged, archive).and_then(|()| fs::rename(&staged, &zip)).map_err(failed)?;
        }
        Ok(code)
    }

    /// Where the zip is.
    pub(crate) fn zip(&self, hex: &str) -> PathBuf {
        self.root.join("zips").join(format!("{hex}.zip"))
    }

    /// Where its files are.
    pub(crate) fn folder(&self, hex: &str) -> PathBuf {
        self.root.join("folders").join(hex)
    }

    /// Removes what nobody names any more.
    pub(crate) fn keep_only(&self, named: &HashSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join("folders"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !named.contains(&name) {
                fs::remove_dir_all(entry.path())?;
                let _ = fs::remove_file(self.zip(&name));
            }
        }
        Ok(())
    }
}

/// The bytes of the zip that `source` means.
pub(crate) fn fetch(
    source: &CodeSource,
    runtime: &str,
    blobs: &dyn Blobs,
) -> Result<Bytes, LambdaError> {
    match source {
        CodeSource::Zip(bytes) => Ok(bytes.clone()),
        CodeSource::S3 { bucket, key } => blobs.get(bucket, key).ok_or_else(|| {
            LambdaError::InvalidParameterValue(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key \
                 does not exist."
                    .to_owned(),
            )
        }),
        CodeSource::Inline(text) => {
            let name = if runtime.starts_with("python") { "index.py" } else { "index.js" };
            one_file(name, text).map_err(|err| LambdaError::Service(format!("cannot zip: {err}")))
        }
    }
}

fn one_file(name: &str, text: &str) -> zip::result::ZipResult<Bytes> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, SimpleFileOptions::default().unix_permissions(0o644))?;
    writer.write_all(text.as_bytes())?;
    Ok(writer.finish()?.into_inner().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_kept_once_and_removed_when_nobody_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = CodeStore::open(dir.path()).unwrap();
        let archive = one_file("index.js", "exports.handler = 1").unwrap();
        let code = store.put(&archive).unwrap();
        assert_eq!(store.put(&archive).unwrap(), code);
        assert_eq!(code.hex.len(), 64);
        assert_eq!(code.sha256_base64.len(), 44);
        assert!(store.folder(&code.hex).join("index.js").is_file());

        store.keep_only(&HashSet::from([code.hex.clone()])).unwrap();
        assert!(store.zip(&code.hex).is_file());
        store.keep_only(&HashSet::new()).unwrap();
        assert!(!store.zip(&code.hex).exists());
        assert!(!store.folder(&code.hex).exists());
    }
}
