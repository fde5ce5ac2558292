//! Clients side by side, and how long each waited.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::client::Client;

/// Clients of an open load, which must not run out.
const OPEN_CLIENTS: usize = 256;

/// What came of a load: the status of each request, and the seconds to its answer.
pub(crate) struct Load {
    answers: Vec<(u16, f64)>,
    seconds: f64,
}

/// Seconds to an answer.
pub(crate) struct Latencies {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// Every client asks again as soon as it is answered.
pub(crate) fn closed(
    address: SocketAddr,
    requests: &[Vec<u8>],
    clients: usize,
    span: Duration,
) -> io::Result<Load> {
    let begin = Instant::now();
    side_by_side(clients, |index| {
        let mut client = Client::connect(address)?;
        let mut answers = Vec::new();
        for request in requests.iter().cycle().skip(index) {
            if begin.elapsed() >= span {
                break;
            }
            let asked = Instant::now();
            let answer = client.ask(request)?;
            answers.push((answer.status, asked.elapsed().as_secs_f64()));
        }
        Ok(answers)
    })
}

/// So many requests per second on average, at random times, whether the ones before are answered or not, from when all clients are
/// connected. A request that finds no client free waits, and its wait counts.
pub(crate) fn open(address: SocketAddr, requests: &[Vec<u8>], rate: f64, span: Duration) -> io::Result<Load> {
    let times = arrivals(rate, span);
    let next = AtomicUsize::new(0);
    let clients = (0..OPEN_CLIENTS).map(|_| Client::connect(address)).collect::<io::Result<Vec<_>>>()?;
    let clients = Mutex::new(clients);
    let connected = Barrier::new(OPEN_CLIENTS);
    let begin = OnceLock::new();
    side_by_side(OPEN_CLIENTS, |_| {
        let client = clients.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = client.ok_or(io::ErrorKind::NotConnected)?;
        let mut answers = Vec::new();
        connected.wait();
        let begin = begin.get_or_init(Instant::now);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(&time) = times.get(index) else { return Ok(answers) };
            thread::sleep(time.saturating_sub(begin.elapsed()));
            let answer = client.ask(&requests[index % requests.len()])?;
            answers.push((answer.status, (begin.elapsed() - time).as_secs_f64()));
        }
    })
}

/// Times of a Poisson process.
fn arrivals(rate: f64, span: Duration) -> Vec<Duration> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut time = 0.0;
    let times = std::iter::repeat_with(|| {
        time -= (1.0 - random.random::<f64>()).ln() / rate;
        Duration::from_secs_f64(time)
    });
    times.take_while(|time| *time < span).collect()
}

fn side_by_side(
    clients: usize,
    client: impl Fn(usize) -> io::Result<Vec<(u16, f64)>> + Sync,
) -> io::Result<Load> {
    let begin = Instant::now();
    let results: Vec<io::Result<Vec<(u16, f64)>>> = thread::scope(|scope| {
        let client = &client;
        let threads: Vec<_> = (0..clients).map(|index| scope.spawn(move || client(index))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
        };
        threads.into_iter().map(join).collect()
    });
    let answers = results.into_iter().collect::<io::Result<Vec<_>>>()?.concat();
    Ok(Load { answers, seconds: begin.elapsed().as_secs_f64() })
}

impl Load {
    /// Forecasts per second.
    pub(crate) fn goodput(&self) -> f64 {
        self.of_status(200).len() as f64 / self.seconds
    }

    /// Seconds to the answers of a status.
    pub(crate) fn of_status(&self, status: u16) -> Vec<f64> {
        self.answers.iter().filter(|(of, _)| *of == status).map(|(_, seconds)| *seconds).collect()
    }

    /// Answers that are neither forecasts nor refused for overload.
    pub(crate) fn others(&self) -> usize {
        self.answers.iter().filter(|(status, _)| ![200, 429].contains(status)).count()
    }

    /// Of the forecasts.
    pub(crate) fn latencies(&self) -> Latencies {
        Latencies::of(self.of_status(200))
    }
}

impl Latencies {
    pub(crate) fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let index = ((seconds.len() as f64 * share) as usize).min(seconds.len().saturating_sub(1));
            seconds.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { median: quantile(0.5), p99: quantile(0.99) }
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:.1} ms, p99 {:.1} ms", self.median * 1e3, self.p99 * 1e3)
    }
}

/// The median of some measurements, and the least and the most.
pub(crate) struct Spread {
    least: f64,
    pub(crate) median: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { least: at(0), median: at(values.len() / 2), most: at(values.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}
