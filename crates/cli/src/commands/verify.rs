//! `tmoe verify`: whether providers compute what the exporter computed.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tmoe_package::Package;
use tmoe_runner::verify::Row;
use tmoe_runner::{
    Availability, Error, GraphChoice, Provider, ProviderOptions, SelfTest, Session, SessionOptions,
};

use crate::Failure;
use crate::session::{DeviceArguments, TensorRtArguments};
use crate::text::{print, print_json, table};

/// Check a package: its files, and its self-test on every graph and provider
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Package folder
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,
    /// Providers to check; those that this machine can run unless said, but for tensorrt, which builds engines first
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    providers: Vec<Provider>,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    tensorrt: TensorRtArguments,
    /// Show every tensor, not only the worst of each kind
    #[arg(long)]
    all: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Why `tensorrt` is only checked when it is asked for.
const BUILDS: &str =
    "it builds engines into the package first, which takes minutes; ask for it with --providers tensorrt";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let package = Package::open(&arguments.package)?;
    let selftest = SelfTest::read(&package)?;
    let resources =
        ProviderOptions { tensorrt: arguments.tensorrt.options(), ..arguments.device.resources() };
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    for provider in Provider::ALL {
        if arguments.providers.is_empty() {
            let skip = match provider.availability() {
                Availability::Missing { reason } => Some(reason),
                Availability::Ready { .. } if provider == Provider::TensorRt => Some(BUILDS.to_owned()),
                Availability::Ready { .. } => None,
            };
            if let Some(reason) = skip {
                skipped.push((provider, reason));
                continue;
            }
        } else if !arguments.providers.contains(&provider) {
            continue;
        }
        for graph in graphs(&package, provider, &resources) {
            let resources = resources.clone();
            let session =
                Session::open(&package, &SessionOptions { provider: provider.into(), graph, resources });
            let session = match session {
                // Nobody asked for it, and a package need not have engines.
                Err(error @ Error::Engine(_)) if arguments.providers.is_empty() => {
                    skipped.push((provider, error.to_string()));
                    continue;
                }
                other => other?,
            };
            rows.extend(selftest.check(&session)?.rows);
        }
    }
    let passed = rows.iter().all(|row| row.pass);
    if arguments.json {
        let skipped: Vec<_> = skipped
            .iter()
            .map(|(provider, reason)| json!({ "provider": provider, "reason": reason }))
            .collect();
        print_json(&json!({ "passed": passed, "rows": rows, "skipped": skipped }))?;
    } else {
        print(&report(arguments, &rows, &skipped, passed))?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The graphs that a provider runs; an engine is of one graph, which it says itself.
fn graphs(package: &Package, provider: Provider, options: &ProviderOptions) -> Vec<GraphChoice> {
    if provider == Provider::Engine {
        return vec![GraphChoice::Auto];
    }
    let graphs = package.manifest().graphs.iter().map(|graph| graph.op_set);
    graphs.filter(|&op_set| options.runs(provider, op_set)).map(GraphChoice::from).collect()
}

/// The report for people.
fn report(arguments: &Arguments, rows: &[Row], skipped: &[(Provider, String)], passed: bool) -> String {
    let shown: Vec<&Row> = if arguments.all { rows.iter().collect() } else { worst_of_each(rows) };
    let lines: Vec<Vec<String>> = shown
        .iter()
        .map(|row| {
            vec![
                format!("{} {}", row.provider, row.graph),
                row.case.clone(),
                row.tensor.clone(),
                format!("{:.1e}", row.error),
                format!("{:.0e}", row.tolerance),
                if row.pass { "ok" } else { "FAILED" }.to_owned(),
            ]
        })
        .collect();
    let mut text = table(&["provider graph", "case", "tensor", "relative error", "tolerance", ""], &lines);
    for (provider, reason) in skipped {
        text += &format!("{provider} was not checked: {reason}\n");
    }
    let failed = rows.iter().filter(|row| !row.pass).count();
    let (package, count) = (arguments.package.display(), rows.len());
    text += &match passed {
        true => format!("{package}: files intact, {count} comparisons passed\n"),
        false => format!(
            "{package}: {failed} of {count} comparisons failed; the provider computes something else than the \
             exporter did\n"
        ),
    };
    text
}

/// For every provider, graph and case, the row with the largest error among predictions, caches and losses each;
/// and every row that failed.
fn worst_of_each(rows: &[Row]) -> Vec<&Row> {
    let kind = |row: &Row| row.tensor.split('.').next().unwrap_or_default().to_owned();
    let key = |row: &Row| (row.provider, row.graph, row.case.clone(), kind(row));
    let mut shown: Vec<&Row> = Vec::new();
    for row in rows {
        match shown.iter_mut().find(|other| other.pass && row.pass && key(other) == key(row)) {
            Some(other) if other.error < row.error => *other = row,
            Some(_) => {}
            None => shown.push(row),
        }
    }
    shown
}
