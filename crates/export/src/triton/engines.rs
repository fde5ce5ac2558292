//! Which of a package's engines Triton's TensorRT backend can load.

use std::collections::BTreeSet;

use tmoe_package::{Engine, Flavour, OpSet, Package, PluginLibrary, Profile, files};

use super::error::TritonError;

/// Engines of one TensorRT version and one set of inputs, one per compute capability.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) engines: Vec<Engine>,
    pub(super) op_set: OpSet,
    pub(super) version: String,
    /// The same in all of them.
    pub(super) profiles: Vec<Profile>,
    pub(super) plugins: Option<PluginLibrary>,
}

impl Engines {
    /// The most series that every profile takes.
    pub(super) fn most_series(&self) -> u32 {
        self.profiles.iter().map(|profile| profile.batch.max).min().unwrap_or(1)
    }

    /// An engine's compute capability as Triton writes it, `8.6`, and its file in the repository.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, String, &Engine)> {
        self.engines.iter().map(|engine| {
            let architecture = engine.manifest().architecture;
            let capability = format!("{}.{}", architecture / 10, architecture % 10);
            (capability, format!("model.sm{architecture}.plan"), engine)
        })
    }
}

/// Chooses among a package's engines.
pub(super) fn choose(package: &Package, version: Option<&str>) -> Result<Engines, TritonError> {
    let path = package.path(files::ENGINES);
    let folders = Engine::folders(package).map_err(|source| TritonError::io("list", &path, source))?;
    let all =
        folders.into_iter().map(|folder| Engine::open(package, folder)).collect::<Result<Vec<_>, _>>()?;
    let any = !all.is_empty();
    let engines: Vec<Engine> =
        all.into_iter().filter(|engine| engine.manifest().flavour == Flavour::TensorRt).collect();
    let package_folder = || package.folder().to_owned();
    if engines.is_empty() {
        let package = package_folder();
        return Err(if any { TritonError::RtxOnly { package } } else { TritonError::NoEngine { package } });
    }
    let versions: BTreeSet<String> = engines.iter().map(|engine| engine.manifest().version.clone()).collect();
    let versions: Vec<String> = versions.into_iter().collect();
    let version = match (version, versions.as_slice()) {
        (None, [only]) => only.clone(),
        (None, _) => return Err(TritonError::SeveralVersions { package: package_folder(), versions }),
        (Some(asked), _) if versions.iter().any(|version| version == asked) => asked.to_owned(),
        (Some(asked), _) => {
            let asked = asked.to_owned();
            return Err(TritonError::NoSuchVersion { package: package_folder(), asked, versions });
        }
    };
    let engines: Vec<Engine> =
        engines.into_iter().filter(|engine| engine.manifest().version == version).collect();
    let Some(first) = engines.first() else {
        return Err(TritonError::NoEngine { package: package_folder() });
    };
    if let Some((other, what)) = engines.iter().find_map(|other| Some((other, difference(first, other)?))) {
        let (first, second) = (first.folder().to_owned(), other.folder().to_owned());
        return Err(TritonError::EnginesDiffer { first, second, what });
    }
    let manifest = first.manifest().clone();
    Ok(Engines {
        engines,
        op_set: manifest.op_set,
        version,
        profiles: manifest.profiles,
        plugins: manifest.plugins,
    })
}

/// In what two engines cannot be one model's.
fn difference(first: &Engine, second: &Engine) -> Option<&'static str> {
    let (first, second) = (first.manifest(), second.manifest());
    if first.op_set != second.op_set {
        return Some("their graph");
    }
    if first.profiles != second.profiles {
        return Some("the shapes they take");
    }
    (first.plugins != second.plugins).then_some("their plugins")
}
