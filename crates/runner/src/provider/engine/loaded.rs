//! From a package to an engine on a device.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tmoe_driver::Device;
use tmoe_package::{Engine, EngineManifest, OpSet, Package, hash_file};
use tmoe_tensorrt::{DataType, EngineTensor, Library, Runtime};

use super::choose::Machine;
use super::context::EngineContexts;
use super::error::EngineError;
use super::machine;
use super::pass::{PassError, says_out_of_memory};
use super::session::{EngineBackend, EngineFacts};
use crate::error::{Error, GraphSource};
use crate::ports;
use crate::provider::ProviderOptions;
use crate::signature::{Dim, Port, Signature};
use crate::tensor::ElementType;

/// Loads the engine of a package's graph that runs on the device that is asked for.
pub(super) fn load(
    package: &Package,
    op_set: OpSet,
    options: &ProviderOptions,
) -> Result<EngineBackend, Error> {
    let device = machine::device(options.device).map_err(EngineError::from)?;
    let chosen = Machine::of(&device).choose(package, op_set.into())?;
    // Now its contents too.
    let engine = Engine::open(package, chosen.folder()).map_err(EngineError::from)?;
    let load = Load { package, engine: &engine, device: &device };
    load.load(options)
}

struct Load<'a> {
    package: &'a Package,
    engine: &'a Engine,
    device: &'a Arc<Device>,
}

impl Load<'_> {
    fn rebuild(&self) -> String {
        self.engine.manifest().build_command(self.package.folder()) + " --force"
    }

    fn refused(&self, message: impl ToString) -> EngineError {
        EngineError::Refused {
            engine: self.engine.path(),
            message: crate::error::one_line(message.to_string()),
            rebuild: self.rebuild(),
        }
    }

    fn load(&self, options: &ProviderOptions) -> Result<EngineBackend, Error> {
        let manifest = self.engine.manifest();
        let library = machine::library(manifest.flavour)
            .map_err(|error| EngineError::NoLibrary { reasons: vec![error.to_string()] })?;
        let graph = GraphSource::File(self.engine.path());
        if let Some(plugins) = self.plugins(options.tensorrt.plugins.as_deref())? {
            library.load_plugins(&plugins).map_err(|error| self.refused(error))?;
        }
        let path = self.engine.path();
        let plan = fs::read(&path).map_err(|source| EngineError::File { path, source })?;
        let engine = self.deserialize(library, &plan).map_err(|error| match error {
            PassError::TensorRt(error) if !says_out_of_memory(&error.to_string()) => {
                Error::from(self.refused(error))
            }
            other => other.of(&graph, self.device),
        })?;
        drop(plan);
        let signature = ports::signature(self.package.manifest(), manifest.op_set);
        self.check(&engine, manifest, &signature)?;
        let maker = self.device.within(|| EngineContexts::new(engine, self.device));
        let maker = maker.map_err(|error| error.of(&graph, self.device))?;
        let facts = EngineFacts {
            signature,
            profiles: manifest.profiles.clone(),
            precision: manifest.precision,
            graph,
            rebuild: self.rebuild(),
        };
        EngineBackend::new(Box::new(maker), facts, Arc::clone(self.device), options.cuda_graph)
    }

    fn deserialize(&self, library: Library, plan: &[u8]) -> Result<tmoe_tensorrt::Engine, PassError> {
        self.device.within(|| Ok(Runtime::new(library)?.deserialize(plan)?))
    }

    /// The library of plugins that the engine needs: the one that is named, or one beside the program. What lies in a package is data
    /// and is not run, whatever its manifest says.
    fn plugins(&self, named: Option<&Path>) -> Result<Option<PathBuf>, EngineError> {
        let folder = self.engine.folder().to_owned();
        let Some(needed) = &self.engine.manifest().plugins else { return Ok(None) };
        let path = named.map(Path::to_owned).or_else(|| beside_program(&needed.file));
        let path =
            path.ok_or_else(|| EngineError::NoPlugins { engine: folder.clone(), file: needed.file.clone() })?;
        let (found, _) =
            hash_file(&path).map_err(|source| EngineError::File { path: path.clone(), source })?;
        if found != needed.sha256 {
            let (expected, rebuild) = (needed.sha256.clone(), self.rebuild());
            return Err(EngineError::OtherPlugins { path, engine: folder, expected, found, rebuild });
        }
        Ok(Some(path))
    }

    /// That the engine is what its manifest and the package say.
    fn check(
        &self,
        engine: &tmoe_tensorrt::Engine,
        manifest: &EngineManifest,
        signature: &Signature,
    ) -> Result<(), EngineError> {
        let (found, expected) = (engine.profile_count(), manifest.profiles.len());
        let found = match found == expected {
            true => difference(engine.tensors(), signature),
            false => Some(format!("it has {found} profiles, its manifest says {expected}")),
        };
        match found {
            None => Ok(()),
            Some(found) => Err(EngineError::OtherInterface {
                engine: self.engine.path(),
                found,
                rebuild: self.rebuild(),
            }),
        }
    }
}

/// A file of that name beside the program; none for what is more than a name.
fn beside_program(file: &str) -> Option<PathBuf> {
    if Path::new(file).file_name().is_none_or(|name| name != file) {
        return None;
    }
    let program = tmoe_libraries::running_program()?;
    let folders = tmoe_libraries::folders_near(&program, &["lib"], "tensorrt-plugins");
    folders.into_iter().map(|folder| folder.join(file)).find(|path| path.is_file())
}

/// What is other in an engine than in the graphs of its package.
fn difference(tensors: &[EngineTensor], signature: &Signature) -> Option<String> {
    let find = |name: &str, is_input| {
        tensors.iter().find(|tensor| tensor.name == name && tensor.is_input == is_input)
    };
    let ports = signature
        .inputs
        .iter()
        .map(|port| (port, true))
        .chain(signature.outputs.iter().map(|port| (port, false)));
    for (port, is_input) in ports.clone() {
        let kind = if is_input { "input" } else { "output" };
        let Some(tensor) = find(&port.name, is_input) else {
            return Some(format!("it has no {kind} `{}`", port.name));
        };
        if !fits(tensor, port) {
            let EngineTensor { name, data_type, shape, .. } = tensor;
            return Some(format!(
                "its {kind} `{name}` is {data_type:?} {shape:?}, expected {} {}",
                port.element_type,
                port.shape_text()
            ));
        }
        if let Some(input) = &tensor.aliased_input {
            return Some(format!("its output `{}` has to share the memory of `{input}`", port.name));
        }
        if tensor.on_host {
            return Some(format!("its {kind} `{}` is not on the device", port.name));
        }
    }
    let known = |tensor: &EngineTensor| {
        ports.clone().any(|(port, is_input)| port.name == tensor.name && is_input == tensor.is_input)
    };
    tensors
        .iter()
        .find(|tensor| !known(tensor))
        .map(|tensor| format!("it has a tensor `{}` too many", tensor.name))
}

fn fits(tensor: &EngineTensor, port: &Port) -> bool {
    let element_type = match tensor.data_type {
        DataType::Float => ElementType::F32,
        DataType::Half => ElementType::F16,
        DataType::Bf16 => ElementType::BF16,
        DataType::Int64 => ElementType::I64,
        _ => return false,
    };
    element_type == port.element_type
        && tensor.shape.len() == port.shape.len()
        && tensor.shape.iter().zip(&port.shape).all(|(&size, dim)| match dim {
            Dim::Fixed(expected) => usize::try_from(size) == Ok(*expected),
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        let port = |name: &str, dims: &[&str]| Port {
            name: name.to_owned(),
            element_type: ElementType::F32,
            shape: dims.iter().map(|dim| Dim::parse(dim)).collect(),
        };
        Signature { inputs: vec![port("x", &["batch", "1"])], outputs: vec![port("y", &["batch", "8"])] }
    }

    fn tensors() -> Vec<EngineTensor> {
        [("x", true, [-1, 1]), ("y", false, [-1, 8])]
            .map(|(name, is_input, shape)| EngineTensor {
                name: name.to_owned(),
                is_input,
                data_type: DataType::Float,
                shape: shape.to_vec(),
                on_host: false,
                is_shape: false,
                aliased_input: None,
                profiles: Vec::new(),
            })
            .into()
    }

    #[test]
    fn plugins_are_found_beside_the_program_by_name_and_nowhere_else() {
        let program = tmoe_libraries::running_program().unwrap();
        let name = program.file_name().unwrap().to_str().unwrap();
        assert_eq!(beside_program(name), Some(program.clone()));
        for path in [program.to_str().unwrap(), &format!("../deps/{name}"), &format!("{name}/"), "..", ""] {
            assert_eq!(beside_program(path), None, "{path}");
        }
    }

    #[test]
    fn an_engine_with_the_graphs_tensors_is_taken() {
        assert_eq!(difference(&tensors(), &signature()), None);
    }

    #[test]
    fn what_is_other_in_an_engine_is_named() {
        type Edit = fn(&mut Vec<EngineTensor>);
        let edits: [(Edit, &str); 7] = [
            (
                |tensors| tensors[0].data_type = DataType::Half,
                "its input `x` is Half [-1, 1], expected float32 [batch, 1]",
            ),
            (
                |tensors| tensors[1].shape = vec![-1, 9],
                "its output `y` is Float [-1, 9], expected float32 [batch, 8]",
            ),
            (
                |tensors| tensors[1].shape = vec![-1],
                "its output `y` is Float [-1], expected float32 [batch, 8]",
            ),
            (|tensors| tensors[1].is_input = true, "it has no output `y`"),
            (
                |tensors| tensors[1].aliased_input = Some("x".to_owned()),
                "its output `y` has to share the memory of `x`",
            ),
            (|tensors| tensors[0].on_host = true, "its input `x` is not on the device"),
            (
                |tensors| {
                    let mut other = tensors[0].clone();
                    "z".clone_into(&mut other.name);
                    tensors.push(other);
                },
                "it has a tensor `z` too many",
            ),
        ];
        for (edit, expected) in edits {
            let mut tensors = tensors();
            edit(&mut tensors);
            assert_eq!(difference(&tensors, &signature()).as_deref(), Some(expected));
        }
    }
}
