//! What to write.

use std::path::PathBuf;

use tmoe_package::{OpSet, Package};

use super::error::TritonError;

/// What executes the model in Triton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TritonBackend {
    /// The backend `onnxruntime`, on a graph of the package.
    OnnxRuntime {
        /// Which graph.
        graph: OpSet,
    },
    /// The backend `tensorrt`, on TensorRT engines of the package.
    TensorRt,
}

/// Where instances of the model run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// On the processor.
    Cpu,
    /// On every GPU that the server sees.
    Gpu,
}

/// What to write.
#[derive(Clone, Debug)]
pub struct TritonOptions {
    /// What executes the model.
    pub backend: TritonBackend,
    /// The model's name; that of the package's folder if not given.
    pub name: Option<String>,
    /// The library with the operators of the graph `plugin`, or with the plugins that the engines need.
    pub operators: Option<PathBuf>,
    /// The repository's folder as the server sees it, absolute.
    pub server_path: String,
    /// Most series in one execution; if not given 8, or what the engines take.
    pub max_batch_size: Option<u32>,
    /// The batch sizes that the scheduler does not wait to exceed; if not given, half and all of the most.
    pub preferred_batch_sizes: Vec<u32>,
    /// How long a request may wait for others to share its batch, in microseconds.
    pub max_queue_delay: u64,
    /// Where instances run; TensorRT runs on GPUs only.
    pub device: Device,
    /// Instances per device.
    pub instances: u32,
    /// Threads of an instance on the processor; 0 leaves it to ONNX Runtime.
    pub threads: u32,
    /// The TensorRT version whose engines to take, where the package has those of several.
    pub tensorrt_version: Option<String>,
    /// The container image of the manifests.
    pub image: String,
    /// Where KServe fetches the repository from.
    pub storage_uri: String,
    /// Replace an existing repository.
    pub force: bool,
}

impl TritonOptions {
    /// Where KServe puts a model, and so where its server sees the repository.
    pub const SERVER_PATH: &str = "/mnt/models";
    /// A release with an ONNX Runtime that the operators' library loads into (1.24 or newer).
    pub const IMAGE: &str = "nvcr.io/nvidia/tritonserver:26.08-py3";
    /// A volume claim, which the manifest for Kubernetes mounts too.
    pub const STORAGE_URI: &str = "pvc://tmoe-models";

    /// The model's name, checked: it is a folder, and stands in configuration text and URLs.
    pub(super) fn model_name(&self, package: &Package) -> Result<String, TritonError> {
        let folder = std::path::absolute(package.folder()).unwrap_or_else(|_| package.folder().to_owned());
        let of_folder = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(of_folder).unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let ends = plain(name.as_bytes().first()) && plain(name.as_bytes().last());
        // The length of a label's value in Kubernetes.
        if ends && name.len() <= 63 && name.bytes().all(allowed) {
            Ok(name)
        } else {
            Err(TritonError::Name { name })
        }
    }

    /// The server's path without a slash at its end, checked: it stands in configuration text.
    pub(super) fn checked_server_path(&self) -> Result<&str, TritonError> {
        let path = self.server_path.trim_end_matches('/');
        if path.starts_with('/')
            && !path.contains(|letter: char| letter.is_control() || "\"'\\".contains(letter))
        {
            Ok(path)
        } else {
            Err(TritonError::ServerPath { path: self.server_path.clone() })
        }
    }

    /// The most series in one execution, and the sizes to prefer, given the most that the model takes.
    pub(super) fn batch_sizes(&self, most: Option<u32>) -> Result<(u32, Vec<u32>), TritonError> {
        let usual = 8;
        let max = self.max_batch_size.unwrap_or_else(|| most.unwrap_or(usual));
        if let Some(most) = most
            && max > most
        {
            return Err(TritonError::BatchBeyondProfile { asked: max, most });
        }
        if max == 0 {
            return Err(TritonError::NoBatch);
        }
        if let Some(&size) = self.preferred_batch_sizes.iter().find(|&&size| size == 0 || size > max) {
            return Err(TritonError::PreferredBatch { size, max });
        }
        let mut preferred = self.preferred_batch_sizes.clone();
        if preferred.is_empty() {
            preferred = [max / 2, max].into_iter().filter(|&size| size > 1).collect();
        }
        preferred.sort_unstable();
        preferred.dedup();
        Ok((max, preferred))
    }
}

impl Default for TritonOptions {
    /// ONNX Runtime with the graph `standard` on the processor, batches of up to 8 that wait 2 milliseconds at most.
    fn default() -> Self {
        Self {
            backend: TritonBackend::OnnxRuntime { graph: OpSet::Standard },
            name: None,
            operators: None,
            server_path: Self::SERVER_PATH.to_owned(),
            max_batch_size: None,
            preferred_batch_sizes: Vec::new(),
            max_queue_delay: 2000,
            device: Device::Cpu,
            instances: 1,
            threads: 0,
            tensorrt_version: None,
            image: Self::IMAGE.to_owned(),
            storage_uri: Self::STORAGE_URI.to_owned(),
            force: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(max: Option<u32>, preferred: &[u32], most: Option<u32>) -> Result<(u32, Vec<u32>), String> {
        let options = TritonOptions {
            max_batch_size: max,
            preferred_batch_sizes: preferred.to_vec(),
            ..TritonOptions::default()
        };
        options.batch_sizes(most).map_err(|error| error.to_string())
    }

    #[test]
    fn half_and_all_of_the_largest_batch_are_preferred_unless_told_otherwise() {
        assert_eq!(sizes(None, &[], None).unwrap(), (8, vec![4, 8]));
        assert_eq!(sizes(Some(2), &[], None).unwrap(), (2, vec![2]));
        assert_eq!(sizes(Some(1), &[], None).unwrap(), (1, vec![]));
        assert_eq!(sizes(Some(16), &[12, 2, 2], None).unwrap(), (16, vec![2, 12]));
    }

    #[test]
    fn batches_that_nothing_could_run_are_refused_with_both_numbers() {
        assert!(sizes(Some(9), &[], Some(4)).unwrap_err().contains("9"));
        assert!(sizes(Some(9), &[], Some(4)).unwrap_err().contains("4"));
        assert!(sizes(Some(4), &[5], None).unwrap_err().contains("5"));
        assert!(sizes(Some(4), &[0], None).is_err());
        assert!(sizes(Some(0), &[], None).is_err());
        assert_eq!(sizes(None, &[], Some(4)).unwrap().0, 4, "engines say how much they take");
    }

    #[test]
    fn a_server_path_is_absolute_and_quotes_nothing() {
        let checked = |path: &str| {
            let options = TritonOptions { server_path: path.to_owned(), ..TritonOptions::default() };
            options.checked_server_path().map(str::to_owned)
        };
        assert_eq!(checked("/models/").unwrap(), "/models");
        for wrong in ["models", "", "/mod\"els", "/a\\b", "/a\nb", "/"] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }
}
