//! One series that grows, forecast again and again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tmoe_runner::{Normalization, Session, check_horizon};

use crate::boundary::{self, Place, Room};
use crate::cancel::CancelToken;
use crate::error::ErrorObject;
use crate::failure::{Code, Failure};
use crate::forecaster::{Forecaster, control};

/// One series that grows: a forecast computes only the points that are new since the one before, on the key/value cache of all
/// others. Its calls run one after the other.
///
/// This is exact, and not only nearly so, because what was computed never changes. A window that is normalised by its own mean
/// changes with every point, and a window that slides moves the positions of all its points: in both, nothing of the cache can be
/// used again. So a stream needs a forecaster with the normalisation `none`, with points scaled by numbers that stay, and its
/// window only grows, up to the forecaster's context. When it is full, `tmoe_stream_restart` begins a new window with the newest
/// points, which the next forecast computes anew.
#[derive(Debug)]
pub struct Stream(Mutex<Owned>);

/// A stream, and the session that it borrows.
#[derive(Debug)]
struct Owned {
    // Dropped before the session.
    stream: tmoe_runner::Stream<'static>,
    session: Arc<Session>,
}

const fn shared_between_threads<T: Send + Sync>() {}
const _: () = shared_between_threads::<Stream>();

impl Owned {
    fn new(session: &Arc<Session>, context: Option<usize>) -> Result<Self, Failure> {
        let session = Arc::clone(session);
        // SAFETY: the session lies where it lies until its last owner goes, and `stream` goes before `session`. No reference
        // with this lifetime leaves this module.
        let borrowed: &'static Session = unsafe { &*Arc::as_ptr(&session) };
        Ok(Self { stream: tmoe_runner::Stream::new(borrowed, context)?, session })
    }
}

impl Stream {
    fn lock(&self) -> Result<MutexGuard<'_, Owned>, Failure> {
        // Nobody knows what a call that panicked has left in the cache.
        self.0.lock().map_err(|_| Failure::StreamBroken)
    }
}

/// A stream without points, of the forecaster's context. TMOE_ERROR_STATE unless the forecaster's normalisation is `none`.
///
/// # Safety
///
/// `forecaster` was not freed; `stream` is a place for a pointer, which is written when the code is TMOE_OK; `error` is NULL or a
/// place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_open(
    forecaster: *const Forecaster,
    stream: *mut *mut Stream,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let place = Place::new(stream, "stream")?;
            let forecaster = boundary::borrow(forecaster, "forecaster")?;
            if forecaster.normalization != Normalization::None {
                return Err(Failure::StreamNormalizes);
            }
            let owned = Owned::new(&forecaster.session, forecaster.context)?;
            place.put(Box::into_raw(Box::new(Stream(Mutex::new(owned)))));
            Ok(())
        })
    }
}

/// Frees a stream.
///
/// # Safety
///
/// `stream` is NULL or a stream that was not freed, and neither used again nor in use by a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_free(stream: *mut Stream) {
    // SAFETY: the caller's.
    unsafe { boundary::free(stream) };
}

/// Appends `length` points; NaN is a missing one, and those before the first observed point are not kept. This computes nothing.
/// TMOE_ERROR_STREAM_FULL, and no point is appended, when they are more than there is room for.
///
/// # Safety
///
/// `stream` was not freed; `values` points to `length` numbers; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_push(
    stream: *const Stream,
    values: *const f64,
    length: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let stream = boundary::borrow(stream, "stream")?;
            let values = boundary::slice(values, length, "values")?;
            Ok(stream.lock()?.stream.push(values)?)
        })
    }
}

/// Forecasts the `horizon` points after the last one. `values` is room for `length` numbers, which must be `horizon`; it is written
/// only when the code is TMOE_OK. TMOE_ERROR_STREAM_FULL when the model does not hold the points and the horizon. `cancel` may be
/// NULL.
///
/// A horizon that takes more than one pass continues from its own forecast, which is taken out of the cache again afterwards. The
/// provider `engine` cannot do that: there the next forecast computes the whole stream, unless the horizon is one of the model's
/// `tmoe_forecaster_horizon_lengths`.
///
/// # Safety
///
/// `stream` was not freed; `cancel` is NULL or was not freed; `values` is memory for `length` numbers that nobody else uses during
/// the call; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_forecast(
    stream: *const Stream,
    horizon: usize,
    cancel: *const CancelToken,
    values: *mut f32,
    length: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let stream = boundary::borrow(stream, "stream")?;
            let control = control(cancel.as_ref());
            let mut owned = stream.lock()?;
            let positions = owned.session.package().manifest().model.max_positions();
            check_horizon(horizon, positions)?;
            let room = Room::exactly(values, length, horizon, "values")?;
            room.fill(owned.stream.forecast(horizon, &control)?);
            Ok(())
        })
    }
}

/// Forgets all but the newest `keep` points, and the cache with them. Where there are no more, nothing changes.
///
/// # Safety
///
/// `stream` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_restart(
    stream: *const Stream,
    keep: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            boundary::borrow(stream, "stream")?.lock()?.stream.restart(keep);
            Ok(())
        })
    }
}

/// A number of a stream's; 0 for NULL.
///
/// # Safety
///
/// `stream` is NULL or was not freed.
unsafe fn number<T: Default>(
    stream: *const Stream,
    number: impl FnOnce(&tmoe_runner::Stream<'static>) -> T,
) -> T {
    // SAFETY: the caller's.
    let stream = unsafe { boundary::borrow(stream, "stream") };
    stream.map_or_else(
        |_| T::default(),
        |stream| {
            let owned = stream.0.lock().unwrap_or_else(PoisonError::into_inner);
            boundary::value(T::default(), || number(&owned.stream))
        },
    )
}

/// How many points it holds, from the first observed one on; 0 for NULL.
///
/// # Safety
///
/// `stream` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_length(stream: *const Stream) -> usize {
    // SAFETY: the caller's.
    unsafe { number(stream, tmoe_runner::Stream::len) }
}

/// The most points that it can hold; 0 for NULL.
///
/// # Safety
///
/// `stream` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_most(stream: *const Stream) -> usize {
    // SAFETY: the caller's.
    unsafe { number(stream, tmoe_runner::Stream::most) }
}

/// How many points went through the model since it was opened, those of forecasts that were continued from included: what all
/// forecasts have cost; 0 for NULL.
///
/// # Safety
///
/// `stream` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_stream_computed(stream: *const Stream) -> u64 {
    // SAFETY: the caller's.
    unsafe { number(stream, tmoe_runner::Stream::computed) }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn a_stream_that_is_not_there_is_told_or_has_nothing() {
        let none = ptr::null_mut();
        let mut values = [0.0_f32; 1];
        // SAFETY: NULL is allowed everywhere, and the rest lives.
        unsafe {
            let mut stream = ptr::null_mut();
            let codes = [
                tmoe_stream_open(ptr::null(), &raw mut stream, none),
                tmoe_stream_open(ptr::null(), ptr::null_mut(), none),
                tmoe_stream_push(ptr::null(), ptr::null(), 0, none),
                tmoe_stream_forecast(ptr::null(), 1, ptr::null(), values.as_mut_ptr(), 1, none),
                tmoe_stream_restart(ptr::null(), 0, none),
            ];
            assert_eq!(codes, [Code::TMOE_ERROR_POINTER; 5]);
            assert_eq!((tmoe_stream_length(ptr::null()), tmoe_stream_most(ptr::null())), (0, 0));
            assert_eq!(tmoe_stream_computed(ptr::null()), 0);
            tmoe_stream_free(ptr::null_mut());
        }
    }
}
