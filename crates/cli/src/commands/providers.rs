//! `tmoe providers`: what this machine can run.

use std::process::ExitCode;

use serde_json::json;
use tmoe_runner::{Availability, Provider};

use crate::Failure;
use crate::text::{print, print_json};

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
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (provider, availability) in found {
        let state = match availability {
            Availability::Ready { detail } => format!("ready: {detail}"),
            Availability::Missing { reason } => format!("missing: {reason}"),
        };
        text += &format!("{provider:<8} {}\n         {state}\n", provider.description());
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
