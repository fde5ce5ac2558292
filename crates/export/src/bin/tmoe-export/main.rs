//! `tmoe-export`: checkpoints to packages, and packages to engines and model repositories.

mod allocator;
mod engine;
mod init;
mod inspect;
mod interrupt;
mod onnx;
mod output;
mod progress;
mod triton;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Time-MoE checkpoints to ONNX packages, without Python.
#[derive(Parser)]
#[command(name = "tmoe-export", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Onnx(onnx::Arguments),
    Engine(engine::Arguments),
    Init(init::Arguments),
    Inspect(inspect::Arguments),
    Triton(triton::Arguments),
}

/// Why a command failed; its display is one line for the user.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let result = match Arguments::parse().command {
        Command::Onnx(arguments) => onnx::run(&arguments),
        Command::Engine(arguments) => engine::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Triton(arguments) => triton::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
