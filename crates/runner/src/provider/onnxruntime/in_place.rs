//! Generations whose cache is reserved once, wherever it lies.

use crate::contract::{ATTENTION_MASK, CacheLayout, INPUT_IDS};
use crate::error::Error;
use crate::provider::Generation;
use crate::tensor::NamedTensors;

/// Where the cache of an [`InPlaceGeneration`] lies, and how a pass reads and writes it there.
pub(crate) trait Place: Send {
    /// The tensors of one generation's cache, each with room for a number of rows per head.
    type Cache: Send;

    /// Reserves a cache of `batch` series with `capacity` rows per head.
    fn reserve(&self, layout: &CacheLayout, batch: usize, capacity: usize) -> Result<Self::Cache, Error>;

    /// Copies the first `rows` rows of every head to a cache with more room.
    fn copy(
        &self,
        layout: &CacheLayout,
        from: &Self::Cache,
        to: &mut Self::Cache,
        rows: usize,
    ) -> Result<(), Error>;

    /// Runs one pass over `inputs`, which appends to the cache behind its first `past` rows. The cache is bound as past
    /// and as present, and is no part of the outputs.
    fn pass(
        &self,
        layout: &CacheLayout,
        cache: &mut Self::Cache,
        inputs: NamedTensors,
        past: usize,
    ) -> Result<NamedTensors, Error>;
}

/// A cache that is reserved once: each tensor is bound as past and as present, and a pass writes its own rows only.
pub(crate) struct InPlaceGeneration<'a, P: Place> {
    place: P,
    layout: &'a CacheLayout,
    batch: usize,
    /// Rows per head that the cache has room for.
    capacity: usize,
    /// Rows that are filled.
    past: usize,
    /// Rows that were filled when the generation was marked. Passes write behind the filled rows only, so that these are
    /// still what they were.
    mark: Option<usize>,
    cache: P::Cache,
}

impl<'a, P: Place> InPlaceGeneration<'a, P> {
    pub(crate) fn new(
        place: P,
        layout: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Self, Error> {
        let cache = place.reserve(layout, batch, capacity)?;
        Ok(Self { place, layout, batch, capacity, past: 0, mark: None, cache })
    }

    /// Makes room for `rows` rows per head, if there is none: twice as many, so that copies stay few.
    fn make_room(&mut self, rows: usize) -> Result<(), Error> {
        if rows <= self.capacity {
            return Ok(());
        }
        let capacity = rows.max(self.capacity.saturating_mul(2));
        let mut cache = self.place.reserve(self.layout, self.batch, capacity)?;
        if self.past > 0 {
            self.place.copy(self.layout, &self.cache, &mut cache, self.past)?;
        }
        (self.cache, self.capacity) = (cache, capacity);
        Ok(())
    }
}

impl<P: Place> Generation for InPlaceGeneration<'_, P> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let points = inputs.get(INPUT_IDS).and_then(|tensor| tensor.shape().get(1).copied()).unwrap_or(0);
        debug_assert!(inputs.contains_key(ATTENTION_MASK), "whose length says how many rows are filled");
        let total = self.past.saturating_add(points);
        self.make_room(total)?;
        let outputs = self.place.pass(self.layout, &mut self.cache, inputs, self.past)?;
        // A pass that failed may have written rows behind these; they count only now.
        self.past = total;
        Ok(outputs)
    }

    fn mark(&mut self) -> bool {
        self.mark = Some(self.past);
        true
    }

    fn rewind(&mut self) -> bool {
        let mark = self.mark.take();
        self.past = mark.unwrap_or(self.past);
        mark.is_some()
    }
}
