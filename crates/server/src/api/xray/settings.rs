//! What callers set: rules, groups, policies, tags and switches, kept in one file.
//!
//! Every change is written to a new file that then takes the old one's name, so a crash leaves
//! either the old settings or the new ones. Readers share what is in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::{ErrorKind, XrayError};

/// The file in the data directory.
const FILE_NAME: &str = "xray-settings.json";

/// The version of the file that we write, and the newest that we read.
const FORMAT: u32 = 1;

/// Everything that callers of the X-Ray API have set. Times are nanoseconds since the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(super) format: u32,
    /// All sampling rules, `Default` among them.
    pub(super) rules: Vec<Rule>,
    pub(super) rules_modified_unix_nano: i64,
    /// All groups but `Default`, which always exists.
    pub(super) groups: Vec<Group>,
    pub(super) default_group_insights: Insights,
    pub(super) policies: Vec<Policy>,
    /// Tags by resource: `group/name/id` or `sampling-rule/name`.
    pub(super) tags: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) encryption_key: Option<String>,
    pub(super) indexing_percentage: f64,
    pub(super) indexing_modified_unix_nano: i64,
    /// `XRay` or `CloudWatchLogs`; answered and otherwise without effect.
    pub(super) destination: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: FORMAT,
            rules: vec![Rule::default()],
            rules_modified_unix_nano: 0,
            groups: Vec::new(),
            default_group_insights: Insights::default(),
            policies: Vec::new(),
            tags: BTreeMap::new(),
            encryption_key: None,
            indexing_percentage: 100.0,
            indexing_modified_unix_nano: 0,
            destination: "XRay".to_owned(),
        }
    }
}

/// A sampling rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(super) name: String,
    pub(super) resource_arn: String,
    pub(super) priority: i64,
    pub(super) fixed_rate: f64,
    pub(super) reservoir_size: u32,
    pub(super) service_name: String,
    pub(super) service_type: String,
    pub(super) host: String,
    pub(super) http_method: String,
    pub(super) url_path: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) boost: Option<Boost>,
    pub(super) created_unix_nano: i64,
    pub(super) modified_unix_nano: i64,
}

/// How a rule may sample more while things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boost {
    pub(super) rate_max: f64,
    pub(super) cooldown_minutes: u32,
}

/// The name of the rule and of the group that always exist.
pub(super) const DEFAULT_NAME: &str = "Default";

impl Default for Rule {
    /// The rule `Default` as every account has it.
    fn default() -> Self {
        let any = || "*".to_owned();
        Self {
            name: DEFAULT_NAME.to_owned(),
            resource_arn: any(),
            priority: 10_000,
            fixed_rate: 0.05,
            reservoir_size: 1,
            service_name: any(),
            service_type: any(),
            host: any(),
            http_method: any(),
            url_path: any(),
            attributes: BTreeMap::new(),
            boost: None,
            created_unix_nano: 0,
            modified_unix_nano: 0,
        }
    }
}

/// A group of traces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(super) name: String,
    /// The last part of its ARN.
    pub(super) id: String,
    pub(super) filter: Option<String>,
    pub(super) insights: Insights,
}

/// Whether insights were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Insights {
    pub(super) enabled: bool,
    pub(super) notifications: bool,
}

/// A resource policy: kept and shown, and otherwise without effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(super) name: String,
    pub(super) document: String,
    pub(super) revision: u64,
    pub(super) updated_unix_nano: i64,
}

/// Why the settings could not be read at the start. The file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum OpenSettingsError {
    /// The disk said no.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what we wrote.
    #[error("{} is damaged ({source}); repair it or move it away", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// Written by a newer version.
    #[error("{} has format {found}, newer than {FORMAT}; use a newer throughline", .path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// The settings and their file.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    now: Mutex<Arc<Settings>>,
    /// Held while a change is being written: changes come one after the other, and readers do not
    /// wait for the disk.
    changing: Mutex<()>,
}

impl SettingsFile {
    /// Reads the settings of a data directory; there may be none yet.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenSettingsError> {
        let path = directory.join(FILE_NAME);
        let settings = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| OpenSettingsError::Damaged { path: path.clone(), source })?,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Settings::default(),
            Err(source) => return Err(OpenSettingsError::Io { path, source }),
        };
        if settings.format > FORMAT {
            return Err(OpenSettingsError::TooNew { path, found: settings.format });
        }
        Ok(Self { path, now: Mutex::new(Arc::new(settings)), changing: Mutex::default() })
    }

    /// The settings as of now.
    pub(crate) fn read(&self) -> Arc<Settings> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the settings, on disk before in memory. An error of `change` changes nothing.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Settings) -> Result<T, XrayError>,
    ) -> Result<T, XrayError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Settings::clone(&self.read());
        let answer = change(&mut next)?;
        self.write(&next).map_err(|err| {
            tracing::error!(path = %self.path.display(), error = %err, "settings not written");
            XrayError::new(ErrorKind::ServiceUnavailable, "the settings could not be written")
        })?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(answer)
    }

    fn write(&self, settings: &Settings) -> std::io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(settings)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_outlives_the_process_and_a_refused_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = SettingsFile::open(directory.path()).unwrap();
        assert_eq!(file.read().rules.len(), 1);
        file.change(|settings| {
            settings.destination = "CloudWatchLogs".to_owned();
            Ok(())
        })
        .unwrap();
        let refused: Result<(), _> = file.change(|settings| {
            settings.rules.clear();
            Err(XrayError::invalid("no"))
        });
        assert!(refused.is_err());
        for file in [&file, &SettingsFile::open(directory.path()).unwrap()] {
            assert_eq!(file.read().destination, "CloudWatchLogs");
            assert_eq!(file.read().rules.len(), 1);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        for (text, expected) in [("{\"rules\": 7}", "damaged"), ("{\"format\": 9}", "format 9")] {
            std::fs::write(&path, text).unwrap();
            let err = SettingsFile::open(directory.path()).unwrap_err().to_string();
            assert!(err.contains(expected), "{err}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(SettingsFile::open(directory.path()).unwrap().read().rules.len(), 1);
    }
}
