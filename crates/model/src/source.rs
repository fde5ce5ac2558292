//! Where a checkpoint comes from: a local folder or the Hugging Face hub.

use std::fmt;
use std::path::{Path, PathBuf};

/// A checkpoint as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An existing path.
    Local(PathBuf),
    /// A repository on the hub.
    Hub(HubId),
}

impl Source {
    /// Reads what a user wrote. A path that exists is local, whatever else it could mean; otherwise it
    /// has to be a hub id, `owner/name` or `owner/name@revision`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unknown`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let path = Path::new(text);
        if path.exists() {
            return Ok(Source::Local(path.to_path_buf()));
        }
        match HubId::parse(text) {
            Some(id) => Ok(Source::Hub(id)),
            None => Err(SourceError::Unknown { found: text.to_owned() }),
        }
    }
}

/// A model repository on the hub, and a version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubId {
    owner: String,
    name: String,
    revision: Option<String>,
}

impl HubId {
    /// Reads `owner/name` or `owner/name@revision`, where the revision is a branch, tag or commit.
    ///
    /// `None` for anything that the hub could not have, and for anything that could lead out of the
    /// cache's folder.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, revision) = match text.split_once('@') {
            None => (text, None),
            Some((id, revision)) => (id, Some(revision)),
        };
        let (owner, name) = id.split_once('/')?;
        let revision_is_valid =
            revision.is_none_or(|revision| revision.len() <= 255 && revision.split('/').all(is_ref_part));
        (is_hub_name(owner) && is_hub_name(name) && revision_is_valid).then(|| HubId {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }

    /// `owner/name`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The branch, tag or commit; `main` when none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        match &self.revision {
            None => Ok(()),
            Some(revision) => write!(f, "@{revision}"),
        }
    }
}

/// The hub's own rule for owners and repositories.
fn is_hub_name(text: &str) -> bool {
    (1..=96).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("--")
        && !text.contains("..")
}

fn is_ref_part(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
        && !text.starts_with('.')
        && !text.contains("..")
}

/// How far the download of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download<'a> {
    /// The file's name in the repository.
    pub file: &'a str,
    /// Bytes received.
    pub received: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// A checkpoint that cannot be located.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Neither a path that exists nor a possible hub id.
    #[error(
        "{found:?} is neither an existing folder nor a hub id, \
         expected a checkpoint folder, owner/name or owner/name@revision"
    )]
    Unknown {
        /// What the user wrote.
        found: String,
    },
    /// A hub id, in a build without downloads.
    #[cfg(not(feature = "hub"))]
    #[error(
        "{id} is not an existing folder, and this build cannot download from the hub: \
         fetch the checkpoint elsewhere and give its folder"
    )]
    WithoutHub {
        /// The id.
        id: HubId,
    },
    /// The hub could not deliver it.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
}

/// The local folder of a checkpoint, downloaded first where that is needed.
///
/// A path that exists is returned as it is. A hub id such as `Maple728/TimeMoE-50M`, with `@revision` for
/// a branch, tag or commit, is looked up in the Hugging Face cache and downloaded into it when it is not
/// there; see [`hub::Hub`](crate::hub::Hub) for the environment variables. `progress` is called during
/// downloads only.
///
/// # Errors
///
/// [`SourceError`]; a folder that exists is not looked into.
pub fn resolve(source: &str, progress: &mut dyn FnMut(Download<'_>)) -> Result<PathBuf, SourceError> {
    match Source::parse(source)? {
        Source::Local(path) => Ok(path),
        #[cfg(feature = "hub")]
        Source::Hub(id) => Ok(crate::hub::Hub::from_env()?.fetch(&id, progress)?),
        #[cfg(not(feature = "hub"))]
        Source::Hub(id) => {
            let _ = progress;
            Err(SourceError::WithoutHub { id })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_an_owner_a_name_and_perhaps_a_revision() {
        let id = HubId::parse("Maple728/TimeMoE-50M").unwrap();
        assert_eq!(id.repository(), "Maple728/TimeMoE-50M");
        assert_eq!(id.revision(), "main");
        let id = HubId::parse("a/b.c@refs/pr/1").unwrap();
        assert_eq!(id.revision(), "refs/pr/1");
        assert_eq!(id.to_string(), "a/b.c@refs/pr/1");
    }

    #[test]
    fn what_the_hub_cannot_have_or_what_leads_out_of_the_cache_is_no_id() {
        for text in [
            "",
            "model",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            ".a/b",
            "a./b",
            "a--b/c",
            "a/b c",
            "a/b@",
            "a/b@..",
            "a/b@x/../y",
            "a/b@/etc",
            "a/b@x//y",
            "a/b@x\n",
            "a\\b/c",
            "é/b",
            "a/b@m@n",
        ] {
            assert_eq!(HubId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_existing_path_wins_over_a_hub_id() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        assert_eq!(Source::parse(folder).unwrap(), Source::Local(folder.into()));
        let resolved = resolve(folder, &mut |_| panic!("nothing to download")).unwrap();
        assert_eq!(resolved, Path::new(folder));
    }

    #[test]
    fn what_is_neither_path_nor_id_is_answered_with_what_would_be() {
        let error = resolve("./no/such/folder", &mut |_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"./no/such/folder\" is neither an existing folder nor a hub id, \
             expected a checkpoint folder, owner/name or owner/name@revision"
        );
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn a_build_without_downloads_says_so() {
        let error = resolve("Maple728/TimeMoE-50M", &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("cannot download"), "{error}");
    }
}
