//! A schema as the table of functions that ONNX Runtime calls.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use ort_sys::{
    ONNXTensorElementDataType as DataType, OrtApi, OrtCustomOp, OrtCustomOpDomain,
    OrtCustomOpInputOutputCharacteristic as Characteristic, OrtKernelContext, OrtKernelInfo, OrtMemType,
    OrtShapeInferContext, OrtStatusPtr,
};

use super::api::{Api, NEEDED_VERSION, call};
use super::context::Context;
use super::error::OperatorError;
use super::info::{Info, ShapeInference, data_type};
#[cfg(feature = "cuda")]
use super::kernels;
use super::kernels::{AddRmsNormKernel, FlashAttentionKernel, LinearKernel, SparseMoeKernel};
use crate::schema::{
    ADD_RMS_NORM, DOMAIN, ElementType, FLASH_ATTENTION, InputSpec, LINEAR, Operator, SPARSE_MOE, VERSION,
};

const CPU: &CStr = c"CPUExecutionProvider";
#[cfg(feature = "cuda")]
const CUDA: &CStr = c"CUDAExecutionProvider";

/// A node that was checked, with its weights in the form that is computed with.
pub(super) trait Kernel: Send + Sync + 'static {
    /// Makes the kernel of a node.
    fn create(info: &Info) -> Result<Self, OperatorError>
    where
        Self: Sized;

    /// Runs it once.
    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError>;
}

/// Makes a domain with every operator, for every provider that has kernels. It and the operators live as long as the process.
pub(super) fn create_domain(api: Api) -> Result<*mut OrtCustomOpDomain, OperatorError> {
    let name = c_name(DOMAIN);
    let mut domain = ptr::null_mut();
    // SAFETY: the name is a string that ONNX Runtime copies; the result goes to a place of its type.
    unsafe { call!(api, CreateCustomOpDomain(name.as_ptr(), &mut domain))? };
    let on_cpu = [
        Registered::all::<SparseMoeKernel>(api, &SPARSE_MOE, CPU),
        Registered::all::<FlashAttentionKernel>(api, &FLASH_ATTENTION, CPU),
        Registered::all::<LinearKernel>(api, &LINEAR, CPU),
        Registered::all::<AddRmsNormKernel>(api, &ADD_RMS_NORM, CPU),
    ];
    #[cfg(not(feature = "cuda"))]
    let on_cuda = [];
    #[cfg(feature = "cuda")]
    let on_cuda = [
        Registered::all::<kernels::cuda::SparseMoeKernel>(api, &SPARSE_MOE, CUDA),
        Registered::all::<kernels::cuda::FlashAttentionKernel>(api, &FLASH_ATTENTION, CUDA),
        Registered::all::<kernels::cuda::LinearKernel>(api, &LINEAR, CUDA),
        Registered::all::<kernels::cuda::AddRmsNormKernel>(api, &ADD_RMS_NORM, CUDA),
    ];
    for registered in on_cpu.into_iter().chain(on_cuda).flatten() {
        let registered: &'static Registered = Box::leak(Box::new(registered));
        let table: *const Registered = registered;
        // SAFETY: the domain was just made; the table is the first field and lives for ever.
        unsafe { call!(api, CustomOpDomain_Add(domain, table.cast::<OrtCustomOp>()))? };
    }
    Ok(domain)
}

fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_else(|_| unreachable!("names of operators have no zero bytes"))
}

/// An operator as ONNX Runtime knows it: its table of functions, and behind that what the functions need.
#[repr(C)]
struct Registered {
    table: OrtCustomOp,
    schema: &'static Operator,
    /// Of the inputs and outputs that have one type together.
    shared_type: Option<ElementType>,
    name: CString,
    provider: &'static CStr,
    api: Api,
}

/// A node's kernel, as ONNX Runtime holds it.
struct Instance {
    kernel: Box<dyn Kernel>,
    api: Api,
}

impl Registered {
    /// An operator on a provider: once for every type that inputs and outputs have together, for ONNX Runtime can tell an output's
    /// type only from those that are registered. It makes one schema of them.
    fn all<K: Kernel>(api: Api, schema: &'static Operator, provider: &'static CStr) -> Vec<Self> {
        match &schema.shared_type {
            None => vec![Self::new::<K>(api, schema, None, provider)],
            Some(shared) => {
                let of_type = |&shared| Self::new::<K>(api, schema, Some(shared), provider);
                shared.types.iter().map(of_type).collect()
            }
        }
    }

    fn new<K: Kernel>(
        api: Api,
        schema: &'static Operator,
        shared_type: Option<ElementType>,
        provider: &'static CStr,
    ) -> Self {
        let table = OrtCustomOp {
            version: NEEDED_VERSION,
            CreateKernel: None,
            GetName: Some(get_name),
            GetExecutionProviderType: Some(get_provider),
            GetInputType: Some(get_input_type),
            GetInputTypeCount: Some(get_input_count),
            GetOutputType: Some(get_output_type),
            GetOutputTypeCount: Some(get_output_count),
            KernelCompute: None,
            KernelDestroy: Some(destroy_kernel),
            GetInputCharacteristic: Some(get_input_characteristic),
            GetOutputCharacteristic: Some(get_output_characteristic),
            GetInputMemoryType: Some(get_input_memory_type),
            GetVariadicInputMinArity: Some(no_variadic),
            GetVariadicInputHomogeneity: Some(no_variadic),
            GetVariadicOutputMinArity: Some(no_variadic),
            GetVariadicOutputHomogeneity: Some(no_variadic),
            CreateKernelV2: Some(create_kernel::<K>),
            KernelComputeV2: Some(compute),
            InferOutputShapeFn: Some(infer_shapes),
            GetStartVersion: Some(version),
            GetEndVersion: Some(version),
            GetMayInplace: None,
            ReleaseMayInplace: None,
            GetAliasMap: None,
            ReleaseAliasMap: None,
        };
        Self { table, schema, shared_type, name: c_name(schema.name), provider, api }
    }
}

/// # Safety
///
/// `op` is the table of a [`Registered`], as it is in every call that ONNX Runtime makes through that table.
unsafe fn registered<'a>(op: *const OrtCustomOp) -> &'a Registered {
    // SAFETY: the table is the first field of a `Registered`, which lives for ever.
    unsafe { &*op.cast::<Registered>() }
}

unsafe extern "system" fn get_name(op: *const OrtCustomOp) -> *const c_char {
    // SAFETY: called through the table.
    unsafe { registered(op) }.name.as_ptr()
}

unsafe extern "system" fn get_provider(op: *const OrtCustomOp) -> *const c_char {
    // SAFETY: called through the table.
    unsafe { registered(op) }.provider.as_ptr()
}

unsafe extern "system" fn get_input_count(op: *const OrtCustomOp) -> usize {
    // SAFETY: called through the table.
    unsafe { registered(op) }.schema.inputs.len()
}

unsafe extern "system" fn get_output_count(op: *const OrtCustomOp) -> usize {
    // SAFETY: called through the table.
    unsafe { registered(op) }.schema.outputs.len()
}

fn input(op: &Registered, index: usize) -> Option<&'static InputSpec> {
    op.schema.inputs.get(index)
}

/// ONNX Runtime knows one type per input; one that may have several is left open here, and checked by the schema. Of those that have
/// one type together, the first says which.
unsafe extern "system" fn get_input_type(op: *const OrtCustomOp, index: usize) -> DataType {
    // SAFETY: called through the table.
    let op = unsafe { registered(op) };
    let Some(spec) = input(op, index) else { return DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED };
    let shared = op.schema.shared_type.as_ref();
    let shares = shared.is_some_and(|shared| shared.inputs.first() == Some(&spec.name));
    match (spec.types, op.shared_type) {
        (_, Some(shared)) if shares => data_type(shared),
        (&[only], _) => data_type(only),
        _ => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
    }
}

unsafe extern "system" fn get_output_type(op: *const OrtCustomOp, index: usize) -> DataType {
    // SAFETY: called through the table.
    let op = unsafe { registered(op) };
    let name = op.schema.outputs.get(index).copied().unwrap_or_default();
    let shares = op.schema.shared_type.as_ref().is_some_and(|shared| shared.outputs.contains(&name));
    match op.shared_type {
        Some(shared) if shares => data_type(shared),
        _ => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    }
}

unsafe extern "system" fn get_input_characteristic(op: *const OrtCustomOp, index: usize) -> Characteristic {
    // SAFETY: called through the table.
    match input(unsafe { registered(op) }, index) {
        Some(spec) if spec.optional => Characteristic::INPUT_OUTPUT_OPTIONAL,
        _ => Characteristic::INPUT_OUTPUT_REQUIRED,
    }
}

unsafe extern "system" fn get_output_characteristic(
    _op: *const OrtCustomOp,
    _index: usize,
) -> Characteristic {
    Characteristic::INPUT_OUTPUT_REQUIRED
}

unsafe extern "system" fn get_input_memory_type(_op: *const OrtCustomOp, _index: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

unsafe extern "system" fn no_variadic(_op: *const OrtCustomOp) -> c_int {
    0
}

unsafe extern "system" fn version(_op: *const OrtCustomOp) -> c_int {
    VERSION
}

unsafe extern "system" fn create_kernel<K: Kernel>(
    op: *const OrtCustomOp,
    api: *const OrtApi,
    info: *const OrtKernelInfo,
    kernel: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: called through the table, with ONNX Runtime's own table.
    let (op, api) = unsafe { (registered(op), Api::new(api)) };
    api.guard(|| {
        // SAFETY: the info is valid during this call.
        let info = unsafe { Info::new(api, info, op.schema) };
        let instance = Box::new(Instance { kernel: Box::new(K::create(&info)?), api });
        // SAFETY: ONNX Runtime gives a place for the pointer, and hands it back to `compute` and `destroy_kernel`.
        unsafe { kernel.write(Box::into_raw(instance).cast()) };
        Ok(())
    })
}

unsafe extern "system" fn compute(kernel: *mut c_void, context: *mut OrtKernelContext) -> OrtStatusPtr {
    // SAFETY: made by `create_kernel`, and not yet destroyed; runs may overlap, and only read.
    let instance = unsafe { &*kernel.cast::<Instance>() };
    instance.api.guard(|| {
        // SAFETY: the context is valid during this call.
        let context = unsafe { Context::new(instance.api, context) };
        instance.kernel.compute(&context)
    })
}

unsafe extern "system" fn destroy_kernel(kernel: *mut c_void) {
    // SAFETY: made by `create_kernel`, and destroyed once.
    drop(unsafe { Box::from_raw(kernel.cast::<Instance>()) });
}

unsafe extern "system" fn infer_shapes(
    op: *const OrtCustomOp,
    context: *mut OrtShapeInferContext,
) -> OrtStatusPtr {
    // SAFETY: called through the table.
    let op = unsafe { registered(op) };
    op.api.guard(|| {
        // SAFETY: the context is valid during this call.
        let inference = unsafe { ShapeInference::new(op.api, context, op.schema) };
        let outputs = op.schema.infer(&inference.attributes()?, &inference.inputs()?)?;
        inference.set_outputs(&outputs)
    })
}
