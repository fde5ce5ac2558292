//! How `tmoe serve` bears load: overhead over the runner, latency, overload and many connections.
//!
//! The server is a process of its own, and this one is its clients; both share the machine, so that a client's work counts
//! against the server. What is compared is measured within one run.
//!
//! ```sh
//! ulimit -n 30000    # for ten thousand connections
//! cargo bench -p tmoe-cli --bench serve
//! cargo bench -p tmoe-cli --bench serve -- --soak 600    # so many seconds of random clients instead
//! ```

mod client;
mod load;
mod server;
mod soak;
mod work;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use load::{Latencies, Load, Spread};
use server::Server;
use work::Work;

/// How often everything is measured, in turn; medians are shown.
const ROUNDS: usize = 14;

/// How long each load lasts.
const SPAN: Duration = Duration::from_secs(2);

/// How much faster or slower a machine may be at the end of a round than at its begin; on shared ones it can be twice, and then the
/// load was not what it is taken for.
const STEADY: f64 = 0.1;

/// Clients that are always waiting for an answer: more than two batches of 32 series.
const CLIENTS: usize = 96;

/// Connections that are held.
const CONNECTIONS: usize = 10_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let work = Work::new()?;
    let mut arguments = std::env::args().skip_while(|argument| argument != "--soak").skip(1);
    if let Some(seconds) = arguments.next() {
        return soak::soak(&work, Duration::from_secs(seconds.parse()?));
    }
    println!("series of {} points, horizon {}, {ROUNDS} rounds\n", work::CONTEXT, work::HORIZON);
    let saturated = under_load(&work)?;
    overload(&work, saturated)?;
    connections(&work)
}

/// What one round measures.
struct Round {
    runner: f64,
    /// At its begin and at its end.
    saturated: [f64; 2],
    alone: Latencies,
    half: Load,
}

impl Round {
    fn is_steady(&self) -> bool {
        let [begin, end] = self.saturated;
        (end / begin - 1.0).abs() < STEADY
    }

    fn mean(&self) -> f64 {
        self.saturated[0].midpoint(self.saturated[1])
    }
}

/// Saturates a server, asks it one by one, and loads it by half, in turn with the runner alone. Returns forecasts per second.
fn under_load(work: &Work) -> Result<f64, Box<dyn Error>> {
    let server = Server::start(work.package(), &[])?;
    let runner = work.runner()?;
    let saturate = || load::closed(server.address(), &work.requests, CLIENTS, SPAN);
    saturate()?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let runner = runner.rate(SPAN)?;
        let begin = saturate()?.goodput();
        let alone = load::closed(server.address(), &work.requests, 1, SPAN / 2)?.latencies();
        let half = load::open(server.address(), &work.requests, begin / 2.0, SPAN * 2)?;
        let saturated = [begin, saturate()?.goodput()];
        rounds.push(Round { runner, saturated, alone, half });
    }
    server.stop()?;
    let all = Spread::of(rounds.iter().map(Round::mean).collect());
    println!("server, {CLIENTS} clients, series/s, all rounds: {all}");
    rounds.retain(Round::is_steady);
    println!(
        "in {} of {ROUNDS} rounds the machine was as fast at the end as at the begin; of these:",
        rounds.len()
    );
    let of = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value).collect());
    println!("runner alone, batches of 32, series/s:   {}", of(|round| round.runner));
    println!("server, {CLIENTS} clients, series/s:           {}", of(Round::mean));
    println!(
        "    less than the runner, %:             {}",
        of(|round| (1.0 - round.mean() / round.runner) * 100.0)
    );
    println!("one client, median, ms:                  {}", of(|round| round.alone.median * 1e3));
    println!("    p99, ms:                             {}", of(|round| round.alone.p99 * 1e3));
    println!("half of the load at random, median, ms:  {}", of(|round| round.half.latencies().median * 1e3));
    println!("    p99, ms:                             {}", of(|round| round.half.latencies().p99 * 1e3));
    println!(
        "    p99 over the median of one client:   {}",
        of(|round| round.half.latencies().p99 / round.alone.median)
    );
    let relative = |round: &Round| -> Vec<f64> {
        round.half.of_status(200).iter().map(|time| time / round.alone.median).collect()
    };
    let together = Latencies::of(rounds.iter().flat_map(relative).collect());
    println!("    the same of all rounds together:     {:.2}", together.p99);
    Ok(all.median)
}

/// Three times what the server can bear.
fn overload(work: &Work, saturated: f64) -> Result<(), Box<dyn Error>> {
    let server = Server::start(work.package(), &["--max-requests", "64"])?;
    load::closed(server.address(), &work.requests, CLIENTS / 2, SPAN)?;
    let load = load::open(server.address(), &work.requests, saturated * 3.0, SPAN * 3)?;
    let refused = Latencies::of(load.of_status(429));
    println!(
        "three times the load: {:.1} series/s answered, {:.0} % of the most; {} refused with 429, {refused}",
        load.goodput(),
        load.goodput() / saturated * 100.0,
        load.of_status(429).len(),
    );
    let others = load.others();
    if others > 0 {
        println!("    and {others} with another status");
    }
    server.stop()?;
    Ok(())
}

/// Holds connections that ask nothing, and asks beside them.
fn connections(work: &Work) -> Result<(), Box<dyn Error>> {
    let server = Server::start(work.package(), &["--read-timeout", "600"])?;
    load::closed(server.address(), &work.requests, 1, Duration::from_secs(1))?;
    let before = server.resident()?;
    let held: Vec<_> =
        (0..CONNECTIONS).map_while(|_| client::Client::connect(server.address()).ok()).collect();
    let beside = load::closed(server.address(), &work.requests, 1, Duration::from_secs(3))?;
    let after = server.resident()?;
    println!(
        "{} connections held: {:.1} MB resident, {:.1} MB before; beside them {}",
        held.len(),
        after as f64 / 1e6,
        before as f64 / 1e6,
        beside.latencies(),
    );
    if held.len() < CONNECTIONS {
        println!("    of {CONNECTIONS}: this process may open no more files, see ulimit -n");
    }
    drop(held);
    server.stop()?;
    Ok(())
}
