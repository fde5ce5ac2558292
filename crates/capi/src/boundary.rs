//! From pointers to references and back, and from panics to errors.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::ErrorObject;
use crate::failure::{Code, Failure};

/// Runs the body of a call. A failure and a panic become a code, and an error object where `error` is not NULL.
///
/// # Safety
///
/// `error` is NULL or points to memory for a pointer.
pub(crate) unsafe fn call(error: *mut *mut ErrorObject, body: impl FnOnce() -> Result<(), Failure>) -> Code {
    // What a panic leaves behind is either dropped with it, or behind a lock that is taken over as it is.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let failure = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => return None,
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::Panic(panic_text(panic.as_ref())),
        };
        Some((failure.code(), Box::new(ErrorObject::new(&failure))))
    }));
    let (code, object) = match outcome {
        Ok(None) => (Code::TMOE_OK, ptr::null_mut()),
        Ok(Some((code, object))) => (code, Box::into_raw(object)),
        // The message could not be made.
        Err(_) => (Code::TMOE_ERROR_INTERNAL, ptr::null_mut()),
    };
    if error.is_null() || !error.is_aligned() {
        // SAFETY: just made, or NULL.
        unsafe { free(object) };
    } else {
        // SAFETY: the caller's; aligned.
        unsafe { error.write(object) };
    }
    code
}

/// Runs the body of a call that cannot fail; a panic gives `otherwise`.
pub(crate) fn value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}

fn check<T>(pointer: *const T, name: &'static str) -> Result<(), Failure> {
    if pointer.is_null() {
        Err(Failure::Null(name))
    } else if !pointer.is_aligned() {
        Err(Failure::Misaligned(name))
    } else {
        Ok(())
    }
}

/// What a pointer points to.
///
/// # Safety
///
/// `pointer` is NULL or points to a `T` that lives, and is not changed, as long as the reference.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Failure> {
    check(pointer, name)?;
    // SAFETY: the caller's; neither NULL nor misaligned.
    Ok(unsafe { &*pointer })
}

/// What a pointer points to, to be changed.
///
/// # Safety
///
/// `pointer` is NULL or points to a `T` that lives, and is used by nobody else, as long as the reference.
pub(crate) unsafe fn borrow_mut<'a, T>(pointer: *mut T, name: &'static str) -> Result<&'a mut T, Failure> {
    check(pointer, name)?;
    // SAFETY: the caller's; neither NULL nor misaligned.
    Ok(unsafe { &mut *pointer })
}

/// What a pointer to `length` elements points to; no elements may be at NULL.
///
/// # Safety
///
/// `pointer` is NULL or points to `length` elements that live, and are not changed, as long as the reference.
pub(crate) unsafe fn slice<'a, T>(
    pointer: *const T,
    length: usize,
    name: &'static str,
) -> Result<&'a [T], Failure> {
    check_length::<T>(length, name)?;
    if length == 0 {
        return Ok(&[]);
    }
    check(pointer, name)?;
    // SAFETY: the caller's; neither NULL nor misaligned, and no longer than memory can be.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

fn check_length<T>(length: usize, name: &'static str) -> Result<(), Failure> {
    let bytes = length.checked_mul(size_of::<T>()).and_then(|bytes| isize::try_from(bytes).ok());
    bytes.map(|_| ()).ok_or(Failure::TooLong { name, length })
}

/// A text.
///
/// # Safety
///
/// `pointer` is NULL or points to bytes with a zero at their end, which live, and are not changed, as long as the reference.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &'static str) -> Result<&'a str, Failure> {
    check(pointer, name)?;
    // SAFETY: the caller's.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|source| Failure::Utf8 { name, source })
}

/// Memory of the caller for a number of elements, which nobody has to have initialised.
pub(crate) struct Room<T> {
    pointer: *mut T,
    length: usize,
}

impl<T: Copy> Room<T> {
    /// Room for exactly `expected` elements.
    pub(crate) fn exactly(
        pointer: *mut T,
        length: usize,
        expected: usize,
        name: &'static str,
    ) -> Result<Self, Failure> {
        if length != expected {
            return Err(Failure::Length { name, expected, found: length });
        }
        if length > 0 {
            check(pointer, name)?;
        }
        Ok(Self { pointer, length })
    }

    /// Copies elements there, as many as there is room for.
    ///
    /// # Safety
    ///
    /// The pointer is to memory for that many elements, which nobody else uses now.
    pub(crate) unsafe fn fill(self, values: impl IntoIterator<Item = T>) {
        for (index, value) in values.into_iter().take(self.length).enumerate() {
            // SAFETY: the caller's; aligned, and within the room.
            unsafe { self.pointer.add(index).write(value) };
        }
    }
}

/// A place of the caller's for one value.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    pub(crate) fn new(pointer: *mut T, name: &'static str) -> Result<Self, Failure> {
        check(pointer, name)?;
        Ok(Self(pointer))
    }

    /// Writes the value there.
    ///
    /// # Safety
    ///
    /// The pointer is to memory for a `T`, which nobody else uses now.
    pub(crate) unsafe fn put(self, value: T) {
        // SAFETY: the caller's; neither NULL nor misaligned.
        unsafe { self.0.write(value) };
    }
}

/// Frees a handle. A panic of its destructor ends here.
///
/// # Safety
///
/// `pointer` is NULL or comes from `Box::into_raw`, and is not used again.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller's.
        value((), || drop(unsafe { Box::from_raw(pointer) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{tmoe_error_code, tmoe_error_message};

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` is a place for a pointer, and the error in it is freed once.
        unsafe {
            let code = call(&raw mut error, || panic!("the {} is gone", "cache"));
            assert_eq!((code, tmoe_error_code(error)), (Code::TMOE_ERROR_INTERNAL, code));
            let text = CStr::from_ptr(tmoe_error_message(error)).to_str().unwrap();
            assert_eq!(text, "a fault of the library: the cache is gone; please report it");
            free(error);
            assert_eq!(call(ptr::null_mut(), || panic!("nobody asks")), Code::TMOE_ERROR_INTERNAL);
        }
        assert_eq!(value(3, || panic!("on purpose")), 3);
    }

    #[test]
    fn a_panic_of_a_destructor_ends_where_the_handle_is_freed() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        // SAFETY: just boxed.
        unsafe { free(Box::into_raw(Box::new(Bomb))) };
    }

    #[test]
    fn a_call_that_succeeds_leaves_no_error() {
        let mut error = ptr::dangling_mut::<ErrorObject>();
        // SAFETY: `error` is a place for a pointer.
        assert_eq!(unsafe { call(&raw mut error, || Ok(())) }, Code::TMOE_OK);
        assert!(error.is_null());
    }

    #[test]
    fn pointers_are_checked_before_they_are_used() {
        let numbers = [1.0_f64, 2.0];
        let crooked = numbers.as_ptr().cast::<u8>().wrapping_add(1).cast::<f64>();
        // SAFETY: `numbers` lives; what is NULL or crooked is not used.
        unsafe {
            assert_eq!(slice(numbers.as_ptr(), 2, "x").unwrap(), numbers);
            assert_eq!(slice(ptr::null::<f64>(), 0, "x").unwrap(), [0.0; 0]);
            assert!(matches!(slice(ptr::null::<f64>(), 1, "x"), Err(Failure::Null("x"))));
            assert!(matches!(slice(crooked, 1, "x"), Err(Failure::Misaligned("x"))));
            let endless = slice(numbers.as_ptr(), usize::MAX / 8, "x");
            assert!(matches!(endless, Err(Failure::TooLong { name: "x", .. })));
            assert!(matches!(borrow(crooked, "x"), Err(Failure::Misaligned("x"))));
            assert!(matches!(borrow_mut(ptr::null_mut::<f64>(), "x"), Err(Failure::Null("x"))));
        }
        assert!(matches!(Place::new(crooked.cast_mut(), "x"), Err(Failure::Misaligned("x"))));
    }

    #[test]
    fn room_must_be_what_is_needed() {
        let mut numbers = [0_u16; 3];
        let pointer = numbers.as_mut_ptr();
        let room = |length, expected| Room::exactly(pointer, length, expected, "values");
        assert!(matches!(room(3, 2), Err(Failure::Length { expected: 2, found: 3, .. })));
        let room = room(3, 3).unwrap();
        // SAFETY: `numbers` has room for three.
        unsafe { room.fill([7, 8, 9, 10]) };
        assert_eq!(numbers, [7, 8, 9]);
        let nowhere = Room::<u16>::exactly(ptr::null_mut(), 1, 1, "values");
        assert!(matches!(nowhere, Err(Failure::Null("values"))));
    }

    #[test]
    fn text_that_is_not_utf8_is_named() {
        // SAFETY: both end with a zero.
        unsafe {
            assert_eq!(text(c"tract".as_ptr(), "name").unwrap(), "tract");
            let error = text(c"\xff".as_ptr(), "name").unwrap_err();
            assert!(error.to_string().starts_with("`name` is not UTF-8: "), "{error}");
        }
    }
}
