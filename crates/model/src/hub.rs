//! Checkpoints from the Hugging Face hub, kept in the cache that all Hugging Face tools share.

mod error;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

pub use self::error::HubError;
use crate::checkpoint::{CONFIG_FILE, SINGLE_FILE, index};
use crate::source::{Download, HubId};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Access to a hub: where it is, who asks, and where downloads are kept.
///
/// [`Hub::from_env`] takes these from the variables that all Hugging Face tools read.
#[derive(Clone)]
pub struct Hub {
    endpoint: String,
    token: Option<String>,
    cache: PathBuf,
    offline: bool,
}

impl Hub {
    /// The public hub without a token, with downloads in `cache`: a folder with the layout of
    /// `~/.cache/huggingface/hub`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Hub { endpoint: DEFAULT_ENDPOINT.to_owned(), token: None, cache: cache.into(), offline: false }
    }

    /// The hub that the environment describes:
    ///
    /// - `HF_ENDPOINT`: another hub or a mirror than `https://huggingface.co`.
    /// - `HF_TOKEN`: the token to send; without it the one that `hf auth login` stored.
    /// - `HF_HUB_CACHE`, or `hub` in `HF_HOME`, in `XDG_CACHE_HOME/huggingface` or in
    ///   `~/.cache/huggingface`: the cache.
    /// - `HF_HUB_OFFLINE`: with 1, true, yes or on, only the cache is used.
    ///
    /// # Errors
    ///
    /// [`HubError::NoCache`] when there is no home folder either; [`HubError::Endpoint`].
    pub fn from_env() -> Result<Self, HubError> {
        Hub::from_variables(&|name| std::env::var_os(name), std::env::home_dir())
    }

    fn from_variables(
        variable: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().trim().to_owned());
        let huggingface = set("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|xdg| Path::new(&xdg).join("huggingface")))
            .or_else(|| home.map(|home| home.join(".cache").join("huggingface")));
        let cache = set("HF_HUB_CACHE")
            .map(PathBuf::from)
            .or_else(|| huggingface.as_ref().map(|folder| folder.join("hub")))
            .ok_or(HubError::NoCache)?;
        let stored = || {
            let token = fs::read_to_string(huggingface?.join("token")).ok()?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let token = text("HF_TOKEN").or_else(stored);
        let offline = text("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str()));
        let hub = Hub { token, offline, ..Hub::new(cache) };
        match text("HF_ENDPOINT") {
            None => Ok(hub),
            Some(endpoint) => hub.with_endpoint(&endpoint),
        }
    }

    /// Another hub or a mirror.
    ///
    /// # Errors
    ///
    /// [`HubError::Endpoint`] when it starts with neither `http://` nor `https://`.
    pub fn with_endpoint(mut self, endpoint: &str) -> Result<Self, HubError> {
        let rest = ["http://", "https://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme));
        let is_address = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
        if !rest.is_some_and(is_address) {
            return Err(HubError::Endpoint { found: endpoint.to_owned() });
        }
        self.endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(self)
    }

    /// The token to send, for repositories that are not public.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// With `true`, only the cache is used.
    pub fn with_offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// The folder in the cache that holds a complete checkpoint: `config.json`, and `model.safetensors`
    /// or the index with all its shards.
    ///
    /// A complete checkpoint in the cache is used without asking the hub, so a branch that has moved on is
    /// not noticed; name a commit to get a certain version. All files come from one commit, also when the
    /// branch moves during the download. A download that was interrupted continues where it stopped.
    /// There is no time limit: a hub that keeps a connection open without sending is waited for.
    ///
    /// # Errors
    ///
    /// Any [`HubError`]. What has been downloaded stays in the cache.
    pub fn fetch(&self, id: &HubId, progress: &mut dyn FnMut(Download<'_>)) -> Result<PathBuf, HubError> {
        if let Some(snapshot) = self.cached(id) {
            return Ok(snapshot);
        }
        if self.offline {
            return Err(HubError::Offline { id: Box::new(id.clone()), cache: self.cache.clone() });
        }
        let mut transfer = Transfer { hub: self, id, api: self.api(id)?, progress };
        let config = transfer.download(id.revision(), CONFIG_FILE)?;
        // The snapshot's folder is named by the commit; everything else is asked for by it.
        let snapshot = config.parent().map(Path::to_path_buf);
        let commit = snapshot.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        let (Some(snapshot), Some(commit)) = (&snapshot, commit) else {
            return Err(self.not_a_hub(id, CONFIG_FILE, "it names no commit"));
        };

        if !snapshot.join(SINGLE_FILE).exists() {
            match transfer.download(commit, index::FILE_NAME) {
                Ok(path) => transfer.download_shards(commit, &path)?,
                Err(HubError::NotFound { .. }) => {
                    transfer.download(commit, SINGLE_FILE).map_err(|error| match error {
                        HubError::NotFound { endpoint, id, .. } => HubError::NoWeights { endpoint, id },
                        other => other,
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(snapshot.clone())
    }

    /// The snapshot of a revision, if it is complete.
    fn cached(&self, id: &HubId) -> Option<PathBuf> {
        let repository = self.cache.join(self.repo(id, id.revision()).folder_name());
        let commit = fs::read_to_string(repository.join("refs").join(id.revision()))
            .unwrap_or_else(|_| id.revision().to_owned());
        let snapshot = repository.join("snapshots").join(commit.trim());
        let complete = snapshot.join(CONFIG_FILE).exists()
            && (snapshot.join(SINGLE_FILE).exists() || has_all_shards(&snapshot));
        complete.then_some(snapshot)
    }

    fn api(&self, id: &HubId) -> Result<Api, HubError> {
        ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_user_agent("tmoe", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| self.explain(id, CONFIG_FILE, error))
    }

    fn repo(&self, id: &HubId, revision: &str) -> Repo {
        Repo::with_revision(id.repository(), RepoType::Model, revision.to_owned())
    }

    /// Says what an error of the client means for someone who wants this file.
    fn explain(&self, id: &HubId, file: &str, error: ApiError) -> HubError {
        let (endpoint, id, file) = (self.endpoint.clone(), Box::new(id.clone()), file.to_owned());
        match error {
            ApiError::RequestError(source) => match *source {
                ureq::Error::StatusCode(status @ (401 | 403)) => {
                    HubError::Denied { endpoint, status, id, with_token: self.token.is_some() }
                }
                ureq::Error::StatusCode(404) => HubError::NotFound { endpoint, id, file },
                ureq::Error::StatusCode(status) => HubError::Status { endpoint, status, id, file },
                _ => HubError::Unreachable { endpoint, id, source },
            },
            ApiError::IoError(source) => HubError::Transfer { id, file, cache: self.cache.clone(), source },
            other => HubError::NotAHub { endpoint, id, file, reason: other.to_string() },
        }
    }

    fn not_a_hub(&self, id: &HubId, file: &str, reason: &str) -> HubError {
        HubError::NotAHub {
            endpoint: self.endpoint.clone(),
            id: Box::new(id.clone()),
            file: file.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// Without the token, which must not reach a log.
impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("has_token", &self.token.is_some())
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish()
    }
}

fn has_all_shards(snapshot: &Path) -> bool {
    index::read(&snapshot.join(index::FILE_NAME))
        .is_ok_and(|shards| shards.values().all(|shard| snapshot.join(shard).exists()))
}

/// The download of one checkpoint.
struct Transfer<'a> {
    hub: &'a Hub,
    id: &'a HubId,
    api: Api,
    progress: &'a mut dyn FnMut(Download<'_>),
}

impl Transfer<'_> {
    fn download_shards(&mut self, commit: &str, path: &Path) -> Result<(), HubError> {
        let snapshot = path.parent().unwrap_or(path);
        let shards = index::read(path).map_err(|error| HubError::Index(Box::new(error)))?;
        let mut shards: Vec<String> = shards.into_values().collect();
        shards.sort();
        shards.dedup();
        for shard in shards {
            if !snapshot.join(&shard).exists() {
                self.download(commit, &shard)?;
            }
        }
        Ok(())
    }

    fn download(&mut self, revision: &str, file: &str) -> Result<PathBuf, HubError> {
        let repo = self.api.repo(self.hub.repo(self.id, revision));
        let mut total = 0;
        let report = Report { file, received: 0, total: &mut total, progress: self.progress };
        // The client panics on some answers that no hub gives, such as a redirection without a target.
        let attempt = catch_unwind(AssertUnwindSafe(|| repo.download_with_progress(file, report)));
        let path = match attempt {
            Ok(Ok(path)) => path,
            Ok(Err(error)) => return Err(self.hub.explain(self.id, file, error)),
            Err(_) => return Err(self.hub.not_a_hub(self.id, file, "its answer cannot be understood")),
        };
        let found = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(source) => return Err(self.hub.explain(self.id, file, source.into())),
        };
        if found != total {
            // The client does not compare lengths, and would take the file from the cache next time.
            for spoiled in [fs::canonicalize(&path).ok(), Some(path)].into_iter().flatten() {
                let _ = fs::remove_file(spoiled);
            }
            return Err(HubError::Incomplete {
                id: Box::new(self.id.clone()),
                file: file.to_owned(),
                expected: total,
                found,
            });
        }
        Ok(path)
    }
}

/// Passes the client's progress on.
struct Report<'a> {
    file: &'a str,
    received: u64,
    total: &'a mut u64,
    progress: &'a mut dyn FnMut(Download<'_>),
}

impl Report<'_> {
    fn send(&mut self) {
        let Report { file, received, ref total, .. } = *self;
        (self.progress)(Download { file, received, total: **total });
    }
}

impl Progress for Report<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        *self.total = size as u64;
        self.received = 0;
        self.send();
    }

    fn update(&mut self, size: usize) {
        self.received += size as u64;
        self.send();
    }

    fn finish(&mut self) {}
}
