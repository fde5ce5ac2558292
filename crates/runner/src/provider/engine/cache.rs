//! A cache on the device: two memories that change places with every pass.
//!
//! The operators of ai.onnx make the present by joining the past and what is new, so that every head's rows move, and TensorRT lets
//! no output share an input's memory: a pass reads one side and writes the other, both reserved once for the generation. A pass
//! that fails leaves the side that it read as it was, and a side that is too small is replaced before it is written, without
//! copying anything.

use std::collections::HashMap;
use std::sync::Arc;

use tmoe_driver::{Address, Device, DeviceMemory, Graph};

use super::context::Context;
use super::pass::PassError;
use crate::contract::CacheLayout;
use crate::provider::step::{StepLayout, StepMemory, cache_tensor_bytes};

/// One side of a cache: its tensors one behind the other.
struct Side {
    memory: DeviceMemory,
    /// Rows per head that there is room for.
    capacity: usize,
    /// From one tensor to the next.
    tensor_bytes: usize,
}

impl Side {
    fn reserve(
        device: &Arc<Device>,
        layout: &CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Self, PassError> {
        let tensor_bytes = cache_tensor_bytes(layout, batch, capacity);
        let bytes = tensor_bytes.saturating_mul(layout.entries.len());
        let memory = DeviceMemory::reserve(device, bytes).map_err(|error| PassError::CacheMemory {
            error,
            bytes,
            batch,
            capacity,
        })?;
        Ok(Self { memory, capacity, tensor_bytes })
    }
}

/// The memory of one generation: its cache, and what its passes read and write besides.
pub(super) struct CacheMemory {
    /// Before the memory on which they were captured.
    pub(super) captured: HashMap<CapturedPass, Captured>,
    sides: [Side; 2],
    /// Which side holds the past.
    front: usize,
    /// Series.
    batch: usize,
    /// Rows per head, as they were asked for.
    capacity: usize,
    /// Memory of the last pass, for the next one.
    pub(super) step: Option<StepMemory>,
}

/// What a captured CUDA graph holds for, besides the memory on which it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CapturedPass {
    pub(super) sequence: usize,
    pub(super) past: usize,
    /// Which side holds the past.
    pub(super) front: usize,
}

/// A pass that was captured. A graph depends on the state of the context that it was captured with: no other pass uses that one.
pub(super) struct Captured {
    pub(super) graph: Graph,
    pub(super) layout: StepLayout,
    pub(super) memory: StepMemory,
    pub(super) _context: Box<dyn Context>,
}

impl CacheMemory {
    pub(super) fn reserve(
        device: &Arc<Device>,
        layout: &CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Self, PassError> {
        let side = || Side::reserve(device, layout, batch, capacity);
        let sides = [side()?, side()?];
        Ok(Self { captured: HashMap::new(), sides, front: 0, batch, capacity, step: None })
    }

    /// Whether it was reserved with these sizes.
    pub(super) fn is_of(&self, batch: usize, capacity: usize) -> bool {
        self.batch == batch && self.capacity == capacity
    }

    /// For another generation: its past on the first side, as when it was new.
    pub(super) fn rewind(&mut self) {
        self.front = 0;
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    pub(super) fn front(&self) -> usize {
        self.front
    }

    /// Where a tensor's past is.
    pub(super) fn past(&self, tensor: usize) -> Address {
        let side = &self.sides[self.front];
        side.memory.address(tensor * side.tensor_bytes)
    }

    /// Where a tensor's present goes.
    pub(super) fn present(&self, tensor: usize) -> Address {
        let side = &self.sides[1 - self.front];
        side.memory.address(tensor * side.tensor_bytes)
    }

    /// Makes room for `rows` rows per head on the side that the next pass writes, if there is none: twice as many, since more passes
    /// will follow.
    pub(super) fn make_room(
        &mut self,
        device: &Arc<Device>,
        layout: &CacheLayout,
        rows: usize,
    ) -> Result<(), PassError> {
        let back = &mut self.sides[1 - self.front];
        if rows > back.capacity {
            let capacity = rows.max(back.capacity.saturating_mul(2));
            let side = Side::reserve(device, layout, self.batch, capacity)?;
            // They were captured on the memory that goes now.
            self.captured.clear();
            *back = side;
        }
        Ok(())
    }

    /// What was written is the past of the next pass.
    pub(super) fn swap(&mut self) {
        self.front = 1 - self.front;
    }
}
