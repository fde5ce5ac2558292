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

use load::{Latencies, Spread};
use server::Server;
use work::Work;

/// How often everything is measured, in turn; medians are shown.
const ROUNDS: usize = 7;

/// How long each load lasts.
const SPAN: Duration = Duration::from_secs(6);

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
    saturated: f64,
    alone: Latencies,
    half: Latencies,
}

/// Saturates a server, asks it one by one, and loads it by half, in turn with the runner alone. Returns forecasts per second.
fn under_load(work: &Work) -> Result<f64, Box<dyn Error>> {
    let server = Server::start(work.package(), &[])?;
    let runner = work.runner()?;
    load::closed(server.address(), &work.requests, CLIENTS, SPAN / 2)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let runner = runner.rate(SPAN / 2)?;
        let saturated = load::closed(server.address(), &work.requests, CLIENTS, SPAN)?.goodput();
        let alone = load::closed(server.address(), &work.requests, 1, SPAN / 2)?.latencies();
        let half = load::open(server.address(), &work.requests, saturated / 2.0, SPAN * 2)?.latencies();
        rounds.push(Round { runner, saturated, alone, half });
    }
    server.stop()?;
    let of = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value).collect());
    let saturated = of(|round| round.saturated);
    println!("runner alone, batches of 32, series/s:   {}", of(|round| round.runner));
    println!("server, {CLIENTS} clients, series/s:           {saturated}");
    println!(
        "    less than the runner, %:             {}",
        of(|round| (1.0 - round.saturated / round.runner) * 100.0)
    );
    println!("one client, median, ms:                  {}", of(|round| round.alone.median * 1e3));
    println!("    p99, ms:                             {}", of(|round| round.alone.p99 * 1e3));
    println!("half of the load at random, median, ms:  {}", of(|round| round.half.median * 1e3));
    println!("    p99, ms:                             {}", of(|round| round.half.p99 * 1e3));
    println!("    p99 over the median of one client:   {}", of(|round| round.half.p99 / round.alone.median));
    Ok(saturated.median)
}

/// Three times what the server can bear.
fn overload(work: &Work, saturated: f64) -> Result<(), Box<dyn Error>> {
    let server = Server::start(work.package(), &["--max-requests", "64"])?;
    load::closed(server.address(), &work.requests, CLIENTS / 2, SPAN / 2)?;
    let load = load::open(server.address(), &work.requests, saturated * 3.0, SPAN)?;
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
