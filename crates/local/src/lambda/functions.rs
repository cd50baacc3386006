//! The functions of this machine, and what can be done with them.
//!
//! In:   [`CreateFunction`], [`Settings`], [`CodeSource`], names in every form the API takes.
//! Out:  [`FunctionConfiguration`]s, errors in AWS's words.
//! Rule: AWS Lambda API reference, operation by operation. A change is whole or not at all: code is fetched and
//!       unpacked before the registry is locked.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::code::{Code, CodeStore, fetch};
use super::config::Surroundings;
use super::error::LambdaError;
use super::executor::Executor;
use super::invoke::EVENTS_MAX;
use super::registry::{Function, LATEST, Place, Registry, Version, is_function_name, shortened};
use super::settings::{apply, new_configuration, touch};
use super::sources::Pollers;
use super::types::{Caller, CodeSource, CreateFunction, FunctionConfiguration, Settings};
use crate::ids;
use crate::seams::Kept;
use crate::sync::lock;

/// What `UpdateFunctionCode` may be told beside the code.
#[derive(Clone, Debug, Default)]
pub struct CodeChange {
    /// Publish a version afterwards.
    pub publish: bool,
    /// Check only.
    pub dry_run: bool,
    /// Fail unless this is the present revision.
    pub revision_id: Option<String>,
    /// The new instruction set; kept, not enforced.
    pub architectures: Option<Vec<String>>,
}

/// The Lambda service. Shared by the front door and every service that calls functions.
pub struct Functions {
    pub(crate) around: Surroundings,
    pub(crate) store: CodeStore,
    pub(crate) executor: Executor,
    pub(crate) pollers: Pollers,
    pub(crate) stop: CancellationToken,
    /// One for each `Event` call that is not done.
    pub(crate) events: Arc<Semaphore>,
    registry: Mutex<Registry>,
    changes: AtomicU64,
    /// Removed when the service ends; `None` when a data folder was given.
    _temporary: Option<TemporaryFolder>,
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

impl Functions {
    /// Makes the service ready; no process runs yet. Fails when its folder cannot be made.
    pub fn start(around: Surroundings) -> std::io::Result<Arc<Self>> {
        let (folder, temporary) = match &around.data {
            Some(data) => (data.join("lambda"), None),
            None => {
                let temporary = TemporaryFolder::make()?;
                (temporary.0.clone(), Some(temporary))
            }
        };
        let store = CodeStore::open(&folder)?;
        let executor = Executor::open(&folder, &around, temporary.is_some())?;
        Ok(Arc::new(Self {
            around,
            store,
            executor,
            pollers: Pollers::default(),
            stop: CancellationToken::new(),
            events: Arc::new(Semaphore::new(EVENTS_MAX)),
            registry: Mutex::default(),
            changes: AtomicU64::new(0),
            _temporary: temporary,
        }))
    }

    /// Ends event sources and every function process, and waits until they are gone.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.pollers.stop().await;
        self.executor.stop().await;
    }

    /// Makes a function. Its state is `Active` at once.
    pub async fn create(
        self: &Arc<Self>,
        create: CreateFunction,
    ) -> Result<FunctionConfiguration, LambdaError> {
        if !is_function_name(&create.name) {
            self.place(&create.name, None)?; // the same words as everywhere
            return Err(LambdaError::Validation(format!(
                "{} is no name for a function",
                shortened(&create.name)
            )));
        }
        let exists = || {
            LambdaError::ResourceConflict(format!(
                "Function already exist: {}",
                shortened(&create.name)
            ))
        };
        if self.registry().functions.contains_key(&create.name) {
            return Err(exists());
        }
        let arn = self.function_arn(&create.name);
        let mut configuration = new_configuration(&create.name, arn, &create.settings)?;
        let code = self.take_code(create.code.clone(), &configuration.runtime).await?;

        let mut registry = self.registry_mut();
        if registry.functions.contains_key(&create.name) {
            return Err(exists());
        }
        let arns = create.settings.layers.as_deref().unwrap_or_default();
        configuration.layers = self.find_layers(&registry, arns)?;
        set_code(&mut configuration, &code);
        touch(&mut configuration);
        let latest = Arc::new(Version { configuration: configuration.clone(), code });
        registry.functions.insert(
            create.name.clone(),
            Function {
                latest,
                published: Default::default(),
                tags: create.tags,
                permissions: Default::default(),
                reserved: None,
            },
        );
        drop(registry);
        if create.publish {
            configuration = self.publish_version(&create.name, None, None)?;
        }
        Ok(configuration)
    }

    /// A function or one of its versions.
    pub fn get(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<FunctionConfiguration, LambdaError> {
        Ok(self.version(name, qualifier)?.configuration.clone())
    }

    /// All functions, as they are unpublished, by name.
    pub fn list(&self) -> Vec<FunctionConfiguration> {
        let registry = self.registry();
        registry.functions.values().map(|function| function.latest.configuration.clone()).collect()
    }

    /// `$LATEST` and all published versions, oldest first.
    pub fn list_versions(&self, name: &str) -> Result<Vec<FunctionConfiguration>, LambdaError> {
        let place = self.place(name, None)?;
        let registry = self.registry();
        let function = registry.function(&place)?;
        let versions = std::iter::once(&function.latest).chain(function.published.values());
        Ok(versions
            .map(|version| {
                let mut configuration = version.configuration.clone();
                if configuration.version == LATEST {
                    configuration.function_arn += ":$LATEST";
                }
                configuration
            })
            .collect())
    }

    /// Replaces the code; the next call runs it.
    pub async fn update_code(
        self: &Arc<Self>,
        name: &str,
        code: CodeSource,
        change: CodeChange,
    ) -> Result<FunctionConfiguration, LambdaError> {
        let before = self.version(name, None)?.configuration.clone();
        check_revision(&before, change.revision_id.as_deref())?;
        let code = self.take_code(code, &before.runtime).await?;
        if change.dry_run {
            let mut after = before;
            set_code(&mut after, &code);
            return Ok(after);
        }
        let configuration = self.replace(name, |version| {
            check_revision(&version.configuration, change.revision_id.as_deref())?;
            set_code(&mut version.configuration, &code);
            if let Some(architectures) = &change.architectures {
                version.configuration.architectures.clone_from(architectures);
            }
            version.code = code.clone();
            Ok(())
        })?;
        if change.publish { self.publish_version(name, None, None) } else { Ok(configuration) }
    }

    /// Changes settings; the next call has them.
    pub fn update_configuration(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<FunctionConfiguration, LambdaError> {
        let layers = match &settings.layers {
            Some(arns) => Some(self.find_layers(&self.registry(), arns)?),
            None => None,
        };
        self.replace(name, |version| {
            check_revision(&version.configuration, settings.revision_id.as_deref())?;
            apply(&mut version.configuration, settings)?;
            if let Some(layers) = layers {
                version.configuration.layers = layers;
            }
            Ok(())
        })
    }

    /// Freezes what is unpublished under the next number. Unchanged since the last: that one again.
    pub fn publish_version(
        &self,
        name: &str,
        description: Option<&str>,
        code_sha256: Option<&str>,
    ) -> Result<FunctionConfiguration, LambdaError> {
        let place = self.place(name, None)?;
        let mut registry = self.registry_mut();
        let function = registry.function_mut(&place)?;
        let mut version = Version::clone(&function.latest);
        if code_sha256.is_some_and(|wanted| wanted != version.code.sha256_base64) {
            return Err(LambdaError::InvalidParameterValue(format!(
                "CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({}). Please try again with the \
                 CodeSHA256 in $LATEST.",
                shortened(code_sha256.unwrap_or_default()),
                version.code.sha256_base64
            )));
        }
        let last = function.published.last_key_value();
        if let Some((_, last)) = last
            && last.configuration.revision_id == version.configuration.revision_id
        {
            return Ok(last.configuration.clone());
        }
        let number = last.map_or(0, |(number, _)| *number) + 1;
        version.configuration.version = number.to_string();
        version.configuration.function_arn += &format!(":{number}");
        if let Some(description) = description {
            description.clone_into(&mut version.configuration.description);
        }
        let configuration = version.configuration.clone();
        function.published.insert(number, Arc::new(version));
        Ok(configuration)
    }

    /// Removes a function with its versions and processes, or one published version.
    pub async fn delete(&self, name: &str, qualifier: Option<&str>) -> Result<(), LambdaError> {
        let place = self.place(name, qualifier)?;
        {
            let mut registry = self.registry_mut();
            registry.version(&place)?;
            match place.qualifier.as_deref().map(str::parse::<u64>) {
                Some(Ok(number)) => {
                    registry.function_mut(&place)?.published.remove(&number);
                }
                Some(Err(_)) => {
                    return Err(LambdaError::InvalidParameterValue(
                        "$LATEST version cannot be deleted without deleting the function."
                            .to_owned(),
                    ));
                }
                None => {
                    registry.functions.remove(&place.name);
                }
            }
        }
        self.executor.retire(&place.name).await;
        self.sweep();
        Ok(())
    }

    /// Which function a request came from, by the access key id of its signature. `None`: from outside.
    pub fn caller(&self, access_key_id: &str) -> Option<Caller> {
        self.executor.caller(access_key_id)
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// The same, to change it.
    pub(crate) fn registry_mut(&self) -> MutexGuard<'_, Registry> {
        let registry = lock(&self.registry);
        self.changes.fetch_add(1, Ordering::Relaxed);
        registry
    }

    pub(crate) fn place(&self, name: &str, qualifier: Option<&str>) -> Result<Place, LambdaError> {
        Place::parse(name, qualifier, &self.around.region, &self.around.account)
    }

    pub(crate) fn version(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Arc<Version>, LambdaError> {
        let place = self.place(name, qualifier)?;
        self.registry().version(&place)
    }

    pub(crate) fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{name}", self.around.region, self.around.account)
    }

    pub(crate) async fn take_code(
        self: &Arc<Self>,
        source: CodeSource,
        runtime: &str,
    ) -> Result<Code, LambdaError> {
        let (functions, runtime) = (Arc::clone(self), runtime.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let archive = fetch(&source, &runtime, functions.around.blobs.as_ref())?;
            functions.store.put(&archive)
        });
        work.await.map_err(|err| LambdaError::Service(format!("cannot unpack: {err}")))?
    }

    fn replace(
        &self,
        name: &str,
        change: impl FnOnce(&mut Version) -> Result<(), LambdaError>,
    ) -> Result<FunctionConfiguration, LambdaError> {
        let place = self.place(name, None)?;
        let mut registry = self.registry_mut();
        let function = registry.function_mut(&place)?;
        let mut version = Version::clone(&function.latest);
        change(&mut version)?;
        touch(&mut version.configuration);
        let configuration = version.configuration.clone();
        function.latest = Arc::new(version);
        Ok(configuration)
    }

    fn sweep(&self) {
        let in_use = self.registry().code_in_use();
        if let Err(err) = self.store.keep_only(&in_use) {
            tracing::debug!(error = %err, "unused code stays on disk");
        }
    }
}

fn set_code(configuration: &mut FunctionConfiguration, code: &Code) {
    configuration.code_sha256.clone_from(&code.sha256_base64);
    configuration.code_size = code.size_bytes;
}

fn check_revision(
    configuration: &FunctionConfiguration,
    wanted: Option<&str>,
) -> Result<(), LambdaError> {
    if wanted.is_some_and(|wanted| wanted != configuration.revision_id) {
        return Err(LambdaError::PreconditionFailed(
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to \
             retrieve the latest RevisionId for your resource."
                .to_owned(),
        ));
    }
    Ok(())
}

impl Kept for Functions {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed).wrapping_add(self.pollers.changes())
    }

    fn save(&self) -> Value {
        let mut registry = self.registry();
        self.pollers.write_positions(&mut registry.mappings);
        serde_json::to_value(&*registry).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        let loaded: Registry =
            serde_json::from_value(saved).map_err(|err| format!("lambda: {err}"))?;
        let missing = loaded.code_in_use().into_iter().find(|hex| !self.store.folder(hex).is_dir());
        if let Some(hex) = missing {
            return Err(format!("lambda: the code {hex} is not in the data folder"));
        }
        *self.registry() = loaded;
        self.sweep();
        Ok(())
    }
}

struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make() -> std::io::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("throughline-lambda-{:016x}", ids::random_u64()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl AsRef<Path> for TemporaryFolder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
