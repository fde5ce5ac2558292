//! Which versions of which models serve, and how one takes another's place while requests go on.
//!
//! A version is loaded beside the one that serves, and takes its place only once it has passed its self-test. The old one
//! finishes what it was given, and ends. A version that cannot be loaded changes nothing but the reason that is shown for it.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use thiserror::Error;

use super::error::{NotReady, Unknown};
use super::lane::{Lane, Speed};
use super::metrics::Metrics;
use super::model::Loader;
use super::name::{ModelName, Version};
use super::queue::Policy;
use super::workers::Workers;

/// When rows become a batch: [`Policy`], as the model has profit from it unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneOptions {
    /// Points of one batch.
    pub points: Option<usize>,
    /// Rows of one batch.
    pub rows: Option<usize>,
    /// How long a row waits for others.
    pub wait: Option<Duration>,
}

impl LaneOptions {
    fn policy(self, usual: Policy) -> Policy {
        Policy {
            points: self.points.unwrap_or(usual.points),
            rows: self.rows.unwrap_or(usual.rows),
            wait: self.wait.unwrap_or(usual.wait),
        }
    }
}

impl From<Policy> for LaneOptions {
    fn from(policy: Policy) -> Self {
        Self { points: Some(policy.points), rows: Some(policy.rows), wait: Some(policy.wait) }
    }
}

/// A version that serves.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The model.
    pub name: ModelName,
    /// Its version.
    pub version: Version,
    /// What runs it.
    pub lane: Arc<Lane>,
}

/// What is known of a version.
#[derive(Debug)]
struct Entry {
    package: PathBuf,
    lane: Option<Arc<Lane>>,
    loading: bool,
    /// Why the last attempt to load it failed.
    reason: Option<String>,
}

/// The state of a version, as the model repository extension of the Open Inference Protocol names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Ready,
    /// It does not, and is not about to.
    Unavailable,
    /// It is being loaded, and does not serve yet.
    Loading,
}

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The model.
    pub name: ModelName,
    /// Its version.
    pub version: Version,
    /// Its state.
    pub state: State,
    /// Why it is not ready, or why what should have replaced it is not there.
    pub reason: Option<String>,
}

/// Why a version was not loaded. What served before still serves.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Nobody said where its package is.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The package, or the machine.
    #[error("the model `{name}`, version `{version}`, was not loaded: {reason}")]
    Failed {
        /// The model.
        name: ModelName,
        /// Its version.
        version: Version,
        /// What is wrong.
        reason: String,
    },
}

type Versions = BTreeMap<Version, Entry>;
type Models = BTreeMap<ModelName, Versions>;

/// All models of a server.
pub struct Registry {
    models: RwLock<Models>,
    /// One load at a time: each needs the memory of a whole model.
    loading: Mutex<()>,
    loader: Box<dyn Loader>,
    options: LaneOptions,
    metrics: Arc<Metrics>,
    speed: Arc<Speed>,
    workers: Arc<Workers>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("models", &self.models).finish_non_exhaustive()
    }
}

impl Registry {
    /// No models yet.
    pub fn new(
        loader: Box<dyn Loader>,
        options: LaneOptions,
        metrics: Arc<Metrics>,
        speed: Arc<Speed>,
    ) -> Self {
        let (models, loading, workers) = (RwLock::default(), Mutex::default(), Arc::default());
        Self { models, loading, loader, options, metrics, speed, workers }
    }

    /// The threads that run models.
    pub fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    /// Says where the package of a version is; it is loaded by [`Registry::load`].
    pub fn register(&self, name: &ModelName, version: &Version, package: &Path) {
        let entry = Entry { package: package.to_owned(), lane: None, loading: false, reason: None };
        let mut models = self.write();
        let versions = models.entry(name.clone()).or_default();
        versions
            .entry(version.clone())
            .and_modify(|known| known.package = package.to_owned())
            .or_insert(entry);
    }

    /// Loads a version, or loads it again. Blocks.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; then everything serves as before.
    pub fn load(&self, name: &ModelName, version: &Version) -> Result<(), LoadError> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let package = self.change(name, version, |entry| {
            entry.loading = true;
            entry.package.clone()
        })?;
        tracing::info!(model = %name, %version, package = %package.display(), "loading");
        let lane = self.lane(name, version, &package);
        let result = self.change(name, version, |entry| {
            entry.loading = false;
            match lane {
                Ok(lane) => {
                    self.metrics.loaded(name, version, Some(lane.model().facts()));
                    entry.reason = None;
                    Ok(entry.lane.replace(Arc::new(lane)))
                }
                Err(reason) => {
                    entry.reason = Some(reason.clone());
                    Err(LoadError::Failed { name: name.clone(), version: version.clone(), reason })
                }
            }
        })?;
        match &result {
            Ok(old) => {
                old.iter().for_each(|lane| lane.close());
                tracing::info!(model = %name, %version, replaced = old.is_some(), "ready");
            }
            Err(error) => tracing::error!(model = %name, %version, error = %error, "not loaded"),
        }
        result.map(|_| ())
    }

    fn lane(&self, name: &ModelName, version: &Version, package: &Path) -> Result<Lane, String> {
        let load = AssertUnwindSafe(|| self.loader.load(package).map_err(|error| error.to_string()));
        let model = catch_unwind(load).unwrap_or_else(|_| Err("loading it panicked".to_owned()))?;
        let policy = self.options.policy(model.facts().policy);
        let metrics = self.metrics.model(name, version);
        Lane::start(model, policy, metrics, Arc::clone(&self.speed), &self.workers)
            .map_err(|error| format!("no thread could be started: {error}"))
    }

    /// Stops serving versions of a model, all of them unless one is named. What they were given is still forecast.
    ///
    /// # Errors
    ///
    /// [`Unknown`] when there is no such model or version.
    pub fn unload(&self, name: &ModelName, version: Option<&Version>) -> Result<(), Unknown> {
        for version in self.versions(name, version)? {
            let lane = self.change(name, &version, |entry| entry.lane.take())?;
            self.metrics.loaded(name, &version, None);
            if let Some(lane) = lane {
                lane.close();
                tracing::info!(model = %name, %version, "unloaded");
            }
        }
        Ok(())
    }

    /// The versions of a model that are known: the named one, or all.
    ///
    /// # Errors
    ///
    /// [`Unknown`].
    pub fn versions(&self, name: &ModelName, version: Option<&Version>) -> Result<Vec<Version>, Unknown> {
        let models = self.read();
        let versions = versions_of(&models, name)?;
        match version {
            None => Ok(versions.keys().cloned().collect()),
            Some(version) => entry_of(versions, name, version).map(|_| vec![version.clone()]),
        }
    }

    /// The version that serves a request: the named one, or the newest that is ready; of the named model, or of the only one.
    ///
    /// # Errors
    ///
    /// [`Resolve`].
    pub fn resolve(&self, name: Option<&str>, version: Option<&str>) -> Result<Serving, Resolve> {
        let models = self.read();
        let name = match (name, models.keys().collect::<Vec<_>>().as_slice()) {
            (Some(name), _) => name.parse::<ModelName>().map_err(Unknown::Name)?,
            (None, &[only]) => only.clone(),
            (None, names) => {
                return Err(Unknown::Unnamed { available: names.iter().copied().cloned().collect() }.into());
            }
        };
        let versions = versions_of(&models, &name)?;
        let named = version.map(str::parse::<Version>).transpose().map_err(Unknown::Name)?;
        let (version, entry) = match named {
            Some(version) => {
                let entry = entry_of(versions, &name, &version)?;
                (version, entry)
            }
            None => {
                let newest =
                    |serves: bool| versions.iter().rev().find(|(_, entry)| entry.lane.is_some() || !serves);
                let Some((version, entry)) = newest(true).or_else(|| newest(false)) else {
                    return Err(NotReady { name, reason: "it has no version".to_owned() }.into());
                };
                (version.clone(), entry)
            }
        };
        match &entry.lane {
            Some(lane) => Ok(Serving { name, version, lane: Arc::clone(lane) }),
            None => Err(NotReady { name, reason: entry.why_not(&version) }.into()),
        }
    }

    /// Every version that is known.
    pub fn index(&self) -> Vec<Listed> {
        let models = self.read();
        let entries = models
            .iter()
            .flat_map(|(name, versions)| versions.iter().map(move |(version, entry)| (name, version, entry)));
        let listed = entries.map(|(name, version, entry)| Listed {
            name: name.clone(),
            version: version.clone(),
            state: entry.state(),
            reason: entry.reason.clone(),
        });
        listed.collect()
    }

    /// Whether there is a model, and none is without a version that serves.
    pub fn is_ready(&self) -> bool {
        let models = self.read();
        let serves = |versions: &Versions| versions.values().any(|entry| entry.lane.is_some());
        !models.is_empty() && models.values().all(serves)
    }

    fn change<T>(
        &self,
        name: &ModelName,
        version: &Version,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Result<T, Unknown> {
        let mut models = self.write();
        entry_of(versions_of(&models, name)?, name, version)?;
        let entry = models.get_mut(name).and_then(|versions| versions.get_mut(version));
        Ok(change(entry.unwrap_or_else(|| unreachable!("the version was found above"))))
    }

    fn read(&self) -> RwLockReadGuard<'_, Models> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Models> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn state(&self) -> State {
        match (&self.lane, self.loading) {
            (Some(_), _) => State::Ready,
            (None, true) => State::Loading,
            (None, false) => State::Unavailable,
        }
    }

    fn why_not(&self, version: &Version) -> String {
        match (&self.reason, self.loading) {
            (_, true) => format!("version `{version}` is being loaded"),
            (Some(reason), false) => format!("version `{version}` could not be loaded: {reason}"),
            (None, false) => format!("version `{version}` is not loaded"),
        }
    }
}

fn versions_of<'a>(models: &'a Models, name: &ModelName) -> Result<&'a Versions, Unknown> {
    models
        .get(name)
        .ok_or_else(|| Unknown::Model { name: name.clone(), available: models.keys().cloned().collect() })
}

fn entry_of<'a>(versions: &'a Versions, name: &ModelName, version: &Version) -> Result<&'a Entry, Unknown> {
    versions.get(version).ok_or_else(|| Unknown::Version {
        name: name.clone(),
        version: version.clone(),
        available: versions.keys().cloned().collect(),
    })
}

/// Why no version serves a request.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Resolve {
    /// There is none.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// It does not serve.
    #[error(transparent)]
    NotReady(#[from] NotReady),
}

impl From<Resolve> for super::error::ForecastError {
    fn from(error: Resolve) -> Self {
        match error {
            Resolve::Unknown(unknown) => unknown.into(),
            Resolve::NotReady(not_ready) => not_ready.into(),
        }
    }
}
