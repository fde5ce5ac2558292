//! Which execution provider runs which node of a session.

use std::ffi::{CStr, c_char};
use std::{ptr, slice};

use ort::AsPointer;
use ort::session::Session;
use ort::sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};

use super::check;

/// The option of a session that is going to be asked for [`assigned_to`].
pub(crate) const RECORD_ASSIGNMENT: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// A node, as the session runs it after ONNX Runtime's optimisations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignedNode {
    pub(crate) name: String,
    /// Empty for ai.onnx.
    pub(crate) domain: String,
    pub(crate) operator: String,
}

/// The nodes that an execution provider runs, by ONNX Runtime's name for it. The session has [`RECORD_ASSIGNMENT`] set.
pub(crate) fn assigned_to(session: &Session, execution_provider: &str) -> ort::Result<Vec<AssignedNode>> {
    let api = ort::api();
    let mut nodes = Vec::new();
    let mut subgraphs: *const *const OrtEpAssignedSubgraph = ptr::null();
    let mut count = 0;
    // SAFETY: the session is valid, and the results go to places of their types.
    let subgraphs = unsafe {
        check((api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut subgraphs, &mut count))?;
        elements(subgraphs, count)
    };
    for &subgraph in subgraphs {
        // SAFETY: the session owns what it listed, for as long as it lives.
        let owner = unsafe { text(|out| (api.EpAssignedSubgraph_GetEpName)(subgraph, out)) }?;
        if owner != execution_provider {
            continue;
        }
        let mut assigned: *const *const OrtEpAssignedNode = ptr::null();
        let mut count = 0;
        // SAFETY: as above.
        let assigned = unsafe {
            check((api.EpAssignedSubgraph_GetNodes)(subgraph, &mut assigned, &mut count))?;
            elements(assigned, count)
        };
        for &node in assigned {
            // SAFETY: as above.
            nodes.push(unsafe {
                AssignedNode {
                    name: text(|out| (api.EpAssignedNode_GetName)(node, out))?,
                    domain: text(|out| (api.EpAssignedNode_GetDomain)(node, out))?,
                    operator: text(|out| (api.EpAssignedNode_GetOperatorType)(node, out))?,
                }
            });
        }
    }
    Ok(nodes)
}

/// # Safety
///
/// `pointer` leads to `count` elements that live long enough, or `count` is 0.
unsafe fn elements<'a, T>(pointer: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    unsafe { slice::from_raw_parts(pointer, count) }
}

/// # Safety
///
/// `get` writes a string that lives at least until it is copied here.
unsafe fn text(get: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> ort::Result<String> {
    let mut text = ptr::null();
    // SAFETY: the caller's.
    unsafe {
        check(get(&mut text))?;
        Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
