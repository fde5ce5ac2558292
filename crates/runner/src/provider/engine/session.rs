//! An engine that is loaded, and its passes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tmoe_driver::{CallError, Device, Graph};
use tmoe_package::{Precision, Profile};

use super::cache::{CacheMemory, Captured, CapturedPass};
use super::context::{Context, Contexts};
use super::generation::EngineGeneration;
use super::pass::{PassCache, PassError, bind, queue};
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::provider::idle::Idle;
use crate::provider::profile::{PassShape, max_batch};
use crate::provider::step::{StepLayout, StepMemory};
use crate::provider::{Backend, Generation};
use crate::signature::Signature;
use crate::tensor::{ElementType, NamedTensors};

/// What an engine is, for its passes.
pub(super) struct EngineFacts {
    pub(super) signature: Signature,
    pub(super) profiles: Vec<Profile>,
    /// What its products are computed in.
    pub(super) precision: Precision,
    pub(super) graph: GraphSource,
    /// The command that builds the engine again.
    pub(super) rebuild: String,
}

/// An engine that is loaded on a device.
pub(crate) struct EngineBackend {
    /// Before the contexts' maker and the device, as all that uses them.
    idle: Idle<CacheMemory>,
    /// One context per profile. Who holds them works on the device alone: all contexts share their memory.
    contexts: Mutex<Vec<Box<dyn Context>>>,
    maker: Box<dyn Contexts>,
    facts: EngineFacts,
    captures: bool,
    device: Arc<Device>,
}

/// Passes of one cache that are kept captured, at most: each holds an execution context.
const MOST_CAPTURED: usize = 64;

impl EngineBackend {
    pub(super) fn new(
        maker: Box<dyn Contexts>,
        facts: EngineFacts,
        device: Arc<Device>,
        captures: bool,
    ) -> Result<Self, Error> {
        let contexts = device.within(|| {
            (0..facts.profiles.len()).map(|profile| maker.context(profile)).collect::<Result<_, PassError>>()
        });
        let contexts = Mutex::new(contexts.map_err(|error| error.of(&facts.graph, &device))?);
        Ok(Self { idle: Idle::default(), contexts, maker, facts, captures, device })
    }

    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(super) fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Caches to be kept for their addresses, with CUDA graphs.
    pub(super) fn idle(&self) -> Option<&Idle<CacheMemory>> {
        self.captures.then_some(&self.idle)
    }

    pub(super) fn error(&self, error: PassError) -> Error {
        error.of(&self.facts.graph, &self.device)
    }

    /// The profile for a pass.
    pub(super) fn profile(&self, shape: PassShape) -> Result<usize, Error> {
        let EngineFacts { profiles, graph, rebuild, .. } = &self.facts;
        let command = || format!("build an engine that does, with another --batch and --context: {rebuild}");
        shape.covered_by(profiles, graph, command)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Context>>> {
        // Every pass binds all tensors anew: nothing is left half done.
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves memory; where there is none left, idle caches make room.
    pub(super) fn reserve<T>(
        &self,
        mut reserve: impl FnMut() -> Result<T, PassError>,
    ) -> Result<T, PassError> {
        match reserve() {
            Err(
                PassError::Memory { error, .. }
                | PassError::CacheMemory { error, .. }
                | PassError::Call(error),
            ) if error.is_out_of_memory() => {
                self.idle.clear();
                reserve()
            }
            other => other,
        }
    }

    /// Memory for a pass, with room for the longer ones that follow.
    fn step_memory(&self, step: &StepLayout) -> Result<StepMemory, PassError> {
        let bytes = step.bytes.checked_next_power_of_two().unwrap_or(step.bytes);
        self.reserve(|| {
            StepMemory::reserve(&self.device, bytes).map_err(|error: CallError| PassError::Memory {
                error,
                bytes,
                purpose: "the inputs and outputs of a pass",
            })
        })
    }

    /// A pass in the context of a profile.
    fn run_in(
        &self,
        context: &mut dyn Context,
        step: &StepLayout,
        memory: &mut StepMemory,
        cache: Option<&PassCache<'_>>,
        inputs: &NamedTensors,
    ) -> Result<NamedTensors, PassError> {
        memory.write(step, inputs);
        self.device.finish(|| {
            // SAFETY: the memory outlives the work, which is waited for.
            unsafe {
                bind(context, step, memory, cache)?;
                queue(&self.device, context, step, memory)
            }
        })?;
        Ok(memory.read(step))
    }

    /// A pass of a generation.
    pub(super) fn pass(
        &self,
        layout: &CacheLayout,
        cache: &mut CacheMemory,
        shape: PassShape,
        profile: usize,
        inputs: &NamedTensors,
    ) -> Result<NamedTensors, PassError> {
        let step = StepLayout::of(&self.facts.signature, layout, inputs)?;
        let (past, total) = (shape.past, shape.past.saturating_add(shape.sequence));
        let mut contexts = self.lock();
        self.reserve(|| cache.make_room(&self.device, layout, total))?;
        // A prefill is one long pass, whose launches cost nothing beside it.
        if self.captures && past > 0 {
            let key = CapturedPass { sequence: shape.sequence, past, front: cache.front() };
            if let Some(captured) = cache.captured.get_mut(&key) {
                return self.replay(captured, inputs);
            }
            if cache.captured.len() < MOST_CAPTURED {
                let memory = self.step_memory(&step)?;
                let on = PassCache { layout, memory: cache, past, total };
                let (captured, outputs) = self.capture(profile, step, memory, &on, inputs)?;
                cache.captured.insert(key, captured);
                return Ok(outputs);
            }
        }
        let mut memory = match cache.step.take() {
            Some(memory) if memory.device.bytes() >= step.bytes => memory,
            _ => self.step_memory(&step)?,
        };
        let on = PassCache { layout, memory: cache, past, total };
        let context = &mut contexts[profile];
        let outputs = self.run_in(context.as_mut(), &step, &mut memory, Some(&on), inputs);
        cache.step = Some(memory);
        outputs
    }

    /// Runs a pass, and captures it for when it comes again. It runs first: TensorRT does some work only when it sees a shape
    /// for the first time, which is no part of the graph.
    fn capture(
        &self,
        profile: usize,
        layout: StepLayout,
        mut memory: StepMemory,
        cache: &PassCache<'_>,
        inputs: &NamedTensors,
    ) -> Result<(Captured, NamedTensors), PassError> {
        let mut context = self.device.within(|| self.maker.context(profile))?;
        let outputs = self.run_in(context.as_mut(), &layout, &mut memory, Some(cache), inputs)?;
        // SAFETY: what is captured keeps this memory and the context, and the cache's memory keeps what is captured.
        let graph = Graph::capture(&self.device, || unsafe {
            queue(&self.device, context.as_mut(), &layout, &mut memory)
        });
        let graph = graph.map_err(|error| PassError::Capture(Box::new(error)))?;
        Ok((Captured { graph, layout, memory, _context: context }, outputs))
    }

    fn replay(&self, captured: &mut Captured, inputs: &NamedTensors) -> Result<NamedTensors, PassError> {
        let Captured { graph, layout, memory, .. } = captured;
        memory.write(layout, inputs);
        // SAFETY: all that was captured is still there, and the work is waited for.
        self.device.finish(|| unsafe { graph.launch() })?;
        Ok(memory.read(layout))
    }

    /// A pass on tensors of the host, whose cache is an input and an output like any other.
    fn run_once(&self, inputs: &NamedTensors, profile: usize) -> Result<NamedTensors, PassError> {
        let no_cache = CacheLayout {
            entries: Vec::new(),
            kv_heads: 0,
            head_dim: 0,
            element_type: ElementType::F32,
            in_place: false,
        };
        let step = StepLayout::of(&self.facts.signature, &no_cache, inputs)?;
        let mut contexts = self.lock();
        let mut memory = self.step_memory(&step)?;
        self.run_in(contexts[profile].as_mut(), &step, &mut memory, None, inputs)
    }
}

impl Backend for EngineBackend {
    fn signature(&self) -> &Signature {
        &self.facts.signature
    }

    fn threads(&self) -> usize {
        1
    }

    fn max_batch(&self) -> Option<usize> {
        max_batch(&self.facts.profiles)
    }

    fn precision(&self, _: Precision) -> Precision {
        self.facts.precision
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let profile = self.profile(PassShape::of(&self.facts.signature.check_given(&inputs)?))?;
        self.run_once(&inputs, profile).map_err(|error| self.error(error))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        let generation = EngineGeneration::new(self, cache, batch, capacity);
        Ok(Box::new(generation.map_err(|error| self.error(error))?))
    }
}
