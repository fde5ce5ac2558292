//! Passes that build on each other: prefill, then decode.

use std::fmt;

use ndarray::{Array2, ArrayD, ArrayView2, ArrayView3, Axis};
use tmoe_package::Positions;

use crate::contract::{self, ATTENTION_MASK, INPUT_IDS};
use crate::error::Error;
use crate::provider::Generation;
use crate::session::Session;
use crate::signature::InputError;
use crate::tensor::{NamedTensors, Tensor};

/// One generation on a [`Session`]: the first step is the prefill, each further one continues from the cache, which
/// stays in the provider.
pub struct Decoder<'s> {
    session: &'s Session,
    generation: Box<dyn Generation + 's>,
    batch: usize,
    past: usize,
    mark: Option<usize>,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("session", &self.session)
            .field("batch", &self.batch)
            .field("past", &self.past)
            .finish_non_exhaustive()
    }
}

/// What every head forecasts after the last position of each series.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    heads: Vec<(usize, Array2<f32>)>,
}

impl Predictions {
    /// The forecast of the head of that length: [batch, length].
    pub fn head(&self, length: usize) -> Option<ArrayView2<'_, f32>> {
        self.heads.iter().find(|(head, _)| *head == length).map(|(_, values)| values.view())
    }
}

impl<'s> Decoder<'s> {
    pub(crate) fn new(session: &'s Session, generation: Box<dyn Generation + 's>, batch: usize) -> Self {
        Self { session, generation, batch, past: 0, mark: None }
    }

    /// Points that the cache holds, padding included.
    pub fn past(&self) -> usize {
        self.past
    }

    /// Runs one pass over points that follow those of the steps before.
    ///
    /// `input_ids` is [batch, sequence, 1]; `attention_mask` is [batch, past + sequence], 1 for real points, 0 for
    /// padding and missing ones.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the shapes are others, [`Error::Provider`] when the provider fails. After an error the
    /// decoder is as it was before, and the step can be tried again.
    pub fn step(
        &mut self,
        input_ids: ArrayView3<'_, f32>,
        attention_mask: ArrayView2<'_, i64>,
    ) -> Result<Predictions, Error> {
        let sequence = self.check(input_ids.shape(), attention_mask.shape())?;
        let mut inputs = NamedTensors::from([
            (INPUT_IDS.to_owned(), Tensor::from(input_ids.to_owned())),
            (ATTENTION_MASK.to_owned(), Tensor::from(attention_mask.to_owned())),
        ]);
        let signature = self.session.signature();
        let sizes = signature.check_given(&inputs)?;
        inputs.extend(contract::unused_inputs(signature, self.session.cache(), &sizes)?);
        let mut outputs = self.generation.step(inputs)?;
        let predictions = self.predictions(&mut outputs, sequence)?;
        self.session.count_pass(self.past);
        self.past = self.past.saturating_add(sequence);
        Ok(predictions)
    }

    /// Remembers the cache as it is now, in place of what was remembered before, for [`Decoder::rewind`]. `false` where the
    /// provider cannot: `engine` has room for no more than one cache.
    pub fn mark(&mut self) -> bool {
        let marked = self.generation.mark();
        self.mark = marked.then_some(self.past);
        marked
    }

    /// Goes back to the cache that [`Decoder::mark`] remembered, as if the steps since had not been, and forgets the mark.
    /// `false`, and nothing changes, where there is none.
    pub fn rewind(&mut self) -> bool {
        match self.mark.take() {
            Some(past) if self.generation.rewind() => {
                self.past = past;
                true
            }
            _ => false,
        }
    }

    /// The number of new points, when the shapes fit this generation.
    fn check(&self, points: &[usize], mask: &[usize]) -> Result<usize, InputError> {
        let sequence = match points {
            [_, sequence, _] => *sequence,
            _ => 0,
        };
        if points.contains(&0) {
            return Err(InputError::Empty { name: INPUT_IDS.to_owned(), found: points.to_vec() });
        }
        let total = self.past.saturating_add(sequence);
        let wrong = |name: &str, found: &[usize], expected: &[usize]| {
            (found != expected).then(|| InputError::Size {
                name: name.to_owned(),
                expected: format!("{expected:?}"),
                found: found.to_vec(),
                reason: format!("batch = {} and past = {} in this generation", self.batch, self.past),
            })
        };
        let error = wrong(INPUT_IDS, points, &[self.batch, sequence, 1])
            .or_else(|| wrong(ATTENTION_MASK, mask, &[self.batch, total]));
        error.map_or(Ok(sequence), Err)
    }

    fn predictions(&self, outputs: &mut NamedTensors, sequence: usize) -> Result<Predictions, Error> {
        let manifest = self.session.package().manifest();
        let heads = manifest
            .model
            .horizon_lengths()
            .iter()
            .map(|&length| {
                let name = contract::predictions(length);
                let expected = match manifest.positions {
                    Positions::Last => vec![self.batch, length],
                    Positions::All => vec![self.batch, sequence, length],
                };
                let output = outputs.remove(&name);
                let found = output.as_ref().map(|tensor| tensor.shape().to_vec());
                let values = match output {
                    Some(Tensor::F32(array)) if array.shape() == expected => at_last_position(array),
                    _ => None,
                };
                values.map(|values| (length, values)).ok_or_else(|| {
                    let found = found.map_or_else(|| "nothing".to_owned(), |shape| format!("{shape:?}"));
                    self.session.run_error(format!("`{name}` came out as {found}, expected {expected:?}"))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Predictions { heads })
    }
}

/// [batch, n] stays; of [batch, sequence, n] the last position is taken. `None` for other ranks and no position.
fn at_last_position(array: ArrayD<f32>) -> Option<Array2<f32>> {
    match array.ndim() {
        2 => array.into_dimensionality().ok(),
        3 => {
            let last = array.len_of(Axis(1)).checked_sub(1)?;
            array.index_axis(Axis(1), last).to_owned().into_dimensionality().ok()
        }
        _ => None,
    }
}
