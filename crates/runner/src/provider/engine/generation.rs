//! Passes that build on each other, on a cache that stays on the device.

use super::cache::CacheMemory;
use super::pass::PassError;
use super::session::EngineBackend;
use crate::contract::CacheLayout;
use crate::error::Error;
use crate::provider::Generation;
use crate::provider::profile::PassShape;
use crate::tensor::NamedTensors;

/// A generation of an engine's.
pub(super) struct EngineGeneration<'a> {
    backend: &'a EngineBackend,
    layout: &'a CacheLayout,
    /// Taken only when it is dropped.
    cache: Option<CacheMemory>,
    /// Points that the cache holds.
    past: usize,
}

impl<'a> EngineGeneration<'a> {
    pub(super) fn new(
        backend: &'a EngineBackend,
        layout: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Self, PassError> {
        let idle = backend.idle().and_then(|idle| idle.take(|cache| cache.is_of(batch, capacity)));
        let cache = match idle {
            Some(mut cache) => {
                cache.rewind();
                cache
            }
            None => backend.reserve(|| CacheMemory::reserve(backend.device(), layout, batch, capacity))?,
        };
        Ok(Self { backend, layout, cache: Some(cache), past: 0 })
    }
}

impl Generation for EngineGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let signature = &self.backend.facts().signature;
        let shape = PassShape::after(self.past, signature, &inputs)?;
        let profile = self.backend.profile(shape)?;
        let cache = self.cache.as_mut().unwrap_or_else(|| unreachable!("taken only when it is dropped"));
        let outputs = self.backend.pass(self.layout, cache, shape, profile, &inputs);
        let outputs = outputs.map_err(|error| self.backend.error(error))?;
        // A pass that failed may have written the other side; it counts only now.
        cache.swap();
        self.past = self.past.saturating_add(shape.sequence);
        Ok(outputs)
    }
}

impl Drop for EngineGeneration<'_> {
    fn drop(&mut self) {
        if let (Some(cache), Some(idle)) = (self.cache.take(), self.backend.idle()) {
            idle.put(cache);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use ndarray::{Array2, Axis, s};
    use tmoe_driver::testing::{launches, live};

    use super::super::testing::{backend, layout};
    use crate::contract::{ATTENTION_MASK, INPUT_IDS};
    use crate::error::Error;
    use crate::provider::{Backend, Generation};
    use crate::tensor::{NamedTensors, Tensor};

    const SERIES: usize = 3;
    /// Points of each pass.
    const PASSES: [usize; 4] = [5, 1, 3, 2];

    /// What `SERIES` series are, with the first point of the second one missing.
    struct Example {
        points: Array2<f32>,
        mask: Array2<i64>,
    }

    impl Example {
        fn new(seed: f32) -> Self {
            let total = PASSES.iter().sum();
            let points = Array2::from_shape_fn((SERIES, total), |(series, point)| {
                seed + series as f32 * 100.0 + point as f32
            });
            let mut mask = Array2::ones((SERIES, total));
            mask[[1, 0]] = 0;
            Self { points, mask }
        }

        /// The inputs of the pass over these points.
        fn inputs(&self, begin: usize, end: usize) -> NamedTensors {
            let points = self.points.slice(s![.., begin..end]).insert_axis(Axis(2)).to_owned();
            NamedTensors::from([
                (INPUT_IDS.to_owned(), points.into()),
                (ATTENTION_MASK.to_owned(), self.mask.slice(s![.., ..end]).to_owned().into()),
            ])
        }

        /// The sum of x + 1 over the real points so far.
        fn expected(&self, end: usize) -> NamedTensors {
            let sum = |series: usize| -> f32 {
                let points = (0..end).filter(|&point| self.mask[[series, point]] == 1);
                points.map(|point| self.points[[series, point]] + 1.0).sum()
            };
            let sums = Array2::from_shape_fn((SERIES, 1), |(series, _)| sum(series));
            NamedTensors::from([("predictions.h1".to_owned(), Tensor::from(sums))])
        }

        fn run(&self, generation: &mut dyn Generation) {
            self.run_passes(generation, &PASSES);
        }

        fn run_passes(&self, generation: &mut dyn Generation, passes: &[usize]) {
            let mut begin = 0;
            for points in passes {
                let end = begin + points;
                assert_eq!(generation.step(self.inputs(begin, end)).unwrap(), self.expected(end));
                begin = end;
            }
        }
    }

    #[test]
    fn every_pass_sees_all_points_before_it() {
        for captures in [false, true] {
            let Some((backend, _, driver)) = backend(captures) else { return };
            let layout = layout();
            // With room for everything, and with too little, so that it grows several times.
            for capacity in [16, 3, 0] {
                // Again on the same memory, and with other points: nothing of the last time is left.
                for seed in [1.0, 7.0, 7.0] {
                    let mut generation = backend.generation(&layout, SERIES, capacity).unwrap();
                    Example::new(seed).run(generation.as_mut());
                }
            }
            drop(backend);
            assert_eq!(live(driver), 0);
        }
    }

    #[test]
    fn a_pass_runs_in_the_context_of_the_profile_that_covers_it() {
        let Some((backend, record, _)) = backend(false) else { return };
        let layout = layout();
        Example::new(1.0).run(backend.generation(&layout, SERIES, 16).unwrap().as_mut());
        assert_eq!(*record.made.lock().unwrap(), [0, 1]);
        assert_eq!(*record.queued.lock().unwrap(), [0, 1, 1, 1]);
    }

    #[test]
    fn captured_decodes_are_launched_when_their_shapes_come_again() {
        let Some((backend, record, driver)) = backend(true) else { return };
        let layout = layout();
        for seed in [1.0, 2.0, 3.0] {
            Example::new(seed).run(backend.generation(&layout, SERIES, 16).unwrap().as_mut());
        }
        // A context for each profile, and one for each of the three decodes.
        assert_eq!(*record.made.lock().unwrap(), [0, 1, 1, 1, 1]);
        // Three prefills; the decodes once to run and once to be captured, and then not any more.
        assert_eq!(*record.queued.lock().unwrap(), [0, 1, 1, 1, 1, 1, 1, 0, 0]);
        assert_eq!(launches(driver), 6);
    }

    #[test]
    fn a_captured_pass_is_launched_only_where_its_past_is_on_the_side_that_it_read() {
        let Some((backend, _, driver)) = backend(true) else { return };
        let layout = layout();
        // Three points on six, which are there after two passes, or after one.
        for (seed, passes) in [(1.0, &[5, 1, 3][..]), (2.0, &[6, 3]), (3.0, &[5, 1, 3]), (4.0, &[6, 3])] {
            let mut generation = backend.generation(&layout, SERIES, 16).unwrap();
            Example::new(seed).run_passes(generation.as_mut(), passes);
        }
        assert_eq!(launches(driver), 3);
    }

    #[test]
    fn generations_that_overlap_do_not_share_memory() {
        let Some((backend, ..)) = backend(true) else { return };
        let (layout, first, second) = (layout(), Example::new(1.0), Example::new(50.0));
        let mut one = backend.generation(&layout, SERIES, 8).unwrap();
        let mut other = backend.generation(&layout, SERIES, 8).unwrap();
        let mut begin = 0;
        for points in PASSES {
            let end = begin + points;
            assert_eq!(one.step(first.inputs(begin, end)).unwrap(), first.expected(end));
            assert_eq!(other.step(second.inputs(begin, end)).unwrap(), second.expected(end));
            begin = end;
        }
    }

    #[test]
    fn a_pass_that_failed_can_be_tried_again() {
        for captures in [false, true] {
            let Some((backend, record, _)) = backend(captures) else { return };
            let (layout, example) = (layout(), Example::new(1.0));
            let mut generation = backend.generation(&layout, SERIES, 16).unwrap();
            let mut begin = 0;
            for points in PASSES {
                let end = begin + points;
                record.failures.store(1, Ordering::Relaxed);
                let text = generation.step(example.inputs(begin, end)).unwrap_err().to_string();
                assert!(
                    text.starts_with("engine cannot run p/model.engine: ") && text.contains("on purpose")
                );
                assert_eq!(generation.step(example.inputs(begin, end)).unwrap(), example.expected(end));
                begin = end;
            }
        }
    }

    #[test]
    fn a_pass_that_no_profile_covers_is_refused_and_the_generation_goes_on() {
        let Some((backend, ..)) = backend(false) else { return };
        let (layout, example) = (layout(), Example::new(1.0));
        let mut generation = backend.generation(&layout, SERIES, 16).unwrap();
        generation.step(example.inputs(0, 5)).unwrap();
        let error = generation.step(example.inputs(5, 11)).unwrap_err();
        assert!(matches!(error, Error::Profile { batch: 3, sequence: 6, past: 5, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("decode (batch 1 to 3, sequence 1 to 4, past 1 to 63)"), "{text}");
        assert!(text.ends_with("with another --batch and --context: tmoe-export engine p"), "{text}");
        assert_eq!(generation.step(example.inputs(5, 9)).unwrap(), example.expected(9));
    }

    #[test]
    fn a_cache_that_does_not_fit_is_an_error_with_its_size_and_idle_ones_make_room() {
        let Some((backend, ..)) = backend(true) else { return };
        let layout = layout();
        // Keys and values, 2 heads of 2 numbers of 4 bytes for each of 3 series and 2^20 points, on two sides of 96 MiB.
        let text = backend.generation(&layout, SERIES, 1 << 20).err().unwrap().to_string();
        let expected = "has no room for the cache of 3 series of 1048576 points: 96.0 MiB were asked for";
        assert!(text.contains(expected) && text.contains("64.0 MiB are free"), "{text}");
        // 64 bytes for each series and point: two of these do not fit beside each other.
        let capacity = tmoe_driver::testing::DEVICE_BYTES / 2 / 64 + 64;
        for capacity in [capacity, capacity + 1] {
            drop(backend.generation(&layout, 1, capacity).unwrap());
        }
    }

    #[test]
    fn outputs_of_another_size_than_there_is_room_for_are_refused_before_the_pass() {
        let Some((backend, record, _)) = backend(false) else { return };
        let (layout, example) = (layout(), Example::new(1.0));
        let mut generation = backend.generation(&layout, SERIES, 16).unwrap();
        record.surplus.store(1, Ordering::Relaxed);
        let text = generation.step(example.inputs(0, 5)).unwrap_err().to_string();
        assert!(text.contains("`predictions.h1` comes out as [3, 2], expected [3, 1]"), "{text}");
        assert!(record.queued.lock().unwrap().is_empty());
    }

    #[test]
    fn a_raw_run_takes_and_gives_the_cache_on_the_host() {
        let Some((backend, record, driver)) = backend(true) else { return };
        let example = Example::new(1.0);
        let empty = || Tensor::from(ndarray::Array4::<f32>::zeros((SERIES, 2, 0, 2)));
        let mut inputs = example.inputs(0, 5);
        for entry in &layout().entries {
            inputs.insert(entry.past.clone(), empty());
        }
        let mut outputs = backend.run(inputs).unwrap();
        let key = outputs["present.0.key"].as_f32().unwrap();
        let key = key.into_dimensionality::<ndarray::Ix4>().unwrap();
        // Of the point 103 of the second series: 103 (head + 1) + dim.
        assert_eq!(key.slice(s![1, .., 2, ..]), ndarray::arr2(&[[103.0, 104.0], [206.0, 207.0]]));
        let mut inputs = example.inputs(5, 8);
        for entry in &layout().entries {
            inputs.insert(entry.past.clone(), outputs.remove(&entry.present).unwrap());
        }
        let outputs = backend.run(inputs).unwrap();
        assert_eq!(outputs["predictions.h1"], example.expected(8)["predictions.h1"]);
        assert_eq!(*record.queued.lock().unwrap(), [0, 1]);
        drop(backend);
        assert_eq!(live(driver), 0);
    }
}
