//! CUDA graphs: passes that ONNX Runtime captures once and then replays as a whole.
//!
//! A captured pass reads and writes the very addresses that it was captured with, so it is replayed only on the memory that
//! it was bound to, under a number that no other pass of the session ever has.

use std::sync::atomic::{AtomicI32, Ordering};

use ort::session::RunOptions;

/// The option of a run that says which captured graph it is, or that it is none.
const GRAPH: &str = "gpu_graph_id";

/// Graphs of a session, at most: ONNX Runtime keeps each until the session is closed, with the memory that it holds.
const MOST: i32 = 256;

/// The numbers of a session's CUDA graphs.
pub(super) struct Captures {
    last: AtomicI32,
    none: RunOptions,
}

impl Captures {
    pub(super) fn new() -> ort::Result<Self> {
        Ok(Self { last: AtomicI32::new(0), none: run_options(-1)? })
    }

    /// A number that no graph has yet; none when there are too many.
    pub(super) fn next(&self) -> Option<i32> {
        let more = |last| (last < MOST).then_some(last + 1);
        self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|last| last + 1)
    }

    /// The options of a run that is captured or replayed under a number.
    pub(super) fn options(&self, graph: i32) -> ort::Result<RunOptions> {
        run_options(graph)
    }

    /// The options of a run that is neither. Without them a session with CUDA graphs captures whatever it runs.
    pub(super) fn none(&self) -> &RunOptions {
        &self.none
    }
}

fn run_options(graph: i32) -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    options.set(GRAPH, graph.to_string())?;
    Ok(options)
}
