//! Answers out: an answer keeps its request's place until the connection has taken all of it, so that memory stays bounded
//! whatever clients do with their answers.
//!
//! A connection takes a piece as soon as it has room for the first byte of it, and then holds it whole. So pieces are small. A
//! client of HTTP/2 can leave an answer waiting while the connection itself goes on; the answer's own clock sees that.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::core::admission::Permit;

/// Bytes of a piece: as many as a frame of HTTP/2 has unless its client allows more.
const PIECE: usize = 16 * 1024;

/// The connection that a request came by: how long it may let an answer wait, and its end.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    stall: Duration,
    given_up: Arc<Notify>,
}

impl Line {
    pub(crate) fn new(stall: Duration) -> Self {
        Self { stall, given_up: Arc::default() }
    }

    /// Waits until the client has let an answer wait for too long.
    pub(crate) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

/// A response whose request keeps its place until it is taken.
pub(crate) fn deliver(response: Response<Body>, permit: Arc<Permit>, line: Option<&Line>) -> Response<Body> {
    response.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let clock = line.map(Clock::new);
        Body::new(Delivery { rest: Some(Rest { body, left: Bytes::new(), _permit: permit }), clock })
    })
}

/// A body on its way.
struct Delivery {
    /// `None` once all of it is taken.
    rest: Option<Rest>,
    clock: Option<Clock>,
}

/// What is not taken yet.
struct Rest {
    body: Body,
    /// Of the body's last frame.
    left: Bytes,
    _permit: Arc<Permit>,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = match self.left.len() {
            ..=PIECE => std::mem::take(&mut self.left),
            // A copy: a part of the answer would keep all of it in memory.
            _ => Bytes::copy_from_slice(&self.left.split_to(PIECE)),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl HttpBody for Delivery {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let next = ready!(rest.next(context));
        // The place is free before the client sees the end.
        if !matches!(next, Some(Ok(_))) || rest.is_empty() {
            self.rest = None;
            self.clock = None;
        }
        if let Some(clock) = &self.clock {
            clock.restart();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let Some(rest) = &self.rest else { return SizeHint::with_exact(0) };
        let (left, body) = (rest.left.len() as u64, rest.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(left));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

/// Gives the connection up once no piece was taken for as long as it may let an answer wait.
struct Clock {
    taken: Arc<Mutex<Instant>>,
    running: AbortHandle,
}

impl Clock {
    fn new(line: &Line) -> Self {
        let taken = Arc::new(Mutex::new(Instant::now()));
        let watch = {
            let (taken, line) = (Arc::clone(&taken), line.clone());
            async move {
                loop {
                    let late = *taken.lock().unwrap_or_else(PoisonError::into_inner) + line.stall;
                    if late <= Instant::now() {
                        return line.given_up.notify_one();
                    }
                    sleep_until(late).await;
                }
            }
        };
        Self { taken, running: tokio::spawn(watch).abort_handle() }
    }

    fn restart(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::core::admission::{Admission, Capacity};

    fn door() -> Arc<Admission> {
        Arc::new(Admission::new(Capacity { requests: 1, points: 1 }, Arc::default(), Arc::default()))
    }

    fn delivered(door: &Arc<Admission>, body: Body) -> Body {
        deliver(Response::new(body), Arc::new(door.enter().unwrap()), None).into_body()
    }

    #[tokio::test]
    async fn the_place_is_free_once_the_last_piece_is_taken() {
        let door = door();
        let mut body = delivered(&door, Body::from(vec![7; PIECE + 1]));
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 1));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
        assert!(door.enter().is_err());
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(1), false));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        door.enter().unwrap();
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_or_empty_keeps_no_place() {
        let door = door();
        drop(delivered(&door, Body::from("answer")));
        let _empty = delivered(&door, Body::empty());
        door.enter().unwrap();
    }

    #[tokio::test]
    async fn a_line_is_given_up_when_nothing_was_taken_for_too_long() {
        let line = Line::new(Duration::from_millis(20));
        let permit = Arc::new(door().enter().unwrap());
        let mut body =
            deliver(Response::new(Body::from(vec![7; 3 * PIECE])), permit, Some(&line)).into_body();
        body.frame().await.unwrap().unwrap();
        line.given_up().await;
    }

    /// A body of these frames.
    struct Frames(std::vec::IntoIter<Bytes>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Poll::Ready(self.0.next().map(|data| Ok(Frame::data(data))))
        }
    }

    proptest! {
        #[test]
        fn pieces_are_the_body(sizes in proptest::collection::vec(0..3 * PIECE, 0..4)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let frames: Vec<Bytes> =
                sizes.iter().enumerate().map(|(index, &size)| vec![index as u8; size].into()).collect();
            let all = frames.concat();
            let mut body = delivered(&door(), Body::new(Frames(frames.into_iter())));
            let mut found = Vec::new();
            while let Some(frame) = runtime.block_on(body.frame()) {
                let piece = frame.unwrap().into_data().unwrap();
                prop_assert!(piece.len() <= PIECE);
                found.extend_from_slice(&piece);
            }
            prop_assert_eq!(found, all);
        }
    }
}
