//! Which of a package's engines runs on this machine.

use std::path::Path;

use tmoe_package::{Engine, EngineManifest, Flavour, Integrity, OpSet, Package};

use super::error::{EngineError, Unfit};
use crate::graph::GraphChoice;

/// What engines are chosen for.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// The device's name.
    pub(super) device: String,
    /// Its compute capability, times ten.
    pub(super) architecture: u32,
    /// Each flavour's version, or why its library cannot be used.
    pub(super) libraries: Vec<(Flavour, Result<String, String>)>,
}

impl Machine {
    fn library(&self, flavour: Flavour) -> Result<&str, Unfit> {
        match self.libraries.iter().find(|(known, _)| *known == flavour) {
            Some((_, Ok(version))) => Ok(version),
            Some((_, Err(reason))) => Err(Unfit::NoLibrary { flavour, reason: reason.clone() }),
            None => Err(Unfit::NoLibrary { flavour, reason: "it is not known".to_owned() }),
        }
    }

    /// The command that builds an engine for this machine where there is none to go by.
    fn build_command(&self, package: &Package, graph: GraphChoice) -> String {
        let has = |flavour| self.library(flavour).is_ok();
        let rtx = Flavour::TensorRtRtx.builds_for(package.manifest().precision).contains(&self.architecture)
            && (has(Flavour::TensorRtRtx) || !has(Flavour::TensorRt))
            && graph != GraphChoice::Only(OpSet::Plugin);
        let flavour = if rtx { Flavour::TensorRtRtx } else { Flavour::TensorRt };
        let mut command = format!(
            "tmoe-export engine {} --flavour {flavour} --architecture {}",
            package.folder().display(),
            self.architecture
        );
        if graph == GraphChoice::Only(OpSet::Plugin) {
            command += " --graph plugin --plugins libtmoe_trt_plugins.so";
        }
        command
    }

    fn check(&self, package: &Package, folder: &Path, graph: GraphChoice) -> Result<Engine, Unfit> {
        let engine = Engine::open_with(package, folder, Integrity::Lengths)?;
        let EngineManifest { flavour, version, architecture, op_set, .. } = engine.manifest();
        if !matches!(graph, GraphChoice::Auto) && graph != GraphChoice::Only(*op_set) {
            return Err(Unfit::OtherGraph(*op_set));
        }
        if *architecture != self.architecture {
            return Err(Unfit::OtherGpu(*architecture));
        }
        let library = self.library(*flavour)?;
        if library != version {
            let (found, library) = (version.clone(), library.to_owned());
            return Err(Unfit::OtherVersion { flavour: *flavour, found, library });
        }
        Ok(engine)
    }

    /// The engine of a package that runs here: one of the graph `plugin` rather than of `dense`, TensorRT's rather than
    /// TensorRT-RTX's. Of its file only the length is checked.
    pub(super) fn choose(&self, package: &Package, graph: GraphChoice) -> Result<Engine, EngineError> {
        let io = |source| EngineError::Io { path: package.path(tmoe_package::files::ENGINES), source };
        let (mut fit, mut unfit) = (Vec::new(), Vec::new());
        for folder in Engine::folders(package).map_err(io)? {
            match self.check(package, &folder, graph) {
                Ok(engine) => fit.push(engine),
                Err(reason) => {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    unfit.push((name, reason));
                }
            }
        }
        let rank = |engine: &Engine| {
            let EngineManifest { op_set, flavour, .. } = engine.manifest();
            (*op_set == OpSet::Plugin, *flavour == Flavour::TensorRt)
        };
        if let Some(engine) = fit.into_iter().max_by_key(rank) {
            return Ok(engine);
        }
        let build = self.build_command(package, graph);
        // One engine that would do if it were whole and of this package: its error has the command.
        if unfit.len() == 1
            && let Some((_, Unfit::Refused(_))) = unfit.first()
            && let Some((_, Unfit::Refused(error))) = unfit.pop()
        {
            return Err(error.into());
        }
        let package = package.folder().to_owned();
        if unfit.is_empty() {
            return Err(EngineError::NoEngine { package, build });
        }
        let device = format!("{} (sm{})", self.device, self.architecture);
        Err(EngineError::NoneFits { package, device, engines: unfit, build })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tmoe_package::{FileEntry, Precision, Profile, Span, Tool, files, hash_bytes, hash_file};

    use super::*;

    const BYTES: &[u8] = b"an engine";

    fn machine() -> Machine {
        Machine {
            device: "Fake GPU".to_owned(),
            architecture: 86,
            libraries: vec![
                (Flavour::TensorRt, Ok("10.16.0".to_owned())),
                (Flavour::TensorRtRtx, Ok("1.7.1".to_owned())),
            ],
        }
    }

    /// Adds an engine to a package; `edit` changes its manifest.
    fn add(
        package: &Package,
        flavour: Flavour,
        architecture: u32,
        edit: impl FnOnce(&mut EngineManifest),
    ) -> PathBuf {
        let version = if flavour == Flavour::TensorRt { "10.16.0" } else { "1.7.1" };
        let span = Span { min: 1, opt: 1, max: 8 };
        let mut manifest = EngineManifest {
            schema: EngineManifest::SCHEMA,
            tool: Tool { name: "test".to_owned(), version: "0".to_owned() },
            package: hash_file(&package.path(files::MANIFEST)).unwrap().0,
            flavour,
            version: version.to_owned(),
            architecture,
            op_set: OpSet::Dense,
            precision: Precision::Fp32,
            profiles: vec![Profile { name: "prefill".to_owned(), batch: span, sequence: span, past: span }],
            plugins: None,
            engine: FileEntry { bytes: BYTES.len() as u64, sha256: hash_bytes(BYTES) },
        };
        edit(&mut manifest);
        let name = Engine::folder_name(flavour, &manifest.version, architecture);
        let folder = package.path(files::ENGINES).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(files::ENGINE), BYTES).unwrap();
        fs::write(folder.join(files::ENGINE_MANIFEST), manifest.to_json()).unwrap();
        folder
    }

    fn package() -> (tempfile::TempDir, Package) {
        let folder = tempfile::tempdir().unwrap();
        let package = crate::testing::package(folder.path(), "last");
        (folder, package)
    }

    #[test]
    fn the_engine_for_this_gpu_and_library_is_chosen() {
        let (_folder, package) = package();
        let (rtx, tensorrt) = (Flavour::TensorRtRtx, Flavour::TensorRt);
        add(&package, rtx, 89, |_| ());
        let fitting = add(&package, rtx, 86, |_| ());
        let choose = |graph: GraphChoice| machine().choose(&package, graph);
        assert_eq!(choose(GraphChoice::Auto).unwrap().folder(), fitting);
        let better = add(&package, tensorrt, 86, |_| ());
        assert_eq!(choose(GraphChoice::Auto).unwrap().folder(), better);
        let best = add(&package, rtx, 86, |manifest| manifest.op_set = OpSet::Plugin);
        assert_eq!(choose(GraphChoice::Auto).unwrap().folder(), best);
        assert_eq!(choose(OpSet::Dense.into()).unwrap().folder(), better);
    }

    #[test]
    fn a_package_without_engines_is_told_how_to_get_one() {
        let (_folder, package) = package();
        let command = |machine: &Machine, graph: GraphChoice| {
            let text = machine.choose(&package, graph).unwrap_err().to_string();
            text.split_once("tmoe-export engine ").unwrap().1.split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(command(&machine(), GraphChoice::Auto), "--flavour tensorrt-rtx --architecture 86");
        assert_eq!(
            command(&machine(), OpSet::Plugin.into()),
            "--flavour tensorrt --architecture 86 --graph plugin --plugins libtmoe_trt_plugins.so"
        );
        // TensorRT-RTX is not for GPUs of data centres.
        let hopper = Machine { architecture: 90, ..machine() };
        assert_eq!(command(&hopper, GraphChoice::Auto), "--flavour tensorrt --architecture 90");
    }

    #[test]
    fn every_engine_that_does_not_run_here_is_told_with_its_reason() {
        let (_folder, package) = package();
        add(&package, Flavour::TensorRtRtx, 89, |_| ());
        add(&package, Flavour::TensorRtRtx, 86, |manifest| manifest.version = "1.6.0".to_owned());
        add(&package, Flavour::TensorRt, 86, |_| ());
        let mut machine = machine();
        machine.libraries[0].1 = Err("no libnvinfer".to_owned());
        let text = machine.choose(&package, GraphChoice::Auto).unwrap_err().to_string();
        let expected = [
            "Fake GPU (sm86)",
            "tensorrt-rtx-1.7.1-sm89: it is for GPUs of sm89",
            "tensorrt-rtx-1.6.0-sm86: tensorrt-rtx 1.6.0 built it, and here is 1.7.1",
            "tensorrt-10.16.0-sm86: it needs tensorrt: no libnvinfer",
            "--flavour tensorrt-rtx --architecture 86",
        ];
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
        let text = machine.choose(&package, OpSet::Plugin.into()).unwrap_err().to_string();
        assert!(text.contains("it is of the graph `dense`"), "{text}");
    }

    #[test]
    fn a_stale_or_truncated_engine_is_refused_with_the_command_that_builds_it_again() {
        let command = "--flavour tensorrt-rtx --architecture 86 --graph dense --precision fp32 --batch 1,1,8 --context 1,1,8 --force";
        let (_folder, package) = package();
        let engine =
            add(&package, Flavour::TensorRtRtx, 86, |manifest| manifest.package = hash_bytes(b"other"));
        let text = machine().choose(&package, GraphChoice::Auto).unwrap_err().to_string();
        assert!(text.contains("is stale") && text.ends_with(command), "{text}");
        add(&package, Flavour::TensorRtRtx, 86, |_| ());
        fs::write(engine.join(files::ENGINE), &BYTES[1..]).unwrap();
        let text = machine().choose(&package, GraphChoice::Auto).unwrap_err().to_string();
        assert!(text.contains("has 8 bytes, its manifest says 9") && text.ends_with(command), "{text}");
    }
}
