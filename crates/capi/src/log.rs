//! What happens in the library, told to a function of the caller's.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use tmoe_runner::Session;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::boundary;
use crate::error::ErrorObject;
use crate::failure::{Code, Failure};

/// How much an event matters.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The names of C.
#[allow(non_camel_case_types)]
pub enum LogLevel {
    /// Something failed.
    TMOE_LOG_ERROR = 1,
    /// Something is not as it should be, and can be improved.
    TMOE_LOG_WARN = 2,
    /// What happens rarely, such as opening a package.
    TMOE_LOG_INFO = 3,
    /// What helps to find faults.
    TMOE_LOG_DEBUG = 4,
    /// Everything.
    TMOE_LOG_TRACE = 5,
}

/// Is told what happens: how much it matters, where (such as `tmoe_capi`), what, in one text, and the pointer that was given with
/// the function. The texts are valid during the call only. Any thread may call it, several at once; it must not throw, and must not
/// call `tmoe_log_set`.
pub type LogCallback = Option<
    unsafe extern "C" fn(level: LogLevel, target: *const c_char, message: *const c_char, user: *mut c_void),
>;

/// Where events go.
struct Sink {
    callback: unsafe extern "C" fn(LogLevel, *const c_char, *const c_char, *mut c_void),
    user: *mut c_void,
}

// SAFETY: the caller of `tmoe_log_set` answers for the use of both on any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// The least that matters enough to be told; 0 is nothing.
static LEVEL: AtomicI32 = AtomicI32::new(0);
/// Whether events of this process come to [`Bridge`].
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    /// Whether this thread is in the callback: what happens there is not told again.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Sends what happens in the library, up to `max_level` (a `tmoe_log_level`), to `callback`; NULL ends that. There is one callback
/// for the whole process. When this returns, the one before is not running and will not be called any more. TMOE_ERROR_STATE when
/// the process has a global subscriber of Rust's `tracing` already.
///
/// # Safety
///
/// `callback` may be called with `user` on any thread until it is replaced; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_log_set(
    callback: LogCallback,
    max_level: i32,
    user: *mut c_void,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        boundary::call(error, || {
            let sink = callback.map(|callback| Sink { callback, user });
            set(sink, max_level)
        })
    }
}

fn set(sink: Option<Sink>, max_level: i32) -> Result<(), Failure> {
    if TELLING.get() {
        return Err(Failure::LogInCallback);
    }
    if sink.is_some() {
        if !(LogLevel::TMOE_LOG_ERROR as i32..=LogLevel::TMOE_LOG_TRACE as i32).contains(&max_level) {
            return Err(Failure::LogLevel(max_level));
        }
        if !INSTALLED.get_or_init(|| set_global_default(Bridge).is_ok()) {
            return Err(Failure::LogTaken);
        }
    }
    let level = if sink.is_some() { max_level } else { 0 };
    // Waits for the calls that are running.
    let mut place = SINK.write().unwrap_or_else(PoisonError::into_inner);
    LEVEL.store(level, Ordering::Relaxed);
    *place = sink;
    Ok(())
}

/// Tells that a package was opened, and what would make it faster.
pub(crate) fn opened(folder: &str, session: &Session) {
    let (provider, graph, precision) = (session.provider(), session.graph(), session.precision());
    tracing::info!("opened {folder}: graph {graph} in {precision} on {provider}");
    if let Some(reason) = &session.selection().passed_over {
        tracing::warn!("a faster provider than {provider} is not used: {reason}");
    }
}

/// Hands events of `tracing` to the sink.
struct Bridge;

impl Subscriber for Bridge {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The level may change.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level_of(*metadata.level()) as i32 <= LEVEL.load(Ordering::Relaxed)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if TELLING.replace(true) {
            return;
        }
        boundary::value((), || tell(event));
        TELLING.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn tell(event: &Event<'_>) {
    let mut text = Text::default();
    event.record(&mut text);
    let c_text = |text: &str| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
    let (target, message) = (c_text(event.metadata().target()), c_text(&text.finish()));
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(Sink { callback, user }) = &*sink {
        let level = level_of(*event.metadata().level());
        // SAFETY: who set it said that it may be called so until it is replaced, for which the lock is needed.
        unsafe { callback(level, target.as_ptr(), message.as_ptr(), *user) };
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::TMOE_LOG_ERROR,
        Level::WARN => LogLevel::TMOE_LOG_WARN,
        Level::INFO => LogLevel::TMOE_LOG_INFO,
        Level::DEBUG => LogLevel::TMOE_LOG_DEBUG,
        Level::TRACE => LogLevel::TMOE_LOG_TRACE,
    }
}

/// The message of an event, and behind it its other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr;
    use std::sync::Mutex;

    use super::*;

    type Told = Mutex<Vec<(LogLevel, String, String)>>;

    unsafe extern "C" fn remember(
        level: LogLevel,
        target: *const c_char,
        message: *const c_char,
        user: *mut c_void,
    ) {
        // SAFETY: texts of the library's, and the pointer that the test gave.
        let (target, message, told) =
            unsafe { (CStr::from_ptr(target), CStr::from_ptr(message), &*user.cast::<Told>()) };
        let text = |text: &CStr| text.to_str().unwrap().to_owned();
        told.lock().unwrap().push((level, text(target), text(message)));
        tracing::error!("not told: it happens in the callback");
        // SAFETY: no error is asked for.
        let code = unsafe { tmoe_log_set(None, 0, ptr::null_mut(), ptr::null_mut()) };
        assert_eq!(code, Code::TMOE_ERROR_STATE);
    }

    // One test: there is one callback per process.
    #[test]
    fn events_up_to_a_level_go_to_the_callback_that_is_set() {
        let told = Told::default();
        let user = (&raw const told).cast_mut().cast();
        let none = ptr::null_mut();
        let callback: LogCallback = Some(remember);
        // SAFETY: `told` outlives the callback, which is taken back.
        unsafe {
            tracing::error!("not told: there is no callback");
            assert_eq!(tmoe_log_set(callback, 6, user, none), Code::TMOE_ERROR_OPTION);
            assert_eq!(tmoe_log_set(callback, LogLevel::TMOE_LOG_WARN as i32, user, none), Code::TMOE_OK);
            tracing::info!("not told: it matters too little");
            tracing::warn!(gpu = 1, "slow");
            tracing::error!(target: "elsewhere", "a\0b");
            assert_eq!(tmoe_log_set(callback, LogLevel::TMOE_LOG_TRACE as i32, user, none), Code::TMOE_OK);
            tracing::trace!("everything");
            assert_eq!(tmoe_log_set(None, 0, none.cast(), none), Code::TMOE_OK);
            tracing::error!("not told: it was taken back");
        }
        let event = |level, target: &str, text: &str| (level, target.to_owned(), text.to_owned());
        let expected = [
            event(LogLevel::TMOE_LOG_WARN, "tmoe_capi::log::tests", "slow gpu=1"),
            event(LogLevel::TMOE_LOG_ERROR, "elsewhere", "a\u{fffd}b"),
            event(LogLevel::TMOE_LOG_TRACE, "tmoe_capi::log::tests", "everything"),
        ];
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
