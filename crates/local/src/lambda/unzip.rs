//! Unpacks a zip from a stranger into a folder of ours.
//!
//! In:   the bytes of a zip, and what it may become at most.
//! Out:  a folder with its files, or why not; then nothing is left of it.
//! Rule: nothing is written outside the folder: no absolute name, no `..`, no link that leads out. Sizes are
//!       counted while bytes are written, not believed.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;

/// What an archive may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of all files together.
    pub(crate) bytes_max: u64,
    /// Files and folders.
    pub(crate) entries_max: usize,
}

/// Lambda's own limit is 250 MB for code and layers together.
pub(crate) const LIMITS: Limits = Limits { bytes_max: 262_144_000, entries_max: 200_000 };
/// A link's target is a path.
const LINK_BYTES_MAX: u64 = 4096;

/// Why a zip was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnzipError {
    /// No zip, or a broken one.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    Broken,
    /// An entry that would be written somewhere else.
    #[error("the zip is refused: entry {0:?} leads out of its folder")]
    Escapes(String),
    /// More than [`Limits::bytes_max`].
    #[error("Unzipped size must be smaller than {0} bytes")]
    TooLarge(u64),
    /// More than [`Limits::entries_max`].
    #[error("the zip has {0} entries, more than are unpacked")]
    TooMany(usize),
    /// Ours.
    #[error("cannot unpack: {0}")]
    Io(#[from] io::Error),
}

/// Unpacks `archive` into `folder`, which must not exist yet.
pub(crate) fn unzip(archive: &[u8], folder: &Path, limits: Limits) -> Result<(), UnzipError> {
    let staged = folder.with_extension(format!("{}.part", std::process::id()));
    remove_tree(&staged)?;
    fs::create_dir_all(&staged)?;
    let done = unpack(archive, &staged, limits).and_then(|()| Ok(fs::rename(&staged, folder)?));
    if done.is_err() {
        remove_tree(&staged)?;
    }
    done
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

fn unpack(archive: &[u8], root: &Path, limits: Limits) -> Result<(), UnzipError> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(|_| UnzipError::Broken)?;
    if archive.len() > limits.entries_max {
        return Err(UnzipError::TooMany(archive.len()));
    }
    let mut left = limits.bytes_max;
    // Links are made last, so that no file is ever written through one.
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|_| UnzipError::Broken)?;
        let name = entry.name().map_err(|_| UnzipError::Broken)?.into_owned();
        let path = root.join(inside(&name).ok_or_else(|| UnzipError::Escapes(name.clone()))?);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if entry.is_symlink() {
            let mut target = String::new();
            let read = entry.by_ref().take(LINK_BYTES_MAX).read_to_string(&mut target);
            read.map_err(|_| UnzipError::Broken)?;
            links.push((name, path, target));
            continue;
        }
        let mode = entry.unix_mode();
        left -= write(&mut entry, &path, left, limits)?;
        set_mode(&path, mode)?;
    }
    for (name, path, target) in links {
        link(root, &path, &target).ok_or(UnzipError::Escapes(name))??;
    }
    Ok(())
}

/// The path of an entry below its folder; `None` when it would leave it.
fn inside(name: &str) -> Option<PathBuf> {
    let name = name.replace('\\', "/");
    if name.is_empty() || name.contains('\0') || name.starts_with('/') {
        return None;
    }
    let mut path = PathBuf::new();
    for part in Path::new(&name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path)
}

/// Writes one file and gives back how many bytes it had, at most `left`.
fn write(entry: &mut impl Read, path: &Path, left: u64, limits: Limits) -> Result<u64, UnzipError> {
    let mut file = File::create(path)?;
    let mut bounded = entry.take(left.saturating_add(1));
    let written = io::copy(&mut bounded, &mut file).map_err(|err| match err.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            UnzipError::Broken
        }
        io::ErrorKind::Other => UnzipError::Broken,
        _ => UnzipError::Io(err),
    })?;
    if written > left { Err(UnzipError::TooLarge(limits.bytes_max)) } else { Ok(written) }
}

/// Keeps what is executable so. A zip without modes (made on Windows) gets them all executable, as `bootstrap` must.
#[cfg(unix)]
fn set_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = mode.map_or(0o755, |mode| (mode & 0o755) | 0o600);
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Makes a link whose target stays below `root`; `None` when it would not.
fn link(root: &Path, path: &Path, target: &str) -> Option<io::Result<()>> {
    let mut depth = path.parent()?.strip_prefix(root).ok()?.components().count();
    let mut went_down = false;
    for part in Path::new(target).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => went_down = true,
            // What went down may have been a link, so the way up from there is not known.
            Component::ParentDir if !went_down => depth = depth.checked_sub(1)?,
            _ => return None,
        }
    }
    // A folder on the way that is itself a link could still lead elsewhere.
    if path.ancestors().skip(1).take_while(|folder| *folder != root).any(Path::is_symlink) {
        return None;
    }
    #[cfg(unix)]
    return Some(std::os::unix::fs::symlink(target, path));
    #[cfg(not(unix))]
    return Some(fs::write(path, target));
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn check_refused(archive: &[u8], limits: Limits, word: &str) {
        let dir = tempfile::tempdir().unwrap();
        let err = unzip(archive, &dir.path().join("task"), limits).unwrap_err().to_string();
        assert!(err.contains(word), "{err}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
    }

    #[test]
    fn files_keep_their_place_and_their_mode() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("task");
        unzip(&zip_of(&[("index.js", "x"), ("bin/tool", "#!/bin/sh")]), &folder, LIMITS).unwrap();
        assert_eq!(fs::read_to_string(folder.join("index.js")).unwrap(), "x");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.join("bin/tool")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
        }
    }

    #[test]
    fn no_entry_leaves_the_folder() {
        check_refused(&zip_of(&[("../evil", "x")]), LIMITS, "leads out");
        check_refused(&zip_of(&[("a/../../evil", "x")]), LIMITS, "leads out");
        check_refused(&zip_of(&[("/etc/evil", "x")]), LIMITS, "leads out");
        check_refused(&zip_of(&[("..\\evil", "x")]), LIMITS, "leads out");
    }

    #[test]
    fn no_link_leads_out() {
        for target in ["../../etc/passwd", "/etc/passwd", "a/../../x"] {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            writer.add_symlink("link", target, SimpleFileOptions::default()).unwrap();
            check_refused(&writer.finish().unwrap().into_inner(), LIMITS, "leads out");
        }
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("bin/link", "../real", SimpleFileOptions::default()).unwrap();
        unzip(&writer.finish().unwrap().into_inner(), &dir.path().join("t"), LIMITS).unwrap();
    }

    #[test]
    fn too_much_is_refused_while_it_is_written() {
        let archive = zip_of(&[("a", &"x".repeat(1000)), ("b", &"x".repeat(1000))]);
        check_refused(&archive, Limits { bytes_max: 1500, entries_max: 10 }, "smaller than");
        check_refused(&archive, Limits { bytes_max: 5000, entries_max: 1 }, "entries");
    }

    #[test]
    fn broken_bytes_are_refused_not_fatal() {
        let archive = zip_of(&[("index.js", "module.exports = 1")]);
        check_refused(b"PK no zip", LIMITS, "Could not unzip");
        for length in 0..archive.len() {
            check_refused(&archive[..length], LIMITS, "");
        }
        for index in 0..archive.len() {
            let mut broken = archive.clone();
            broken[index] ^= 0xff;
            let dir = tempfile::tempdir().unwrap();
            let _ = unzip(&broken, &dir.path().join("task"), LIMITS);
        }
    }
}
