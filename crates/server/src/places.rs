//! Where the page's cards stand and which colours services have, for everyone, kept in one file.
//!
//! Every change is written to a new file that then takes the old one's name, so a crash leaves
//! either the old places or the new ones. `docs/formats/page.md` has the bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The file in the data directory.
const FILE_NAME: &str = "page.json";
/// What a file that cannot be read is moved to.
const DAMAGED_NAME: &str = "page.json.damaged";
/// The version of the file that we write, and the newest that we read.
const FORMAT: u32 = 1;

/// Places of all environments together.
pub(crate) const PLACES_MAX: usize = 10_000;
/// Services with a colour.
pub(crate) const COLORS_MAX: usize = 10_000;
/// The name of an environment, a node or a service, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;
/// How far from the middle a place may be, in pixels of the page.
pub(crate) const DISTANCE_MAX: f64 = 1e9;
/// A file beyond this is not ours: names at their longest would not fill it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Places {
    format: u32,
    /// By environment, the empty one for all together, and id of the node.
    environments: BTreeMap<String, BTreeMap<String, [f64; 2]>>,
    /// The slot in the page's palette, by service.
    colors: BTreeMap<String, u32>,
}

/// What to change: `None` forgets.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) environment: String,
    pub(crate) places: BTreeMap<String, Option<[f64; 2]>>,
    pub(crate) colors: BTreeMap<String, Option<u32>>,
}

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// It breaks a limit; the text says which.
    #[error("{0}")]
    Refused(String),
    /// The disk said no.
    #[error("the places could not be written: {0}")]
    Io(#[from] std::io::Error),
}

impl Places {
    /// The places of one environment.
    pub(crate) fn of(&self, environment: &str) -> BTreeMap<String, [f64; 2]> {
        self.environments.get(environment).cloned().unwrap_or_default()
    }

    /// The colours of services.
    pub(crate) fn colors(&self) -> &BTreeMap<String, u32> {
        &self.colors
    }

    fn changed(&self, change: Change) -> Result<Self, ChangeError> {
        change.check()?;
        let mut next = self.clone();
        let mut places = next.environments.remove(&change.environment).unwrap_or_default();
        put(&mut places, change.places);
        if !places.is_empty() {
            next.environments.insert(change.environment, places);
        }
        put(&mut next.colors, change.colors);
        let count: usize = next.environments.values().map(BTreeMap::len).sum();
        let refused = |message| Err(ChangeError::Refused(message));
        if count > PLACES_MAX {
            return refused(format!("places: at most {PLACES_MAX} are kept, these make {count}"));
        }
        if next.colors.len() > COLORS_MAX {
            return refused(format!("colors: at most {COLORS_MAX} are kept"));
        }
        Ok(next)
    }
}

impl Change {
    fn check(&self) -> Result<(), ChangeError> {
        let names = self.places.keys().chain(self.colors.keys()).chain([&self.environment]);
        if names.into_iter().any(|name| name.len() > NAME_BYTES_MAX) {
            let message = format!("a name is longer than {NAME_BYTES_MAX} bytes");
            return Err(ChangeError::Refused(message));
        }
        let far =
            |place: &[f64; 2]| place.iter().any(|at| !at.is_finite() || at.abs() > DISTANCE_MAX);
        if let Some((id, _)) = self.places.iter().find(|(_, place)| place.as_ref().is_some_and(far))
        {
            let message = format!("places: {id:?} is further away than {DISTANCE_MAX}");
            return Err(ChangeError::Refused(message));
        }
        Ok(())
    }
}

fn put<T>(kept: &mut BTreeMap<String, T>, changes: BTreeMap<String, Option<T>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(kept.insert(key, value)),
            None => drop(kept.remove(&key)),
        }
    }
}

/// The places and their file.
#[derive(Debug)]
pub(crate) struct PlacesFile {
    path: PathBuf,
    now: Mutex<Arc<Places>>,
    /// Held while a change is being written: changes come one after the other, and readers do not
    /// wait for the disk.
    changing: Mutex<()>,
}

impl PlacesFile {
    /// Reads the places of a data directory. They are a convenience: a file that cannot be read
    /// is set aside, with a line in the log, and the page starts without places.
    pub(crate) fn open(directory: &Path) -> Self {
        let path = directory.join(FILE_NAME);
        let places = read(&path).unwrap_or_else(|reason| {
            let aside = directory.join(DAMAGED_NAME);
            tracing::warn!(path = %path.display(), reason, "places of the page set aside");
            if let Err(err) = std::fs::rename(&path, &aside) {
                tracing::warn!(path = %aside.display(), error = %err, "places not set aside");
            }
            Places::default()
        });
        Self { path, now: Mutex::new(Arc::new(places)), changing: Mutex::default() }
    }

    /// What is kept as of now.
    pub(crate) fn read(&self) -> Arc<Places> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes some, on disk before in memory, and gives back all. What is refused changes nothing.
    pub(crate) fn change(&self, change: Change) -> Result<Arc<Places>, ChangeError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.read();
        let next = now.changed(change)?;
        if next == *now {
            return Ok(now);
        }
        self.set(next)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> Result<(), ChangeError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.set(Places::default()).map(drop)
    }

    fn set(&self, places: Places) -> Result<Arc<Places>, ChangeError> {
        let places = Arc::new(Places { format: FORMAT, ..places });
        self.write(&places)?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&places);
        Ok(places)
    }

    fn write(&self, places: &Places) -> std::io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(places)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Places, String> {
    match std::fs::metadata(path) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Places::default()),
        Ok(about) if about.len() > FILE_BYTES_MAX => return Err("it is too large".to_owned()),
        _ => {}
    }
    let text = std::fs::read(path).map_err(|err| err.to_string())?;
    let places: Places = serde_json::from_slice(&text).map_err(|err| err.to_string())?;
    match places.format {
        FORMAT => Ok(places),
        found => Err(format!("its format is {found}, and this version reads {FORMAT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(environment: &str, places: &[(&str, Option<[f64; 2]>)]) -> Change {
        let places = places.iter().map(|(id, place)| ((*id).to_owned(), *place)).collect();
        Change { environment: environment.to_owned(), places, ..Change::default() }
    }

    #[test]
    fn a_change_outlives_the_process_and_the_last_writer_of_a_key_wins() {
        let directory = tempfile::tempdir().unwrap();
        let file = PlacesFile::open(directory.path());
        let both = [("service:a", Some([1.0, 2.5])), ("service:b", Some([3.0, 4.0]))];
        file.change(places("prod", &both)).unwrap();
        file.change(places("prod", &[("service:a", Some([5.0, 6.0]))])).unwrap();
        file.change(places("", &[("service:a", Some([0.0, 0.0]))])).unwrap();
        let colors = BTreeMap::from([("a".to_owned(), Some(7)), ("b".to_owned(), Some(3))]);
        file.change(Change { colors, ..Change::default() }).unwrap();
        let gone = BTreeMap::from([("b".to_owned(), None)]);
        file.change(Change { colors: gone, ..places("prod", &[("service:b", None)]) }).unwrap();
        for file in [&file, &PlacesFile::open(directory.path())] {
            let kept = file.read();
            assert_eq!(kept.of("prod"), BTreeMap::from([("service:a".to_owned(), [5.0, 6.0])]));
            assert_eq!(kept.of("").len(), 1);
            assert_eq!(kept.of("test").len(), 0);
            assert_eq!(*kept.colors(), BTreeMap::from([("a".to_owned(), 7)]));
        }
        file.clear().unwrap();
        assert_eq!(PlacesFile::open(directory.path()).read().of("prod").len(), 0);
    }

    #[test]
    fn what_breaks_a_limit_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = PlacesFile::open(directory.path());
        file.change(places("", &[("a", Some([1.0, 1.0]))])).unwrap();
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let many: Vec<String> = (0..PLACES_MAX).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|id| (&id[..], Some([0.0, 0.0]))).collect();
        for change in [
            places("", &[(&long, Some([0.0, 0.0]))]),
            places(&long, &[("a", None)]),
            places("", &[("a", Some([f64::NAN, 0.0]))]),
            places("", &[("a", Some([0.0, 1e300]))]),
            places("other", &many),
        ] {
            assert!(matches!(file.change(change), Err(ChangeError::Refused(_))));
        }
        assert_eq!(file.read().of("")["a"], [1.0, 1.0]);
        assert_eq!(file.read().environments.len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        for text in ["", "{\"format\":9}", "{\"format\":1,\"colors\":7}", "\u{0}\u{1}", "[]"] {
            std::fs::write(&path, text).unwrap();
            let file = PlacesFile::open(directory.path());
            assert_eq!(*file.read(), Places::default(), "{text}");
            assert!(!path.exists());
            let aside = directory.path().join(DAMAGED_NAME);
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
            file.change(places("", &[("a", Some([1.0, 1.0]))])).unwrap();
            assert_eq!(PlacesFile::open(directory.path()).read().of("").len(), 1);
        }
    }
}
