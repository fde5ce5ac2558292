//! `tmoe providers`: what this machine can run.

use std::process::ExitCode;

use serde_json::json;
use tmoe_runner::{Availability, Provider};

use crate::Failure;

/// Show which providers this machine can run, and what the others lack
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let found: Vec<(Provider, Availability)> =
        Provider::ALL.into_iter().map(|provider| (provider, provider.availability())).collect();
    if arguments.json {
        let rows: Vec<_> = found
            .iter()
            .map(|(provider, availability)| json!({ "provider": provider, "availability": availability }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (provider, availability) in found {
        println!("{provider:<8} {}", provider.description());
        match availability {
            Availability::Ready { detail } => println!("         ready: {detail}"),
            Availability::Missing { reason } => println!("         missing: {reason}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}
