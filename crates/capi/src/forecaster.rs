//! A package, loaded, and its forecasts.

use std::ffi::{CString, c_char};
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::Arc;

use tmoe_package::{Manifest, Package};
use tmoe_runner::{Control, Normalization, Session, check_horizon};

use crate::boundary::{self, Place, Room};
use crate::cancel::CancelToken;
use crate::error::ErrorObject;
use crate::failure::{Code, Failure};
use crate::log;
use crate::options::Options;

/// A package, loaded on a provider. Any number of threads may use it at once.
#[derive(Debug)]
pub struct Forecaster {
    runner: tmoe_runner::Forecaster,
    pub(crate) session: Arc<Session>,
    pub(crate) normalization: Normalization,
    pub(crate) context: Option<usize>,
    texts: Texts,
}

/// What C is told as text.
#[derive(Debug)]
struct Texts {
    provider: CString,
    passed_over: Option<CString>,
    graph: CString,
    precision: CString,
}

/// A series: equally spaced points, oldest first. NaN is a missing point.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// Its points; may be NULL when there are none.
    pub values: *const f64,
    /// How many.
    pub length: usize,
}

const fn shared_between_threads<T: Send + Sync>() {}
const _: () = shared_between_threads::<Forecaster>();
const _: () = shared_between_threads::<CancelToken>();

impl Forecaster {
    fn open(folder: &str, options: &Options) -> Result<Self, Failure> {
        let package = Package::open_with(folder, options.integrity)?;
        let session = Arc::new(Session::open(&package, &options.session)?);
        log::opened(folder, &session);
        let context = options.context.map(NonZeroUsize::get);
        let mut runner =
            tmoe_runner::Forecaster::new(Arc::clone(&session)).with_normalization(options.normalization);
        if let Some(points) = context {
            runner = runner.with_context(points);
        }
        if let Some(points) = options.token_budget {
            runner = runner.with_token_budget(points.get());
        }
        let texts = Texts::of(&session);
        Ok(Self { runner, session, normalization: options.normalization, context, texts })
    }

    /// Forecasts series, and writes the forecasts one after the other.
    fn forecast(
        &self,
        series: &[&[f64]],
        horizon: usize,
        cancel: Option<&CancelToken>,
    ) -> Result<Vec<f32>, Failure> {
        let forecasts = self.runner.forecast_with(series.iter().copied(), horizon, &control(cancel))?;
        Ok(forecasts.into_iter().flat_map(|forecast| forecast.values).collect())
    }
}

impl Texts {
    fn of(session: &Session) -> Self {
        let text = |text: &str| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        Self {
            provider: text(session.provider().name()),
            passed_over: session.selection().passed_over.as_deref().map(text),
            graph: text(session.graph().name()),
            precision: text(session.precision().name()),
        }
    }
}

/// A control with a caller's token, if there is one.
pub(crate) fn control(cancel: Option<&CancelToken>) -> Control<'_> {
    let control = Control::new();
    match cancel {
        Some(token) => control.with_cancel(&token.0),
        None => control,
    }
}

/// Opens the package in the folder `package`. `options` may be NULL: all defaults.
///
/// # Safety
///
/// `package` is text; `options` is NULL or was not freed; `forecaster` is a place for a pointer, which is written when the code is
/// TMOE_OK; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_open(
    package: *const c_char,
    options: *const Options,
    forecaster: *mut *mut Forecaster,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let place = Place::new(forecaster, "forecaster")?;
            let package = boundary::text(package, "package")?;
            let opened = match options.is_null() {
                true => Forecaster::open(package, &Options::default())?,
                false => Forecaster::open(package, boundary::borrow(options, "options")?)?,
            };
            place.put(Box::into_raw(Box::new(opened)));
            Ok(())
        })
    }
}

/// Frees a forecaster. Its streams go on.
///
/// # Safety
///
/// `forecaster` is NULL or a forecaster that was not freed, and neither used again nor in use by a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_free(forecaster: *mut Forecaster) {
    // SAFETY: the caller's.
    unsafe { boundary::free(forecaster) };
}

/// Forecasts the `horizon` points after the last one of each of `count` series.
///
/// `values` is room for `length` numbers, which must be `count` times `horizon`: the forecast of the first series, then that of the
/// second, and so on. It is written only when the code is TMOE_OK. Missing points at the end of a series are forecast first and
/// then left out, so that every forecast begins after its series' last point. `cancel` may be NULL.
///
/// # Safety
///
/// `forecaster` was not freed; `series` points to `count` series, and each of these to its points; `cancel` is NULL or was not
/// freed; `values` is memory for `length` numbers that nobody else uses during the call; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
// C has no slices.
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tmoe_forecaster_forecast(
    forecaster: *const Forecaster,
    series: *const Series,
    count: usize,
    horizon: usize,
    cancel: *const CancelToken,
    values: *mut f32,
    length: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let forecaster = boundary::borrow(forecaster, "forecaster")?;
            let series = boundary::slice(series, count, "series")?;
            let series = series.iter().map(|one| boundary::slice(one.values, one.length, "series.values"));
            let series: Vec<&[f64]> = series.collect::<Result<_, _>>()?;
            let cancel = cancel.as_ref();
            forecaster.check_horizon(horizon)?;
            let room = Room::exactly(values, length, count.saturating_mul(horizon), "values")?;
            room.fill(forecaster.forecast(&series, horizon, cancel)?);
            Ok(())
        })
    }
}

/// A text of a forecaster's; NULL for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
unsafe fn text(
    forecaster: *const Forecaster,
    text: impl FnOnce(&Texts) -> Option<&CString>,
) -> *const c_char {
    // SAFETY: the caller's.
    let forecaster = unsafe { boundary::borrow(forecaster, "forecaster") };
    let text = forecaster.ok().and_then(|forecaster| text(&forecaster.texts));
    text.map_or(ptr::null(), |text| text.as_ptr())
}

/// A number of a forecaster's; 0 for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
unsafe fn number(forecaster: *const Forecaster, number: impl FnOnce(&Forecaster) -> usize) -> usize {
    // SAFETY: the caller's.
    let forecaster = unsafe { boundary::borrow(forecaster, "forecaster") };
    forecaster.map_or(0, |forecaster| boundary::value(0, || number(forecaster)))
}

/// The provider that runs the package, valid until the forecaster is freed; NULL for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_provider(forecaster: *const Forecaster) -> *const c_char {
    // SAFETY: the caller's.
    unsafe { text(forecaster, |texts| Some(&texts.provider)) }
}

/// When the provider was to be `auto`, and a faster one could be had: why it is not used, and what to install; otherwise NULL. Valid
/// until the forecaster is freed.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_passed_over(forecaster: *const Forecaster) -> *const c_char {
    // SAFETY: the caller's.
    unsafe { text(forecaster, |texts| texts.passed_over.as_ref()) }
}

/// The graph of the package that is run, valid until the forecaster is freed; NULL for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_graph(forecaster: *const Forecaster) -> *const c_char {
    // SAFETY: the caller's.
    unsafe { text(forecaster, |texts| Some(&texts.graph)) }
}

/// What products are computed in: `fp32`, `fp16`, `bf16` or `int8`. Valid until the forecaster is freed; NULL for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_precision(forecaster: *const Forecaster) -> *const c_char {
    // SAFETY: the caller's.
    unsafe { text(forecaster, |texts| Some(&texts.precision)) }
}

/// How many threads compute one pass; 0 for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_threads(forecaster: *const Forecaster) -> usize {
    // SAFETY: the caller's.
    unsafe { number(forecaster, |forecaster| forecaster.session.threads()) }
}

/// How many series one pass can have; 0 where there is no limit. A call may have more: it makes several passes.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_max_batch(forecaster: *const Forecaster) -> usize {
    // SAFETY: the caller's.
    unsafe { number(forecaster, |forecaster| forecaster.session.max_batch().unwrap_or(0)) }
}

/// How many points the model holds, context and horizon together; 0 for NULL. Of longer series it sees the newest points that fit.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_max_positions(forecaster: *const Forecaster) -> usize {
    // SAFETY: the caller's.
    unsafe { number(forecaster, |forecaster| forecaster.manifest().model.max_positions()) }
}

/// The longest horizon that can be forecast; 0 for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_max_horizon(forecaster: *const Forecaster) -> usize {
    // SAFETY: the caller's.
    unsafe { number(forecaster, |forecaster| forecaster.manifest().model.max_positions().saturating_sub(1)) }
}

/// How many points each of the model's heads forecasts in one pass, ascending: a horizon that is one of these costs one pass, others
/// are put together. Writes at most `capacity` of them, and returns how many there are; 0 for NULL.
///
/// # Safety
///
/// `forecaster` is NULL or was not freed; `lengths` is memory for `capacity` numbers, or NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_forecaster_horizon_lengths(
    forecaster: *const Forecaster,
    lengths: *mut usize,
    capacity: usize,
) -> usize {
    // SAFETY: the caller's.
    unsafe {
        number(forecaster, |forecaster| {
            let mut heads = forecaster.manifest().model.horizon_lengths().to_vec();
            heads.sort_unstable();
            if let Ok(room) = Room::exactly(lengths, capacity, capacity, "lengths") {
                room.fill(heads.iter().copied());
            }
            heads.len()
        })
    }
}

impl Forecaster {
    fn check_horizon(&self, horizon: usize) -> Result<(), Failure> {
        Ok(check_horizon(horizon, self.manifest().model.max_positions())?)
    }

    fn manifest(&self) -> &Manifest {
        self.session.package().manifest()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::{tmoe_error_free, tmoe_error_message};

    #[test]
    fn a_forecaster_that_is_not_there_is_told_or_has_nothing() {
        let series = Series { values: ptr::null(), length: 0 };
        let mut values = [0.0_f32; 2];
        // SAFETY: NULL is allowed everywhere, and the rest lives.
        unsafe {
            let code = tmoe_forecaster_forecast(
                ptr::null(),
                &raw const series,
                1,
                2,
                ptr::null(),
                values.as_mut_ptr(),
                2,
                ptr::null_mut(),
            );
            assert_eq!(code, Code::TMOE_ERROR_POINTER);
            for text in [
                tmoe_forecaster_provider,
                tmoe_forecaster_passed_over,
                tmoe_forecaster_graph,
                tmoe_forecaster_precision,
            ] {
                assert!(text(ptr::null()).is_null());
            }
            for number in [
                tmoe_forecaster_threads,
                tmoe_forecaster_max_batch,
                tmoe_forecaster_max_positions,
                tmoe_forecaster_max_horizon,
            ] {
                assert_eq!(number(ptr::null()), 0);
            }
            assert_eq!(tmoe_forecaster_horizon_lengths(ptr::null(), ptr::null_mut(), 0), 0);
            tmoe_forecaster_free(ptr::null_mut());
        }
    }

    #[test]
    fn what_opening_needs_is_named() {
        let mut forecaster = ptr::null_mut();
        let open = |package: *const c_char, place: *mut *mut Forecaster| {
            let mut error = ptr::null_mut();
            // SAFETY: all places are there, the texts are static, and the error is freed once.
            unsafe {
                let code = tmoe_forecaster_open(package, ptr::null(), place, &raw mut error);
                let text = CStr::from_ptr(tmoe_error_message(error)).to_str().unwrap().to_owned();
                tmoe_error_free(error);
                (code, text)
            }
        };
        let null = |name: &str| (Code::TMOE_ERROR_POINTER, format!("`{name}` is NULL"));
        assert_eq!(open(c"x".as_ptr(), ptr::null_mut()), null("forecaster"));
        assert_eq!(open(ptr::null(), &raw mut forecaster), null("package"));
        let (code, text) = open(c"no/such/package".as_ptr(), &raw mut forecaster);
        assert_eq!(code, Code::TMOE_ERROR_PACKAGE);
        assert!(text.starts_with("no/such/package does not exist; "), "{text}");
        assert!(forecaster.is_null());
    }
}
