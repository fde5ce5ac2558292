//! A cache on the device, and the passes that append to it.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use half::{bf16, f16};
use ort::AsPointer;
use ort::memory::MemoryInfo;
use ort::session::{IoBinding, Session as OrtSession};
use ort::value::{PrimitiveTensorElementType, Shape, TensorRefMut};
use tmoe_driver::{Address, CallError, Device, DeviceMemory};

use super::capture::Captures;
use super::memory_error::{Asked, out_of_memory, run_error};
use crate::contract::CacheLayout;
use crate::error::Error;
use crate::provider::idle::Idle;
use crate::provider::onnxruntime::{Loaded, Place, check};
use crate::provider::step::{Part, StepLayout, StepMemory, cache_tensor_bytes};
use crate::tensor::{ElementType, NamedTensors};

/// The memory of a device, for the passes of a session.
///
/// Everything that a pass reads and writes is reserved here, at addresses that ONNX Runtime is told: nothing but points,
/// masks and predictions travels between host and device.
pub(super) struct DevicePlace<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) device: &'a Arc<Device>,
    /// How ONNX Runtime calls that memory.
    pub(super) memory: &'a MemoryInfo<'static>,
    /// CUDA graphs, when they are asked for.
    pub(super) captures: Option<&'a Captures>,
    /// Caches that no generation uses, kept for their addresses: only with CUDA graphs.
    pub(super) idle: &'a Idle<CacheMemory>,
}

/// A generation's cache, which goes back to the idle ones afterwards.
pub(super) struct DeviceCache<'a> {
    memory: Option<CacheMemory>,
    idle: Option<&'a Idle<CacheMemory>>,
}

/// The cache's tensors one behind the other, and the memory of the passes on it.
pub(super) struct CacheMemory {
    tensors: DeviceMemory,
    batch: usize,
    capacity: usize,
    /// Memory of the last pass. With CUDA graphs the passes have memory of their own.
    step: Option<StepMemory>,
    captured: HashMap<CapturedPass, Captured>,
}

/// What a captured CUDA graph holds for: the thread, since ONNX Runtime keeps graphs by thread, and the pass's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CapturedPass {
    thread: ThreadId,
    sequence: usize,
    past: usize,
}

/// A pass that ONNX Runtime has captured, or will when it runs it first.
struct Captured {
    layout: StepLayout,
    memory: StepMemory,
    binding: IoBinding,
    graph: i32,
}

impl Drop for DeviceCache<'_> {
    fn drop(&mut self) {
        if let (Some(memory), Some(idle)) = (self.memory.take(), self.idle) {
            idle.put(memory);
        }
    }
}

impl DeviceCache<'_> {
    fn memory(&self) -> &CacheMemory {
        self.memory.as_ref().unwrap_or_else(|| unreachable!("taken only when it is dropped"))
    }

    fn memory_mut(&mut self) -> &mut CacheMemory {
        self.memory.as_mut().unwrap_or_else(|| unreachable!("taken only when it is dropped"))
    }
}

impl DevicePlace<'_> {
    /// Reserves memory; where there is none left, idle caches make room.
    fn reserve_memory<T>(
        &self,
        asked: &Asked,
        mut reserve: impl FnMut() -> Result<T, CallError>,
    ) -> Result<T, Error> {
        let first = reserve();
        let result = match first {
            Err(error) if error.is_out_of_memory() => {
                self.idle.clear();
                reserve()
            }
            other => other,
        };
        result.map_err(|error| out_of_memory(self.loaded, self.device, asked, error))
    }

    /// Binds a pass to its memory.
    fn bind(
        &self,
        session: &OrtSession,
        layout: &CacheLayout,
        cache: &CacheMemory,
        step: &StepLayout,
        memory: &StepMemory,
    ) -> ort::Result<IoBinding> {
        let mut binding = session.create_binding()?;
        let shape = layout.shape(cache.batch, cache.capacity);
        let bytes = cache_tensor_bytes(layout, cache.batch, cache.capacity);
        for (index, entry) in layout.entries.iter().enumerate() {
            let address = cache.tensors.address(index * bytes);
            // SAFETY: the cache holds that many tensors of that size, for as long as the binding is run.
            unsafe {
                let element_type = &layout.element_type;
                self.bind_typed(&mut binding, Way::In, &entry.past, element_type, address, &shape)?;
                self.bind_typed(&mut binding, Way::Out, &entry.present, element_type, address, &shape)?;
            }
        }
        let inputs = step.inputs.iter().map(|part| (Way::In, part));
        for (way, part) in inputs.chain(step.outputs.iter().map(|part| (Way::Out, part))) {
            let Part { name, shape, bytes, element_type } = part;
            let address = memory.device.address(bytes.start);
            // SAFETY: the memory was reserved for the layout, and is kept for as long as the binding is run.
            unsafe { self.bind_typed(&mut binding, way, name, element_type, address, shape)? };
        }
        Ok(binding)
    }

    /// # Safety
    ///
    /// A tensor of that type and shape lies at the address whenever the binding is run.
    unsafe fn bind_typed(
        &self,
        binding: &mut IoBinding,
        way: Way,
        name: &str,
        element_type: &ElementType,
        address: Address,
        shape: &[usize],
    ) -> ort::Result<()> {
        // SAFETY: the caller's.
        unsafe {
            match element_type {
                ElementType::I64 => self.bind_tensor::<i64>(binding, way, name, address, shape),
                ElementType::F16 => self.bind_tensor::<f16>(binding, way, name, address, shape),
                ElementType::BF16 => self.bind_tensor::<bf16>(binding, way, name, address, shape),
                _ => self.bind_tensor::<f32>(binding, way, name, address, shape),
            }
        }
    }

    /// # Safety
    ///
    /// A tensor of that type and shape lies at the address whenever the binding is run.
    unsafe fn bind_tensor<T: PrimitiveTensorElementType + std::fmt::Debug>(
        &self,
        binding: &mut IoBinding,
        way: Way,
        name: &str,
        address: Address,
        shape: &[usize],
    ) -> ort::Result<()> {
        let api = ort::api();
        let name = CString::new(name).map_err(ort::Error::wrap)?;
        let shape: Shape = shape.iter().copied().collect();
        // SAFETY: the caller's. The binding keeps a handle of its own to the tensor, and the tensor does not own its memory.
        unsafe {
            let tensor = TensorRefMut::<T>::from_raw(self.memory.clone(), address as *mut _, shape)?;
            let (binding, tensor) = (binding.ptr().cast_mut(), tensor.ptr());
            check(match way {
                Way::In => (api.BindInput)(binding, name.as_ptr(), tensor),
                Way::Out => (api.BindOutput)(binding, name.as_ptr(), tensor),
            })
        }
    }

    /// A pass on memory that the next one uses again.
    fn run(
        &self,
        layout: &CacheLayout,
        cache: &mut CacheMemory,
        step: &StepLayout,
        inputs: &NamedTensors,
    ) -> Result<NamedTensors, Error> {
        let mut memory = match cache.step.take() {
            Some(memory) if memory.device.bytes() >= step.bytes => memory,
            _ => self.step_memory(step)?,
        };
        let outputs = self.run_on(step, &mut memory, inputs, |session, memory| {
            let binding = self.bind(session, layout, cache, step, memory)?;
            match self.captures {
                None => session.run_binding(&binding)?,
                Some(captures) => session.run_binding_with_options(&binding, captures.none())?,
            };
            Ok(())
        });
        cache.step = Some(memory);
        outputs
    }

    /// A pass that is captured when it runs first, and replayed when it runs again.
    fn run_captured(
        &self,
        captures: &Captures,
        layout: &CacheLayout,
        cache: &mut CacheMemory,
        pass: CapturedPass,
        step: StepLayout,
        inputs: &NamedTensors,
    ) -> Result<NamedTensors, Error> {
        let mut captured = match cache.captured.remove(&pass) {
            Some(captured) => captured,
            None => {
                let Some(graph) = captures.next() else { return self.run(layout, cache, &step, inputs) };
                let memory = self.step_memory(&step)?;
                let binding = self.bind(&self.loaded.session(), layout, cache, &step, &memory);
                let binding = binding.map_err(|error| self.loaded.error(error))?;
                Captured { layout: step, memory, binding, graph }
            }
        };
        let Captured { layout, memory, binding, graph } = &mut captured;
        let options = captures.options(*graph).map_err(|error| self.loaded.error(error))?;
        let outputs = self.run_on(layout, memory, inputs, |session, _| {
            session.run_binding_with_options(binding, &options)?;
            Ok(())
        })?;
        // Only a pass that went well is replayed.
        cache.captured.insert(pass, captured);
        Ok(outputs)
    }

    fn run_on(
        &self,
        layout: &StepLayout,
        memory: &mut StepMemory,
        inputs: &NamedTensors,
        run: impl FnOnce(&mut OrtSession, &StepMemory) -> ort::Result<()>,
    ) -> Result<NamedTensors, Error> {
        let failed = |error| out_of_memory(self.loaded, self.device, &Asked::Copy, error);
        memory.upload(layout, inputs).map_err(failed)?;
        // ONNX Runtime waits for the pass's end, so that what follows may read the outputs.
        run(&mut self.loaded.session(), memory)
            .map_err(|error| run_error(self.loaded, self.device, &error.to_string()))?;
        memory.download(layout).map_err(failed)
    }

    fn step_memory(&self, step: &StepLayout) -> Result<StepMemory, Error> {
        let asked = Asked::Step { bytes: step.bytes };
        self.reserve_memory(&asked, || StepMemory::reserve(self.device, step.bytes))
    }
}

/// Into a pass, or out of it.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl<'a> Place for DevicePlace<'a> {
    type Cache = DeviceCache<'a>;

    fn reserve(&self, layout: &CacheLayout, batch: usize, capacity: usize) -> Result<DeviceCache<'a>, Error> {
        let idle = self.captures.map(|_| self.idle);
        if let Some(memory) =
            idle.and_then(|idle| idle.take(|cache| cache.batch == batch && cache.capacity == capacity))
        {
            return Ok(DeviceCache { memory: Some(memory), idle });
        }
        let bytes = cache_tensor_bytes(layout, batch, capacity).saturating_mul(layout.entries.len());
        let asked = Asked::Cache { bytes, batch, capacity };
        let tensors = self.reserve_memory(&asked, || DeviceMemory::reserve(self.device, bytes))?;
        let memory = CacheMemory { tensors, batch, capacity, step: None, captured: HashMap::new() };
        Ok(DeviceCache { memory: Some(memory), idle })
    }

    fn copy(
        &self,
        layout: &CacheLayout,
        from: &DeviceCache<'a>,
        to: &mut DeviceCache<'a>,
        rows: usize,
    ) -> Result<(), Error> {
        let (from, to) = (from.memory(), to.memory_mut());
        let row = layout.head_dim * layout.element_bytes();
        let heads = from.batch * layout.kv_heads;
        let [source, target] = [from.capacity, to.capacity]
            .map(|capacity| (capacity * row, cache_tensor_bytes(layout, from.batch, capacity)));
        let pieces = (0..layout.entries.len()).flat_map(|tensor| {
            (0..heads).map(move |head| {
                let at =
                    |(head_bytes, tensor_bytes): (usize, usize)| tensor * tensor_bytes + head * head_bytes;
                (at(source), at(target))
            })
        });
        to.tensors
            .copy_pieces(&from.tensors, rows * row, pieces)
            .map_err(|error| out_of_memory(self.loaded, self.device, &Asked::Copy, error))
    }

    fn pass(
        &self,
        layout: &CacheLayout,
        cache: &mut DeviceCache<'a>,
        inputs: NamedTensors,
        past: usize,
    ) -> Result<NamedTensors, Error> {
        let step = StepLayout::of(self.loaded.signature(), layout, &inputs)
            .map_err(|error| self.loaded.error(error))?;
        let cache = cache.memory_mut();
        // A prefill is one long pass, whose launches cost nothing beside it.
        match self.captures.filter(|_| past > 0) {
            None => self.run(layout, cache, &step, &inputs),
            Some(captures) => {
                let sequence = inputs.get(crate::contract::INPUT_IDS).map_or(0, |points| points.shape()[1]);
                let pass = CapturedPass { thread: thread::current().id(), sequence, past };
                self.run_captured(captures, layout, cache, pass, step, &inputs)
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use ndarray::{Array2, Axis, s};
    use tmoe_driver::Driver;
    use tmoe_driver::testing::DEVICE_BYTES;
    use tmoe_package::{OpSet, Package, Precision};

    use super::super::session::CudaBackend;
    use super::*;
    use crate::decoder::Predictions;
    use crate::error::GraphSource;
    use crate::provider::onnxruntime::Setup;
    use crate::provider::{GraphContent, Provider, ProviderOptions, Selection};
    use crate::session::{Session, SessionOptions};

    /// Points of each pass.
    const PASSES: [usize; 4] = [5, 1, 8, 2];

    /// The graph on ONNX Runtime's CPU provider, with its cache on a device that lies in host memory.
    fn on_fake_device(package: &Package, driver: &'static Driver, captures: bool) -> Session {
        let path = package.graph_path(OpSet::Plugin).unwrap();
        let source = GraphSource::File(path.clone());
        let content = GraphContent::File(&path);
        let options = ProviderOptions { spinning: false, ..ProviderOptions::default() };
        let setup =
            Setup { provider: Provider::Cuda, graph: &source, content, threads: 1, options: &options };
        let backend = CudaBackend {
            idle: Idle::default(),
            loaded: setup.load(Ok).unwrap(),
            captures: captures.then(|| Captures::new().unwrap()),
            memory: MemoryInfo::default(),
            device: Device::open(driver, 0).unwrap(),
            threads: 1,
        };
        let selection = Selection { provider: Provider::Cuda, passed_over: None };
        Session::with_backend(package, OpSet::Plugin, selection, Box::new(backend), source).unwrap()
    }

    /// The predictions of every pass; `capacity` is what is reserved for the cache.
    fn passes(session: &Session, seed: f32, capacity: usize) -> Vec<Predictions> {
        let total = PASSES.iter().sum();
        let series =
            Array2::from_shape_fn((3, total), |(row, point)| (point as f32 * seed + row as f32).sin());
        let mut decoder = session.decoder(3, capacity).unwrap();
        let mut begin = 0;
        PASSES
            .map(|points| {
                let end = begin + points;
                let mut mask = Array2::ones((3, end));
                mask[[1, 0]] = 0;
                let input = series.slice(s![.., begin..end]).insert_axis(Axis(2));
                begin = end;
                decoder.step(input, mask.view()).unwrap()
            })
            .into()
    }

    /// `None` where there is no ONNX Runtime or no C compiler.
    fn fixture() -> Option<(tempfile::TempDir, Package, &'static Driver)> {
        fixture_of(Precision::Fp32)
    }

    fn fixture_of(precision: Precision) -> Option<(tempfile::TempDir, Package, &'static Driver)> {
        if !Provider::Cpu.availability().is_ready() {
            eprintln!("skipped: no ONNX Runtime");
            return None;
        }
        let driver = tmoe_driver::testing::driver(1, 0)?.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let package = crate::provider::testing::package_of(folder.path(), precision);
        Some((folder, package, driver))
    }

    fn on_cpu(package: &Package) -> Session {
        let options = SessionOptions {
            provider: Provider::Cpu.into(),
            graph: OpSet::Plugin.into(),
            ..SessionOptions::default()
        };
        Session::open(package, &options).unwrap()
    }

    #[test]
    fn a_cache_on_a_device_gives_what_one_in_host_memory_gives() {
        for precision in [Precision::Fp32, Precision::Bf16, Precision::Fp16] {
            cache_on_a_device(precision);
        }
    }

    fn cache_on_a_device(precision: Precision) {
        let Some((_folder, package, driver)) = fixture_of(precision) else { return };
        let cpu = on_cpu(&package);
        for captures in [false, true] {
            let session = on_fake_device(&package, driver, captures);
            // With room for everything, and with too little, so that it grows twice.
            for capacity in [16, 3, 0] {
                // Again on the same memory, and with other points: nothing of the last time is left.
                for seed in [0.4, 0.7, 0.7] {
                    assert_eq!(passes(&session, seed, capacity), passes(&cpu, seed, 16));
                }
            }
            drop(session);
            assert_eq!(tmoe_driver::testing::live(driver), 0);
        }
    }

    #[test]
    fn generations_that_overlap_do_not_share_memory() {
        let Some((_folder, package, driver)) = fixture() else { return };
        let session = on_fake_device(&package, driver, true);
        let point = |value: f32| ndarray::Array3::from_elem((1, 1, 1), value);
        let step = |decoder: &mut crate::decoder::Decoder<'_>, value| {
            let mask = Array2::ones((1, decoder.past() + 1));
            decoder.step(point(value).view(), mask.view()).unwrap()
        };
        let mut alone = session.decoder(1, 8).unwrap();
        let expected = [1.0, 2.0, 3.0].map(|value| step(&mut alone, value));
        drop(alone);
        let (mut first, mut second) = (session.decoder(1, 8).unwrap(), session.decoder(1, 8).unwrap());
        for (value, expected) in [1.0, 2.0, 3.0].into_iter().zip(expected) {
            assert_eq!(step(&mut first, value), expected);
            step(&mut second, -value);
        }
    }

    #[test]
    fn a_cache_that_does_not_fit_is_an_error_with_its_size_and_the_session_goes_on() {
        let Some((_folder, package, driver)) = fixture() else { return };
        let session = on_fake_device(&package, driver, false);
        // 2 layers, keys and values, 2 heads of 4 numbers of 4 bytes for each of 3 series and a million points.
        let text = session.decoder(3, 1 << 20).err().unwrap().to_string();
        let purpose = "has no room for the cache of 3 series of 1048576 points: ";
        let memory = "384.0 MiB were asked for, 64.0 of 64.0 MiB are free";
        assert!(text.contains(&format!("{purpose}{memory}")), "{text}");
        assert_eq!(passes(&session, 0.4, 16), passes(&on_cpu(&package), 0.4, 16));
    }

    #[test]
    fn idle_caches_make_room_when_memory_is_short() {
        let Some((_folder, package, driver)) = fixture() else { return };
        let session = on_fake_device(&package, driver, true);
        // 128 bytes for each series and point: two of these do not fit.
        let capacity = DEVICE_BYTES / 2 / 128 + 1;
        for capacity in [capacity, capacity + 1] {
            drop(session.decoder(1, capacity).unwrap());
        }
    }
}
