//! What ONNX Runtime says of a node before it runs: when shapes are inferred, and when its kernel is made.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use ort_sys::{
    ONNXTensorElementDataType as DataType, OrtKernelInfo, OrtOpAttr, OrtOpAttrType, OrtShapeInferContext,
    OrtTensorTypeAndShapeInfo, OrtTypeInfo, OrtValue,
};

use super::api::{Api, call};
use super::context::Tensor;
use super::error::OperatorError;
use crate::schema::{
    Argument, AttributeDefault, AttributeSpec, AttributeValue, Attributes, Dimension, ElementType, Operator,
};

/// A node whose kernel is to be made.
pub(super) struct Info {
    api: Api,
    info: *const OrtKernelInfo,
    schema: &'static Operator,
}

impl Info {
    /// # Safety
    ///
    /// The info is valid as long as this value and what it hands out.
    pub(super) unsafe fn new(api: Api, info: *const OrtKernelInfo, schema: &'static Operator) -> Self {
        Self { api, info, schema }
    }

    /// The attributes that the node gives.
    pub(super) fn attributes(&self) -> Attributes {
        read_attributes(self.schema, |spec| {
            let name = c_string(spec.name);
            let Self { api, info, .. } = *self;
            // An attribute that is not given is an error to ONNX Runtime.
            match spec.default {
                AttributeDefault::RequiredInt | AttributeDefault::Int(_) => {
                    let mut value = 0;
                    // SAFETY: the info is valid, the name a string, and the result goes to a place of its type.
                    unsafe { call!(api, KernelInfoGetAttribute_int64(info, name.as_ptr(), &mut value)) }
                        .ok()?;
                    Some(AttributeValue::Int(value))
                }
                AttributeDefault::Float(_) => {
                    let mut value = 0.0;
                    // SAFETY: as above.
                    unsafe { call!(api, KernelInfoGetAttribute_float(info, name.as_ptr(), &mut value)) }
                        .ok()?;
                    Some(AttributeValue::Float(value))
                }
                AttributeDefault::Text(_) => {
                    let mut size = 0;
                    let null = ptr::null_mut();
                    // SAFETY: as above; without a place for the text its size is asked for.
                    unsafe {
                        call!(api, KernelInfoGetAttribute_string(info, name.as_ptr(), null, &mut size))
                    }
                    .ok()?;
                    let mut text = vec![0_u8; size];
                    let place = text.as_mut_ptr().cast::<c_char>();
                    // SAFETY: as above; the place has the size that was asked for.
                    unsafe {
                        call!(api, KernelInfoGetAttribute_string(info, name.as_ptr(), place, &mut size))
                    }
                    .ok()?;
                    Some(AttributeValue::Text(text_of(&text)))
                }
            }
        })
    }

    /// Checks the node with its schema, and gives its attributes.
    pub(super) fn check(&self) -> Result<Attributes, OperatorError> {
        let Self { api, info, .. } = *self;
        let mut count = 0;
        // SAFETY: the info is valid; results go to places of their types, here and below.
        unsafe { call!(api, KernelInfo_GetInputCount(info, &mut count))? };
        let mut inputs = Vec::with_capacity(count);
        for index in 0..count {
            let mut type_info: *mut OrtTypeInfo = ptr::null_mut();
            // An input that is left out has no type.
            // SAFETY: as above.
            if unsafe { call!(api, KernelInfo_GetInputTypeInfo(info, index, &mut type_info)) }.is_err() {
                inputs.push(None);
                continue;
            }
            let mut tensor_info: *const OrtTensorTypeAndShapeInfo = ptr::null();
            // SAFETY: the type info was just made, and is released once, after its last use.
            let argument = unsafe {
                let cast = call!(api, CastTypeInfoToTensorInfo(type_info, &mut tensor_info));
                let argument = cast.and_then(|()| argument(api, tensor_info));
                ((*api.table()).ReleaseTypeInfo)(type_info);
                argument?
            };
            inputs.push(argument);
        }
        let attributes = self.attributes();
        self.schema.infer(&attributes, &inputs)?;
        Ok(attributes)
    }

    /// A weight: the value of an input that is an initializer; `None` if the input is left out.
    pub(super) fn weight(&self, name: &'static str) -> Result<Option<Tensor<'_>>, OperatorError> {
        let Self { api, info, schema } = *self;
        let Some(index) = schema.inputs.iter().position(|spec| spec.name == name) else {
            unreachable!("{} has no input {name}", schema.name);
        };
        let mut count = 0;
        // SAFETY: as in `check`.
        unsafe { call!(api, KernelInfo_GetInputCount(info, &mut count))? };
        let mut type_info: *mut OrtTypeInfo = ptr::null_mut();
        // SAFETY: as in `check`.
        let given = index < count
            && unsafe { call!(api, KernelInfo_GetInputTypeInfo(info, index, &mut type_info)) }.is_ok();
        if !given {
            return Ok(None);
        }
        // SAFETY: made above, and not used any more.
        unsafe { ((*api.table()).ReleaseTypeInfo)(type_info) };
        let mut is_constant: c_int = 0;
        let mut value: *const OrtValue = ptr::null();
        // SAFETY: as in `check`. The value lives as long as the session's initializers, thus as long as the info.
        unsafe { call!(api, KernelInfoGetConstantInput_tensor(info, index, &mut is_constant, &mut value))? };
        if is_constant == 0 || value.is_null() {
            return Err(OperatorError::NotConstant { operator: schema.name, input: name });
        }
        // SAFETY: the value is a tensor that lives as long as the info; kernels for a device only take its shape and type.
        unsafe { Tensor::new(api, value) }.map(Some)
    }
}

/// A node whose output shapes are to be inferred.
pub(super) struct ShapeInference {
    api: Api,
    context: *mut OrtShapeInferContext,
    schema: &'static Operator,
}

impl ShapeInference {
    /// # Safety
    ///
    /// The context is valid as long as this value.
    pub(super) unsafe fn new(
        api: Api,
        context: *mut OrtShapeInferContext,
        schema: &'static Operator,
    ) -> Self {
        Self { api, context, schema }
    }

    /// The attributes that the node gives.
    pub(super) fn attributes(&self) -> Result<Attributes, OperatorError> {
        let Self { api, context, .. } = *self;
        Ok(read_attributes(self.schema, |spec| {
            let name = c_string(spec.name);
            let mut attribute: *const OrtOpAttr = ptr::null();
            // SAFETY: the context is valid, the name a string, and the result goes to a place of its type.
            unsafe { call!(api, ShapeInferContext_GetAttribute(context, name.as_ptr(), &mut attribute)) }
                .ok()?;
            let read = |kind, place: *mut c_void, size: usize| {
                let mut used = 0;
                // SAFETY: the attribute belongs to the context; the place has `size` bytes.
                unsafe { call!(api, ReadOpAttr(attribute, kind, place, size, &mut used)) }
                    .map(|()| used)
                    .map_err(|_| used)
            };
            match spec.default {
                AttributeDefault::RequiredInt | AttributeDefault::Int(_) => {
                    let mut value = 0_i64;
                    read(OrtOpAttrType::ORT_OP_ATTR_INT, (&raw mut value).cast(), size_of::<i64>()).ok()?;
                    Some(AttributeValue::Int(value))
                }
                AttributeDefault::Float(_) => {
                    let mut value = 0_f32;
                    read(OrtOpAttrType::ORT_OP_ATTR_FLOAT, (&raw mut value).cast(), size_of::<f32>()).ok()?;
                    Some(AttributeValue::Float(value))
                }
                AttributeDefault::Text(_) => {
                    // Too small a place is an error that says the size.
                    let kind = OrtOpAttrType::ORT_OP_ATTR_STRING;
                    let size = read(kind, ptr::null_mut(), 0).unwrap_or_else(|needed| needed);
                    let mut text = vec![0_u8; size];
                    read(kind, text.as_mut_ptr().cast(), size).ok()?;
                    Some(AttributeValue::Text(text_of(&text)))
                }
            }
        }))
    }

    /// The inputs as far as they are known.
    pub(super) fn inputs(&self) -> Result<Vec<Option<Argument>>, OperatorError> {
        let Self { api, context, .. } = *self;
        let mut count = 0;
        // SAFETY: the context is valid; results go to places of their types.
        unsafe { call!(api, ShapeInferContext_GetInputCount(context, &mut count))? };
        (0..count)
            .map(|index| {
                let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
                // SAFETY: as above. The info belongs to the context. An input that is left out has none.
                match unsafe { call!(api, ShapeInferContext_GetInputTypeShape(context, index, &mut info)) } {
                    Err(_) => Ok(None),
                    // SAFETY: as above.
                    Ok(()) => unsafe { argument(api, info) },
                }
            })
            .collect()
    }

    /// Tells ONNX Runtime the outputs. Sizes that are unknown get names of their own: one without a name can be taken for an
    /// error by the inference of later nodes.
    pub(super) fn set_outputs(&self, outputs: &[Argument]) -> Result<(), OperatorError> {
        let Self { api, context, schema } = *self;
        for (index, output) in outputs.iter().enumerate() {
            let Some(shape) = &output.shape else { continue };
            let sizes: Vec<i64> = shape
                .iter()
                .map(|size| size.fixed().and_then(|size| i64::try_from(size).ok()).unwrap_or(-1))
                .collect();
            let names: Vec<CString> = shape
                .iter()
                .enumerate()
                .map(|(axis, size)| match size {
                    Dimension::Fixed(_) => CString::default(),
                    Dimension::Symbol(name) => c_string(name),
                    Dimension::Unknown => c_string(&format!("{}.{index}.{axis}", schema.name)),
                })
                .collect();
            let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
            let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
            let element_type = data_type(output.element_type);
            // SAFETY: results go to places of their types; the sizes and names are as many as said and live until the
            // info is released, which is once.
            unsafe {
                call!(api, CreateTensorTypeAndShapeInfo(&mut info))?;
                let filled = call!(api, SetTensorElementType(info, element_type))
                    .and_then(|()| call!(api, SetDimensions(info, sizes.as_ptr(), sizes.len())))
                    .and_then(|()| call!(api, SetSymbolicDimensions(info, names.as_mut_ptr(), names.len())))
                    .and_then(|()| call!(api, ShapeInferContext_SetOutputTypeShape(context, index, info)));
                ((*api.table()).ReleaseTensorTypeAndShapeInfo)(info);
                filled?;
            }
        }
        Ok(())
    }
}

fn read_attributes(schema: &Operator, read: impl Fn(&AttributeSpec) -> Option<AttributeValue>) -> Attributes {
    schema.attributes.iter().filter_map(|spec| Some((spec.name, read(spec)?))).collect()
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Text up to the first zero byte, if there is one.
fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An element type by its number.
pub(super) fn element_type(number: i32) -> ElementType {
    match number {
        1 => ElementType::Float32,
        10 => ElementType::Float16,
        16 => ElementType::BFloat16,
        3 => ElementType::Int8,
        7 => ElementType::Int64,
        other => ElementType::Other(other),
    }
}

/// [`element_type`] the other way round.
pub(super) fn data_type(element_type: ElementType) -> DataType {
    match element_type {
        ElementType::Float32 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        ElementType::Float16 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        ElementType::BFloat16 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        ElementType::Int8 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        ElementType::Int64 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        ElementType::Other(_) => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
    }
}

/// Reads a tensor's type and symbolic shape; `None` where there is no type: an input that is left out.
///
/// # Safety
///
/// The info is valid.
unsafe fn argument(
    api: Api,
    info: *const OrtTensorTypeAndShapeInfo,
) -> Result<Option<Argument>, OperatorError> {
    if info.is_null() {
        return Ok(None);
    }
    let mut number = 0_i32;
    let mut rank = 0;
    // SAFETY: the info is valid. A type is a number of 32 bits, which may be one that the crate's enum does not have.
    unsafe {
        call!(api, GetTensorElementType(info, (&raw mut number).cast()))?;
        if number == 0 {
            return Ok(None);
        }
        call!(api, GetDimensionsCount(info, &mut rank))?;
    }
    let mut sizes = vec![0_i64; rank];
    let mut names: Vec<*const c_char> = vec![ptr::null(); rank];
    // SAFETY: the places have as many elements as said; names belong to the info.
    unsafe {
        call!(api, GetDimensions(info, sizes.as_mut_ptr(), rank))?;
        call!(api, GetSymbolicDimensions(info, names.as_mut_ptr(), rank))?;
    }
    let shape = sizes
        .iter()
        .zip(&names)
        .map(|(&size, &name)| {
            // SAFETY: a name that is not null is a string.
            let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy());
            match (u64::try_from(size), name) {
                (Ok(size), _) => Dimension::Fixed(size),
                (Err(_), Some(name)) if !name.is_empty() => Dimension::Symbol(name.into_owned()),
                _ => Dimension::Unknown,
            }
        })
        .collect();
    Ok(Some(Argument { element_type: element_type(number), shape: Some(shape) }))
}
