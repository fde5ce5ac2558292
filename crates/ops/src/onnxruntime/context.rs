//! What ONNX Runtime gives a node when it runs: inputs, outputs, scratch memory, threads; on a device also its stream.

mod allocation;
#[cfg(feature = "cuda")]
mod device;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use ort_sys::{
    OrtAllocatorType, OrtKernelContext, OrtMemType, OrtMemoryInfo, OrtTensorTypeAndShapeInfo, OrtValue,
};

use self::allocation::Allocation;
use super::api::{Api, call};
use super::error::OperatorError;
use super::info::element_type;
use crate::cpu::Parallel;
use crate::schema::{Argument, Dimension, ElementType};

/// One run of a node.
pub(super) struct Context<'a> {
    api: Api,
    context: *mut OrtKernelContext,
    _run: PhantomData<&'a ()>,
}

impl<'a> Context<'a> {
    /// # Safety
    ///
    /// The context is valid during `'a`.
    pub(super) unsafe fn new(api: Api, context: *mut OrtKernelContext) -> Self {
        Self { api, context, _run: PhantomData }
    }

    /// An input; `None` if it is left out.
    pub(super) fn input(&self, index: usize) -> Result<Option<Tensor<'a>>, OperatorError> {
        let Self { api, context, .. } = *self;
        let mut count = 0;
        let mut value: *const OrtValue = ptr::null();
        // SAFETY: the context is valid; results go to places of their types.
        unsafe { call!(api, KernelContext_GetInputCount(context, &mut count))? };
        if index >= count {
            return Ok(None);
        }
        // SAFETY: as above.
        unsafe { call!(api, KernelContext_GetInput(context, index, &mut value))? };
        if value.is_null() {
            return Ok(None);
        }
        // SAFETY: an input is a tensor that lives during the run; kernels for a device only take addresses.
        unsafe { Tensor::new(api, value) }.map(Some)
    }

    /// An output with the given shape, of the node's type for it. Where the caller of the session bound a tensor to it, that one's elements.
    ///
    /// The elements are not to be read before they are written, and may be those of an input that the caller bound to the same
    /// memory: hence a pointer.
    pub(super) fn output<T>(&self, index: usize, shape: &[usize]) -> Result<(*mut T, usize), OperatorError> {
        let Self { api, context, .. } = *self;
        let sizes: Vec<i64> = shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let mut value: *mut OrtValue = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the context is valid; the sizes are as many as said; results go to places of their types.
        unsafe {
            call!(api, KernelContext_GetOutput(context, index, sizes.as_ptr(), sizes.len(), &mut value))?;
            call!(api, GetTensorMutableData(value, &mut data))?;
        }
        // ONNX Runtime has made a tensor of these sizes, so their product fits.
        Ok((data.cast(), shape.iter().product()))
    }

    /// Scratch memory of the session's allocator, given back when dropped. Its contents are arbitrary numbers.
    pub(super) fn scratch(&self, elements: usize) -> Result<Scratch<'_>, OperatorError> {
        Scratch::new(self, elements)
    }

    /// The threads of the session.
    pub(super) fn threads(&self) -> SessionThreads<'_> {
        SessionThreads { api: self.api, context: self.context, _run: PhantomData }
    }
}

/// A tensor that ONNX Runtime owns.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    data: *const c_void,
    element_type: ElementType,
    shape: [usize; 4],
    rank: usize,
    elements: usize,
    _owner: PhantomData<&'a ()>,
}

impl<'a> Tensor<'a> {
    /// # Safety
    ///
    /// The value is a tensor, and lives during `'a`. If it lies in the memory of a device, [`Self::elements`] is not called.
    pub(super) unsafe fn new(api: Api, value: *const OrtValue) -> Result<Self, OperatorError> {
        let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
        let mut number = 0_i32;
        let mut rank = 0;
        let mut sizes = [0_i64; 4];
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the value is a tensor; results go to places of their types. The info is released once. What is called
        // mutable data is only read.
        unsafe {
            call!(api, GetTensorTypeAndShape(value, &mut info))?;
            let read = call!(api, GetTensorElementType(info, (&raw mut number).cast()))
                .and_then(|()| call!(api, GetDimensionsCount(info, &mut rank)))
                .and_then(|()| call!(api, GetDimensions(info, sizes.as_mut_ptr(), rank.min(sizes.len()))));
            ((*api.table()).ReleaseTensorTypeAndShapeInfo)(info);
            read?;
            call!(api, GetTensorMutableData(value.cast_mut(), &mut data))?;
        }
        if rank > sizes.len() {
            return Err(OperatorError::Runtime(format!("a tensor of {rank} axes, expected at most 4")));
        }
        let shape = sizes.map(|size| usize::try_from(size).unwrap_or(0));
        let elements = shape[..rank].iter().product();
        Ok(Self { data, element_type: element_type(number), shape, rank, elements, _owner: PhantomData })
    }

    /// Its sizes.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape[..self.rank]
    }

    /// The type of its elements.
    pub(super) fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Where its elements begin.
    pub(super) fn address(&self) -> *const c_void {
        self.data
    }

    /// What a schema checks.
    pub(super) fn argument(&self) -> Argument {
        let shape = self.shape().iter().map(|&size| Dimension::Fixed(size as u64)).collect();
        Argument { element_type: self.element_type, shape: Some(shape) }
    }

    /// Its elements, if they are of that type and in the memory of the CPU.
    pub(super) fn elements<T: Element>(&self) -> Option<&'a [T]> {
        if self.element_type != T::TYPE {
            return None;
        }
        if self.elements == 0 {
            return Some(&[]);
        }
        // SAFETY: ONNX Runtime keeps as many elements of that type, aligned for every type, during `'a`.
        Some(unsafe { std::slice::from_raw_parts(self.data.cast::<T>(), self.elements) })
    }
}

/// A Rust type of tensor elements: any bits are a value of it.
pub(super) trait Element: Copy {
    const TYPE: ElementType;
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::Float32;
}
impl Element for half::f16 {
    const TYPE: ElementType = ElementType::Float16;
}
impl Element for half::bf16 {
    const TYPE: ElementType = ElementType::BFloat16;
}
impl Element for i8 {
    const TYPE: ElementType = ElementType::Int8;
}
impl Element for i64 {
    const TYPE: ElementType = ElementType::Int64;
}

/// Memory of the session's allocator.
pub(super) struct Scratch<'a> {
    memory: Allocation<'a>,
    elements: usize,
}

impl<'a> Scratch<'a> {
    /// Multiple of a cache line by which the memory is aligned.
    const ALIGNMENT: usize = 64;

    fn new(context: &'a Context<'_>, elements: usize) -> Result<Self, OperatorError> {
        let bytes =
            elements.checked_mul(size_of::<f32>()).and_then(|bytes| bytes.checked_add(Self::ALIGNMENT));
        let Some(bytes) = bytes else {
            return Err(OperatorError::Runtime(format!(
                "{elements} elements of scratch do not fit in memory"
            )));
        };
        let api = context.api;
        let mut info: *mut OrtMemoryInfo = ptr::null_mut();
        // SAFETY: the result goes to a place of its type; the info is released once, after its use.
        let memory = unsafe {
            let (kind, memory) = (OrtAllocatorType::OrtArenaAllocator, OrtMemType::OrtMemTypeDefault);
            call!(api, CreateCpuMemoryInfo(kind, memory, &mut info))?;
            let found = Allocation::none(context, info);
            ((*api.table()).ReleaseMemoryInfo)(info);
            found
        };
        let mut memory = memory?;
        // SAFETY: the allocator was just given out, and gives the memory.
        unsafe { call!(api, AllocatorAlloc(memory.allocator, bytes, &mut memory.data))? };
        Ok(Self { memory, elements })
    }

    /// The memory. Its elements are whatever lay there before.
    pub(super) fn elements(&mut self) -> &mut [f32] {
        if self.elements == 0 || self.memory.data.is_null() {
            return &mut [];
        }
        let start = self.memory.data.cast::<u8>();
        // Room for the alignment was asked for.
        let start = start.wrapping_add(start.align_offset(Self::ALIGNMENT));
        // SAFETY: the memory has room for the elements behind the aligned start; it comes from the allocator of another
        // language, so every bit pattern in it is a number.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), self.elements) }
    }
}

/// The session's own pool of threads.
pub(super) struct SessionThreads<'a> {
    api: Api,
    context: *const OrtKernelContext,
    _run: PhantomData<&'a ()>,
}

// SAFETY: ONNX Runtime's pool may be used from any thread; the context is only read.
unsafe impl Sync for SessionThreads<'_> {}

impl Parallel for SessionThreads<'_> {
    /// ONNX Runtime does not say how many threads a session has; work is divided as if for all of the machine.
    fn threads(&self) -> NonZeroUsize {
        static THREADS: std::sync::OnceLock<NonZeroUsize> = std::sync::OnceLock::new();
        *THREADS.get_or_init(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 {
            (0..tasks).for_each(task);
            return;
        }
        let shared = Shared { task, panic: Mutex::new(None) };
        let Self { api, context, .. } = *self;
        let data = (&raw const shared).cast_mut().cast::<c_void>();
        // SAFETY: the context is valid; `run_task` gets the pointer back only before this call returns.
        if unsafe { call!(api, KernelContext_ParallelFor(context, run_task, tasks, 0, data)) }.is_err() {
            // Refused before anything ran: only null arguments are, and there are none. The work is done all the same.
            (0..tasks).for_each(task);
        }
        if let Some(panic) = shared.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }
}

/// A task and the first panic in it.
struct Shared<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

unsafe extern "C" fn run_task(data: *mut c_void, index: usize) {
    // SAFETY: the pointer is the one that `for_each` gave, which waits for all tasks.
    let shared = unsafe { &*data.cast::<Shared<'_>>() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (shared.task)(index))) {
        shared.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
    }
}
