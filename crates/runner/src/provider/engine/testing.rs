//! A stand-in for an engine: contexts that compute on the memory of the stand-in for the driver, so that every binding shows in the
//! numbers.
//!
//! Its model has one layer, two heads and a head_dim of two. Of a point x it caches the key `x (head + 1) + dim` and the negative
//! of that as value, and it forecasts the sum of `x + 1` over the real points, which it reads from the cache that it writes.

use std::collections::HashMap;
use std::ffi::c_void;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tmoe_driver::{Address, Device, Driver, Stream};
use tmoe_package::{Precision, Profile, Span};
use tmoe_tensorrt::Error;

use super::context::{Context, Contexts};
use super::pass::PassError;
use super::session::{EngineBackend, EngineFacts};
use crate::contract::{ATTENTION_MASK, CacheEntry, CacheLayout, INPUT_IDS};
use crate::error::GraphSource;
use crate::signature::Signature;
use crate::tensor::ElementType;
use crate::testing::port;

const HEADS: usize = 2;
const HEAD_DIM: usize = 2;
const PARTS: [&str; 2] = ["key", "value"];

pub(super) fn layout() -> CacheLayout {
    let entries = PARTS.map(|part| CacheEntry {
        past: format!("past_key_values.0.{part}"),
        present: format!("present.0.{part}"),
    });
    CacheLayout {
        entries: entries.into(),
        kv_heads: HEADS,
        head_dim: HEAD_DIM,
        element_type: ElementType::F32,
        in_place: false,
    }
}

fn signature() -> Signature {
    let mut inputs = vec![
        port(INPUT_IDS, ElementType::F32, &["batch", "sequence", "1"]),
        port(ATTENTION_MASK, ElementType::I64, &["batch", "past + sequence"]),
    ];
    let mut outputs = vec![port("predictions.h1", ElementType::F32, &["batch", "1"])];
    for entry in layout().entries {
        inputs.push(port(&entry.past, ElementType::F32, &["batch", "2", "past", "2"]));
        outputs.push(port(&entry.present, ElementType::F32, &["batch", "2", "past + sequence", "2"]));
    }
    Signature { inputs, outputs }
}

/// Up to 3 series; prefill of up to 16 points, decode of up to 4 on up to 63.
fn profiles() -> Vec<Profile> {
    let span = |min, max| Span { min, opt: max, max };
    let profile =
        |name: &str, sequence, past| Profile { name: name.to_owned(), batch: span(1, 3), sequence, past };
    vec![profile("prefill", span(1, 16), span(0, 0)), profile("decode", span(1, 4), span(1, 63))]
}

/// What the stand-in saw, and what it is told.
#[derive(Default)]
pub(super) struct Record {
    /// The profiles of the contexts that were made.
    pub(super) made: Mutex<Vec<usize>>,
    /// The profiles of the passes that were queued.
    pub(super) queued: Mutex<Vec<usize>>,
    /// So many passes fail after they wrote rubbish.
    pub(super) failures: AtomicUsize,
    /// How much longer the prediction is said to be than it should be.
    pub(super) surplus: AtomicUsize,
}

/// An engine on a device of the stand-in for the driver. `None` where there is no C compiler.
pub(super) fn backend(captures: bool) -> Option<(EngineBackend, Arc<Record>, &'static Driver)> {
    let driver = tmoe_driver::testing::driver(1, 0)?.unwrap();
    let device = Device::open(driver, 0).unwrap();
    let record = Arc::<Record>::default();
    let facts = EngineFacts {
        signature: signature(),
        profiles: profiles(),
        precision: Precision::Fp32,
        graph: GraphSource::File("p/model.engine".into()),
        rebuild: "tmoe-export engine p".to_owned(),
    };
    let maker = FakeContexts { driver, record: Arc::clone(&record) };
    Some((EngineBackend::new(Box::new(maker), facts, device, captures).unwrap(), record, driver))
}

struct FakeContexts {
    driver: &'static Driver,
    record: Arc<Record>,
}

impl Contexts for FakeContexts {
    fn context(&self, profile: usize) -> Result<Box<dyn Context>, PassError> {
        self.record.made.lock().unwrap().push(profile);
        let (driver, record) = (self.driver, Arc::clone(&self.record));
        Ok(Box::new(FakeContext { driver, record, profile, bindings: Bindings::default() }))
    }
}

#[derive(Clone, Default)]
struct Bindings {
    shapes: HashMap<String, Vec<usize>>,
    addresses: HashMap<String, Address>,
}

struct FakeContext {
    driver: &'static Driver,
    record: Arc<Record>,
    profile: usize,
    bindings: Bindings,
}

fn refused(message: &str) -> Error {
    Error::Refused { operation: "the pass", message: message.to_owned() }
}

impl Context for FakeContext {
    fn set_shape(&mut self, input: &str, shape: &[usize]) -> Result<(), Error> {
        self.bindings.shapes.insert(input.to_owned(), shape.to_vec());
        Ok(())
    }

    fn output_shape(&self, output: &str) -> Result<Vec<i64>, Error> {
        let [batch, _, total] = self.bindings.sizes();
        let surplus = self.record.surplus.load(Ordering::Relaxed);
        let shape = match output {
            "predictions.h1" => vec![batch, 1 + surplus],
            _ => vec![batch, HEADS, total, HEAD_DIM],
        };
        Ok(shape.into_iter().map(|size| size as i64).collect())
    }

    unsafe fn set_address(&mut self, tensor: &str, address: Address) -> Result<(), Error> {
        self.bindings.addresses.insert(tensor.to_owned(), address);
        Ok(())
    }

    unsafe fn enqueue(&mut self, stream: Stream) -> Result<(), Error> {
        let fails = self
            .record
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        self.record.queued.lock().unwrap().push(self.profile);
        // A captured graph may call it for as long as the process lives.
        let bindings: &'static Bindings = Box::leak(Box::new(self.bindings.clone()));
        let work = if fails { spoil } else { compute };
        let data = std::ptr::from_ref(bindings).cast_mut().cast();
        // SAFETY: the bindings are never dropped, and the memory is there as the caller promises.
        match unsafe { tmoe_driver::testing::queue(self.driver, stream, work, data) } {
            0 if fails => Err(refused("it failed on purpose")),
            0 => Ok(()),
            status => Err(refused(&format!("status {status}"))),
        }
    }
}

impl Bindings {
    /// Batch, sequence, and past and sequence together.
    fn sizes(&self) -> [usize; 3] {
        [self.shapes[INPUT_IDS][0], self.shapes[INPUT_IDS][1], self.shapes[ATTENTION_MASK][1]]
    }

    /// # Safety
    ///
    /// As many elements lie at the tensor's address.
    unsafe fn slice<T>(&self, name: &str, elements: usize) -> &[T] {
        // SAFETY: the caller's; memory of the stand-in's devices is memory of the host.
        unsafe { slice::from_raw_parts(self.addresses[name] as *const T, elements) }
    }

    /// # Safety
    ///
    /// As above, and nothing else uses them.
    unsafe fn slice_mut<'m>(&self, name: &str, elements: usize) -> &'m mut [f32] {
        // SAFETY: the caller's.
        unsafe { slice::from_raw_parts_mut(self.addresses[name] as *mut f32, elements) }
    }
}

/// The model.
unsafe extern "C" fn compute(data: *mut c_void) {
    // SAFETY: `enqueue` gave a pointer to bindings, whose tensors have the shapes that were set.
    unsafe {
        let bindings = &*data.cast::<Bindings>();
        let [batch, sequence, total] = bindings.sizes();
        let past = total - sequence;
        let points = bindings.slice::<f32>(INPUT_IDS, batch * sequence);
        let mask = bindings.slice::<i64>(ATTENTION_MASK, batch * total);
        let sums = bindings.slice_mut("predictions.h1", batch);
        sums.fill(0.0);
        for (part, sign) in PARTS.into_iter().zip([1.0, -1.0]) {
            let input = format!("past_key_values.0.{part}");
            assert_eq!(bindings.shapes[&input], [batch, HEADS, past, HEAD_DIM]);
            let before = bindings.slice::<f32>(&input, batch * HEADS * past * HEAD_DIM);
            let after = bindings.slice_mut(&format!("present.0.{part}"), batch * HEADS * total * HEAD_DIM);
            for (index, value) in after.iter_mut().enumerate() {
                let (dim, row, head) =
                    (index % HEAD_DIM, index / HEAD_DIM % total, index / HEAD_DIM / total % HEADS);
                let series = index / HEAD_DIM / total / HEADS;
                *value = match row.checked_sub(past) {
                    None => before[((series * HEADS + head) * past + row) * HEAD_DIM + dim],
                    Some(new) => sign * (points[series * sequence + new] * (head + 1) as f32 + dim as f32),
                };
                // 2 x + 1 of the keys, and -x of the values.
                let counts = if sign > 0.0 { (head, dim) == (1, 1) } else { (head, dim) == (0, 0) };
                if counts && mask[series * total + row] == 1 {
                    sums[series] += *value;
                }
            }
        }
    }
}

/// A pass that goes wrong half way.
unsafe extern "C" fn spoil(data: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        let bindings = &*data.cast::<Bindings>();
        let [batch, _, total] = bindings.sizes();
        for part in PARTS {
            bindings.slice_mut(&format!("present.0.{part}"), batch * HEADS * total * HEAD_DIM).fill(f32::NAN);
        }
    }
}
