//! What the kernels report.

use std::ffi::CStr;

use thiserror::Error;

use super::ffi::{self, Status};

/// Why an operator cannot be computed on the device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CudaError {
    /// A size that the kernels are not made for.
    #[error("{operator} on CUDA: {size} is {found}, expected {expected}")]
    Size {
        /// The operator.
        operator: &'static str,
        /// Which size.
        size: &'static str,
        /// What it is.
        found: usize,
        /// What it may be.
        expected: &'static str,
    },
    /// A size, a null pointer or an alignment.
    #[error("{operator} on CUDA: {}", text(ffi::INVALID_ARGUMENT))]
    InvalidArgument {
        /// The operator.
        operator: &'static str,
    },
    /// Types that the device has no instructions for, or a size beyond the limits.
    #[error("{operator} on CUDA: {}", text(ffi::UNSUPPORTED))]
    Unsupported {
        /// The operator.
        operator: &'static str,
    },
    /// Less scratch memory than was asked for.
    #[error("{operator} on CUDA: {}", text(ffi::WORKSPACE_TOO_SMALL))]
    WorkspaceTooSmall {
        /// The operator.
        operator: &'static str,
    },
    /// The CUDA runtime refused a launch.
    #[error("{operator} on CUDA: {} (cudaError_t {code})", text(*code))]
    Launch {
        /// The operator.
        operator: &'static str,
        /// A `cudaError_t`.
        code: i32,
    },
}

impl CudaError {
    /// Reads a status.
    pub(super) fn check(operator: &'static str, status: Status) -> Result<(), Self> {
        match status {
            0 => Ok(()),
            ffi::UNSUPPORTED => Err(Self::Unsupported { operator }),
            ffi::WORKSPACE_TOO_SMALL => Err(Self::WorkspaceTooSmall { operator }),
            code if code > 0 => Err(Self::Launch { operator, code }),
            _ => Err(Self::InvalidArgument { operator }),
        }
    }
}

fn text(status: Status) -> String {
    // SAFETY: every status has a static text.
    unsafe { CStr::from_ptr(ffi::tmoe_status_text(status)) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_an_error_of_its_own_with_the_kernels_text() {
        assert_eq!(CudaError::check("Linear", 0), Ok(()));
        let mut texts = Vec::new();
        for status in [ffi::INVALID_ARGUMENT, ffi::UNSUPPORTED, ffi::WORKSPACE_TOO_SMALL, 2] {
            let error = CudaError::check("Linear", status).unwrap_err();
            let printed = error.to_string();
            assert!(printed.starts_with("Linear on CUDA: ") && printed.contains(&text(status)), "{printed}");
            texts.push(printed);
        }
        texts.dedup();
        assert_eq!(texts.len(), 4, "{texts:?}");
        // cudaErrorMemoryAllocation.
        assert!(texts[3].ends_with("(cudaError_t 2)") && texts[3].contains("memory"), "{}", texts[3]);
    }
}
