//! `tmoe`: forecasts with Time-MoE packages.

mod commands;
mod drawing;
mod input;
mod interrupt;
mod intervals;
mod notes;
mod outputs;
mod progress;
mod session;
mod text;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::text::tell;

/// Forecasts time series with Time-MoE packages, on any provider.
#[derive(Parser)]
#[command(name = "tmoe", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Forecast(Box<commands::forecast::Arguments>),
    Run(commands::run::Arguments),
    Evaluate(Box<commands::evaluate::Arguments>),
    Verify(commands::verify::Arguments),
    Bench(commands::bench::Arguments),
    Providers(commands::providers::Arguments),
    Serve(Box<commands::serve::Arguments>),
}

/// Why a command failed; its display is one line for the user.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Forecast(arguments) => commands::forecast::run(&arguments),
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Providers(arguments) => commands::providers::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(*arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads the output has seen enough, as `head` has.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let error_of_system = error.downcast_ref::<std::io::Error>();
        if error_of_system.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
