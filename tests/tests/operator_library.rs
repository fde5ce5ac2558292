//! `libtmoe_ops.so` in the runner, in place of the operators that are built in.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tmoe_package::OpSet;
use tmoe_runner::{Provider, ProviderOptions, SelfTest, Session, SessionOptions};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

/// The variable that names the library's file; `cargo xtask test` sets it.
const LIBRARY: &str = "TMOE_OPS_LIBRARY";

fn main() -> ExitCode {
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let library = std::env::var_os(LIBRARY).map(PathBuf::from);
    let subject = Subject { provider: Provider::Cpu, graph: OpSet::Plugin };
    let missing = subject.missing().or(library.is_none().then_some("TMOE_OPS_LIBRARY is not set"));
    let trials = Golden::all().into_iter().map(|golden| {
        let mut name =
            format!("{}: the runner runs the plugin graph with the operator library", golden.name());
        if let Some(reason) = missing {
            name += &format!(" [{reason}]");
        }
        let (packages, library) = (Arc::clone(&packages), library.clone());
        let trial = Trial::test(name, move || check(&packages, &golden, library));
        trial.with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn check(packages: &Packages, golden: &Golden, operators: Option<PathBuf>) -> Result<(), Failed> {
    for variant in [Variant::Last, Variant::Bf16, Variant::Int8] {
        let package = packages.package(golden, variant)?;
        let options = SessionOptions {
            provider: Provider::Cpu.into(),
            graph: OpSet::Plugin.into(),
            resources: ProviderOptions { operators: operators.clone(), ..ProviderOptions::default() },
        };
        let session = Session::open(&package, &options).map_err(|error| error.to_string())?;
        let test = SelfTest::read(&package).map_err(|error| error.to_string())?;
        let report = test.check(&session).map_err(|error| error.to_string())?;
        if !report.passed() {
            return Err(format!("{}: {:?}", variant.name(), report.worst()).into());
        }
    }
    Ok(())
}
