//! A session: one graph of a package, loaded on a provider.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tmoe_package::{OpSet, Package, Precision};

use crate::contract::{self, CacheLayout};
use crate::decoder::Decoder;
use crate::error::{Error, GraphSource};
use crate::graph::GraphChoice;
use crate::provider::{Backend, GraphContent, Provider, ProviderChoice, ProviderOptions, Selection, engine};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// How to open a [`Session`].
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// On which provider.
    pub provider: ProviderChoice,
    /// Which of the package's graphs.
    pub graph: GraphChoice,
    /// Threads and the like.
    pub resources: ProviderOptions,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            provider: ProviderChoice::Auto,
            graph: GraphChoice::Auto,
            resources: ProviderOptions::default(),
        }
    }
}

/// How many passes through the graph a session has made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PassCount {
    /// Passes on an empty cache: over a whole context.
    pub prefill: u64,
    /// Passes that continued from a cache.
    pub decode: u64,
}

/// A graph of a package, loaded on a provider.
///
/// `Send` and `Sync`: share it between threads by reference or in an `Arc`. On all providers but `tract` the passes of one session
/// run one after the other, each on the device or on all of the session's threads; on `tract` they run at the same time,
/// each on the thread that asks for it.
pub struct Session {
    package: Package,
    graph: OpSet,
    selection: Selection,
    cache: CacheLayout,
    backend: Box<dyn Backend>,
    source: GraphSource,
    prefills: AtomicU64,
    decodes: AtomicU64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("package", &self.package.folder())
            .field("graph", &self.graph)
            .field("provider", &self.selection.provider)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Loads a graph of a package on a provider.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the package does not have the graph, [`Error::Library`], [`Error::Cuda`], [`Error::TensorRt`] or
    /// [`Error::Engine`] when the provider that is asked for cannot be used, [`Error::OpSet`] when the provider lacks the graph's operators, [`Error::CudaGraph`]
    /// when CUDA graphs cannot be captured of it, [`Error::DeviceMemory`] when the device is too small, [`Error::Provider`]
    /// when the provider refuses the graph, [`Error::Graph`] when the graph lacks an input or output that the package's model
    /// needs.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, Error> {
        Self::open_on(options.provider.select(), package, options)
    }

    fn open_on(selection: Selection, package: &Package, options: &SessionOptions) -> Result<Self, Error> {
        let runs = |op_set| options.resources.runs(selection.provider, op_set);
        let graph = match (selection.provider, options.graph) {
            // The engine says which graph it was built from.
            (Provider::Engine, GraphChoice::Auto) => engine::graph(package, &options.resources)?,
            (_, choice) => choice.select(package.manifest(), runs),
        };
        let path = package.graph_path(graph)?;
        let source = GraphSource::File(path.clone());
        if !runs(graph) {
            return Err(Error::OpSet { provider: selection.provider, op_set: graph });
        }
        if selection.provider == Provider::Cuda && options.resources.cuda_graph && graph != OpSet::Plugin {
            return Err(Error::CudaGraph { op_set: graph });
        }
        let content = GraphContent::Graph { package, op_set: graph, path: &path };
        let backend = selection.provider.load(&source, content, &options.resources)?;
        Self::with_backend(package, graph, selection, backend, source)
    }

    /// Opens sessions that forecast at the same time, as many as `sessions` says of a provider and the threads that compute one of its
    /// passes. They share these threads; where the callers compute ([`Provider::computes_on_caller`]) they are one and the same. Returns
    /// the first and the others.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub fn open_several(
        package: &Package,
        options: &SessionOptions,
        sessions: impl FnOnce(Provider, usize) -> usize,
    ) -> Result<(Arc<Self>, Vec<Arc<Self>>), Error> {
        let selection = options.provider.select();
        let threads = options.resources.threads_on(selection.provider);
        let sessions = sessions(selection.provider, threads).max(1);
        if selection.provider.computes_on_caller() {
            let only = Self::open_on(selection, package, options).map(Arc::new)?;
            return Ok((Arc::clone(&only), vec![only; sessions - 1]));
        }
        let mut options = options.clone();
        options.resources.threads = Some(NonZeroUsize::new(threads / sessions).unwrap_or(NonZeroUsize::MIN));
        let open = || Self::open_on(selection.clone(), package, &options).map(Arc::new);
        let first = open()?;
        let others = (1..sessions).map(|_| open()).collect::<Result<_, _>>()?;
        Ok((first, others))
    }

    pub(crate) fn with_backend(
        package: &Package,
        graph: OpSet,
        selection: Selection,
        backend: Box<dyn Backend>,
        source: GraphSource,
    ) -> Result<Self, Error> {
        let model = &package.manifest().model;
        let cache = CacheLayout::of_graph(model, graph, backend.signature());
        contract::check_graph(backend.signature(), model, &cache)
            .map_err(|mismatch| Error::Graph { graph: source.clone(), source: mismatch })?;
        Ok(Self {
            package: package.clone(),
            graph,
            selection,
            cache,
            backend,
            source,
            prefills: AtomicU64::new(0),
            decodes: AtomicU64::new(0),
        })
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// Which of the package's graphs.
    pub fn graph(&self) -> OpSet {
        self.graph
    }

    /// The provider that runs it.
    pub fn provider(&self) -> Provider {
        self.selection.provider
    }

    /// The provider, and why `auto` passed over a faster one.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// How many threads compute one pass.
    pub fn threads(&self) -> usize {
        self.backend.threads()
    }

    /// How many series a pass can have, where the provider has a limit: TensorRT's profiles do.
    pub fn max_batch(&self) -> Option<usize> {
        self.backend.max_batch()
    }

    /// What products are computed in: that of the package, unless its engine was built with another.
    pub fn precision(&self) -> Precision {
        self.backend.precision(self.package.manifest().precision)
    }

    /// What the graph takes and gives.
    pub fn signature(&self) -> &Signature {
        self.backend.signature()
    }

    /// Passes so far, on all threads together.
    pub fn passes(&self) -> PassCount {
        PassCount {
            prefill: self.prefills.load(Ordering::Relaxed),
            decode: self.decodes.load(Ordering::Relaxed),
        }
    }

    /// Runs the graph once: the tensors are its inputs by name. A missing `attention_mask` is all ones, a missing
    /// `past_key_values.*` is an empty cache. Floats may have any width: they are rounded, or widened, to the graph's.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when an input is unknown, missing, or of another type or shape than the graph and the other
    /// inputs ask for; [`Error::Provider`] when the provider fails.
    pub fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let inputs = contract::complete(self.signature(), &self.cache, inputs)?;
        let sizes = self.signature().check_given(&inputs)?;
        let outputs = self.backend.run(inputs)?;
        self.count_pass(sizes.get("past").unwrap_or(0));
        Ok(outputs)
    }

    /// Begins a generation for `batch` series: passes that keep their cache in the provider. `capacity` is how many
    /// points the series will come to have; it is a hint.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] or [`Error::DeviceMemory`] if the provider cannot reserve the cache.
    pub fn decoder(&self, batch: usize, capacity: usize) -> Result<Decoder<'_>, Error> {
        let generation = self.backend.generation(&self.cache, batch, capacity)?;
        Ok(Decoder::new(self, generation, batch))
    }

    /// An error about what came out of a pass.
    pub(crate) fn run_error(&self, message: impl fmt::Display) -> Error {
        Error::run(self.provider(), &self.source, message)
    }

    pub(crate) fn cache(&self) -> &CacheLayout {
        &self.cache
    }

    pub(crate) fn count_pass(&self, past: usize) {
        let counter = if past == 0 { &self.prefills } else { &self.decodes };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Array4, arr2};

    use super::*;
    use crate::contract::{ATTENTION_MASK, INPUT_IDS};
    use crate::signature::InputError;
    use crate::tensor::{ElementType, Tensor};
    use crate::testing::{counting_session, session_with};

    fn points(batch: usize, sequence: usize) -> (String, Tensor) {
        (INPUT_IDS.to_owned(), Array3::<f32>::zeros((batch, sequence, 1)).into())
    }

    fn cache(batch: usize, past: usize) -> Vec<(String, Tensor)> {
        ["0.key", "0.value", "1.key", "1.value"]
            .map(|part| (format!("past_key_values.{part}"), Array4::<f32>::zeros((batch, 1, past, 4)).into()))
            .to_vec()
    }

    fn refusal(session: &Session, inputs: NamedTensors) -> InputError {
        match session.run(inputs) {
            Err(Error::Input(error)) => error,
            other => panic!("expected an input error, found {other:?}"),
        }
    }

    #[test]
    fn a_missing_mask_is_all_ones_and_a_missing_cache_is_empty() {
        let (session, passes) = counting_session();
        session.run(NamedTensors::from([points(2, 3)])).unwrap();
        let pass = passes.lock().unwrap().pop().unwrap();
        assert_eq!((pass.past, pass.names.len()), (0, 6));
        assert_eq!(pass.attention_mask, Array2::<i64>::ones((2, 3)).into());
        assert_eq!(session.passes(), PassCount { prefill: 1, decode: 0 });
    }

    #[test]
    fn a_missing_mask_covers_the_cache_that_is_given() {
        let (session, passes) = counting_session();
        let mut inputs = NamedTensors::from_iter(cache(2, 5));
        inputs.extend([points(2, 3)]);
        session.run(inputs).unwrap();
        let pass = passes.lock().unwrap().pop().unwrap();
        assert_eq!((pass.past, pass.attention_mask), (5, Array2::<i64>::ones((2, 8)).into()));
        assert_eq!(session.passes(), PassCount { prefill: 0, decode: 1 });
    }

    #[test]
    fn a_cache_takes_floats_of_any_width_and_holds_those_of_the_graph() {
        let (session, passes) = session_with("last", |signature| {
            for port in signature.inputs.iter_mut().chain(&mut signature.outputs) {
                if port.name.starts_with("past_key_values") || port.name.starts_with("present") {
                    port.element_type = ElementType::BF16;
                }
            }
        });
        let session = session.unwrap();
        let given = |cache: Tensor| {
            let names = ["0.key", "0.value", "1.key", "1.value"];
            let mut inputs =
                NamedTensors::from(names.map(|part| (format!("past_key_values.{part}"), cache.clone())));
            inputs.extend([points(1, 1)]);
            session.run(inputs).unwrap();
            passes.lock().unwrap().pop().unwrap().cache.unwrap()
        };
        // 1 + 3 x 2^-8 lies halfway between 1 + 2^-7 and 1 + 2^-6, whose last bit is zero.
        let wide = Array4::from_elem((1, 1, 2, 4), 1.0_f32 + 3.0 / 256.0);
        let rounded = Tensor::from(Array4::from_elem((1, 1, 2, 4), half::bf16::from_f32(1.015625)));
        assert_eq!(given(wide.clone().into()), rounded);
        assert_eq!(given(wide.mapv(half::f16::from_f32).into()), rounded);
        assert_eq!(given(rounded.clone()), rounded);
        session.run(NamedTensors::from([points(1, 1)])).unwrap();
        let empty = passes.lock().unwrap().pop().unwrap().cache.unwrap();
        assert_eq!((empty.element_type(), empty.shape()), (ElementType::BF16, &[1, 1, 0, 4][..]));
    }

    #[test]
    fn a_cache_of_more_than_one_type_is_refused_by_name() {
        let (session, _) = session_with("last", |signature| {
            for port in &mut signature.outputs {
                if port.name == "present.1.value" {
                    port.element_type = ElementType::F16;
                }
            }
        });
        let message = session.unwrap_err().to_string();
        assert!(message.contains("float16 for its output `present.1.value`, expected float32"), "{message}");
    }

    #[test]
    fn inputs_that_do_not_fit_never_reach_the_provider() {
        let (session, passes) = counting_session();
        let mask = |values: Array2<i64>| (ATTENTION_MASK.to_owned(), Tensor::from(values));
        let with = |others: Vec<(String, Tensor)>| {
            let mut inputs = NamedTensors::from([points(2, 3)]);
            inputs.extend(others);
            inputs
        };
        let unknown = with(vec![("position_ids".to_owned(), Array2::<i64>::zeros((2, 3)).into())]);
        assert!(matches!(refusal(&session, unknown), InputError::Unknown { .. }));
        assert!(matches!(refusal(&session, NamedTensors::new()), InputError::Missing { .. }));
        let mistyped = with(vec![(ATTENTION_MASK.to_owned(), Array2::<f32>::ones((2, 3)).into())]);
        assert!(matches!(refusal(&session, mistyped), InputError::ElementType { .. }));
        let short = with(vec![mask(Array2::ones((2, 2)))]);
        assert!(matches!(refusal(&session, short), InputError::Size { .. }));
        let other_batch = with(cache(3, 1));
        assert!(matches!(refusal(&session, other_batch), InputError::Size { .. }));
        let half_a_cache = with(cache(2, 4).into_iter().take(1).collect());
        assert!(matches!(refusal(&session, half_a_cache), InputError::Size { .. }));
        // No elements, and yet a cache of many points: nothing of that size may be reserved.
        let hollow = with(cache(0, usize::MAX >> 8));
        assert!(matches!(refusal(&session, hollow), InputError::Size { .. }));
        for empty in [points(0, 3), points(2, 0)] {
            let error = refusal(&session, NamedTensors::from([empty]));
            assert!(matches!(error, InputError::Empty { .. }), "{error}");
        }
        let error = refusal(&session, with(vec![mask(arr2(&[[1, 1, 1], [0, 2, 1]]))]));
        assert_eq!(
            error.to_string(),
            "the input `attention_mask` has the value 2 at [1, 1]; a mask is 1 for real points and 0 for others"
        );
        assert!(passes.lock().unwrap().is_empty());
        assert_eq!(session.passes(), PassCount::default());
    }

    #[test]
    fn a_graph_without_what_the_model_needs_is_refused_by_name() {
        let (session, _) = session_with("last", |signature| {
            signature.outputs.retain(|port| port.name != "predictions.h32");
        });
        let message = session.unwrap_err().to_string();
        assert!(message.contains("has nothing for its output `predictions.h32`"), "{message}");

        let (session, _) = session_with("last", |signature| {
            for port in &mut signature.inputs {
                port.element_type = ElementType::F16;
            }
        });
        let message = session.unwrap_err().to_string();
        assert!(message.contains("float16 for its input `input_ids`, expected float32"), "{message}");
    }

    #[test]
    fn a_graph_that_the_package_does_not_have_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let package = crate::testing::package(folder.path(), "last");
        let error = Session::open(&package, &SessionOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Package(_)), "{error}");
    }

    #[test]
    fn sessions_and_forecasters_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Session>();
        shared::<crate::Forecaster>();
        shared::<crate::RawModel>();
        shared::<crate::CancelToken>();
        shared::<Error>();
        fn sent<T: Send>() {}
        sent::<crate::Decoder<'_>>();
    }
}
