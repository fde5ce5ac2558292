//! Rolling-origin windows: what a forecast is made from, and what it is measured by.
//!
//! Source: Tashman 2000, "Out-of-sample tests of forecasting accuracy: an analysis and review".

/// A series cut at a forecast origin. All parts are borrowed from the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window<'a> {
    /// Index of the series, as its caller counts.
    pub series: usize,
    /// Everything before the origin, oldest first; NaN is a missing point.
    pub history: &'a [f64],
    /// The newest points of `history`: what the model sees.
    pub context: &'a [f64],
    /// The points from the origin on, one per step of the horizon; NaN is a missing point.
    pub truth: &'a [f64],
}

impl Window<'_> {
    /// Index of the first forecast point in the series.
    pub fn origin(&self) -> usize {
        self.history.len()
    }

    /// Whether neither context nor truth is missing entirely.
    pub fn is_measurable(&self) -> bool {
        let has_point = |part: &[f64]| part.iter().any(|value| !value.is_nan());
        has_point(self.context) && has_point(self.truth)
    }
}

/// How windows are laid over a series: the last ends with it, and each one before lies `stride` points earlier.
///
/// ```
/// use tmoe_backtest::RollingOrigin;
///
/// let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
/// let windows: Vec<_> = RollingOrigin::new(3, 2).with_stride(2).with_windows(2).windows(0, &values).collect();
/// assert_eq!(windows[0].context, [1.0, 2.0, 3.0]);
/// assert_eq!(windows[0].truth, [4.0, 5.0]);
/// assert_eq!(windows[1].context, [3.0, 4.0, 5.0]);
/// assert_eq!(windows[1].history, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollingOrigin {
    context: usize,
    horizon: usize,
    stride: usize,
    windows: Option<usize>,
    min_context: usize,
}

impl RollingOrigin {
    /// Windows of `context` points seen and `horizon` points forecast, one every `horizon` points, as many as fit.
    /// A context of 0 counts as 1; a horizon of 0 has no windows.
    pub fn new(context: usize, horizon: usize) -> Self {
        let context = context.max(1);
        Self { context, horizon, stride: horizon.max(1), windows: None, min_context: context }
    }

    /// Points from one origin to the next; 0 counts as 1.
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride.max(1);
        self
    }

    /// At most so many windows, the newest.
    #[must_use]
    pub fn with_windows(mut self, windows: usize) -> Self {
        self.windows = Some(windows);
        self
    }

    /// Also windows near the start of a series, whose context is shorter than the whole but has at least so many points.
    #[must_use]
    pub fn with_min_context(mut self, min_context: usize) -> Self {
        self.min_context = min_context.clamp(1, self.context);
        self
    }

    /// The most points that a context has.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The points of a truth.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The number of windows of a series of `length` points.
    pub fn count(&self, length: usize) -> usize {
        let shortest = self.min_context.saturating_add(self.horizon);
        if self.horizon == 0 || length < shortest {
            return 0;
        }
        let fitting = (length - shortest) / self.stride + 1;
        self.windows.map_or(fitting, |windows| windows.min(fitting))
    }

    /// The windows of a series, oldest first.
    pub fn windows<'a>(&self, series: usize, values: &'a [f64]) -> Windows<'a> {
        Windows { layout: *self, series, values, remaining: self.count(values.len()) }
    }
}

/// Iterator over the windows of a series, see [`RollingOrigin::windows`].
#[derive(Clone, Debug)]
pub struct Windows<'a> {
    layout: RollingOrigin,
    series: usize,
    values: &'a [f64],
    remaining: usize,
}

impl<'a> Iterator for Windows<'a> {
    type Item = Window<'a>;

    fn next(&mut self) -> Option<Window<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        let end = self.values.len() - self.remaining * self.layout.stride;
        let (history, truth) = self.values[..end].split_at(end - self.layout.horizon);
        let context = &history[history.len().saturating_sub(self.layout.context)..];
        Some(Window { series: self.series, history, context, truth })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Windows<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_series_shorter_than_a_window_has_none() {
        assert_eq!(RollingOrigin::new(8, 2).windows(0, &[1.0; 9]).count(), 0);
        assert_eq!(RollingOrigin::new(8, 2).windows(0, &[1.0; 10]).count(), 1);
        assert_eq!(RollingOrigin::new(8, 0).windows(0, &[1.0; 10]).count(), 0);
        assert_eq!(RollingOrigin::new(usize::MAX, usize::MAX).windows(0, &[]).count(), 0);
    }

    #[test]
    fn a_shorter_context_is_taken_where_it_is_allowed() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        let layout = RollingOrigin::new(3, 1).with_min_context(2);
        let contexts: Vec<&[f64]> = layout.windows(0, &values).map(|window| window.context).collect();
        assert_eq!(contexts, [&[0.0, 1.0][..], &[0.0, 1.0, 2.0], &[1.0, 2.0, 3.0]]);
    }

    #[test]
    fn windows_without_context_or_truth_are_not_measurable() {
        let values = [f64::NAN, f64::NAN, 1.0, f64::NAN, f64::NAN];
        let layout = RollingOrigin::new(2, 1).with_stride(1);
        let measurable: Vec<bool> = layout.windows(0, &values).map(|window| window.is_measurable()).collect();
        assert_eq!(measurable, [false, false, false]);
        assert!(
            RollingOrigin::new(2, 1).windows(0, &[f64::NAN, 1.0, 2.0]).all(|window| window.is_measurable())
        );
    }

    proptest! {
        /// The definition, written out: every origin is tried.
        #[test]
        fn the_windows_are_those_of_the_definition(
            length in 0_usize..60,
            context in 1_usize..12,
            horizon in 1_usize..8,
            stride in 1_usize..9,
            windows in proptest::option::of(0_usize..12),
            min_context in 1_usize..12,
        ) {
            let values: Vec<f64> = (0..length).map(|index| index as f64).collect();
            let mut layout = RollingOrigin::new(context, horizon).with_stride(stride).with_min_context(min_context);
            if let Some(windows) = windows {
                layout = layout.with_windows(windows);
            }
            let mut expected: Vec<usize> = (0..=length)
                .rev()
                .filter(|origin| {
                    let end = origin + horizon;
                    end <= length && (length - end) % stride == 0 && *origin >= min_context.min(context)
                })
                .take(windows.unwrap_or(usize::MAX))
                .collect();
            expected.reverse();
            let found: Vec<Window<'_>> = layout.windows(3, &values).collect();
            prop_assert_eq!(found.iter().map(Window::origin).collect::<Vec<_>>(), expected);
            prop_assert_eq!(layout.windows(3, &values).len(), found.len());
            for window in found {
                let origin = window.origin();
                prop_assert_eq!(window.series, 3);
                prop_assert_eq!(window.context, &values[origin.saturating_sub(context)..origin]);
                prop_assert_eq!(window.truth, &values[origin..origin + horizon]);
            }
        }
    }
}
