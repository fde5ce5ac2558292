//! Every suite, for every golden checkpoint, on every graph and provider: `cpu/standard/moe/predictions.h8`.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::Packages;
use tmoe_tests::report::Report;
use tmoe_tests::subject::Subject;
use tmoe_tests::suites::{Case, SUITES, Suite, trial_name};

/// What all trials share.
struct Shared {
    packages: Packages,
    report: Report,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let shared = Arc::new(Shared { packages, report: Report::new() });
    let mut trials = Vec::new();
    let subjects: Vec<_> = Subject::all().map(|subject| (subject, subject.missing())).collect();
    for golden in Golden::all().into_iter().map(Arc::new) {
        for suite in SUITES {
            for case in (suite.cases)(&golden) {
                for &(subject, missing) in &subjects {
                    trials.push(trial(&shared, &golden, suite, case.clone(), subject, missing));
                }
            }
        }
    }
    if !arguments.list {
        eprint!("{}", Subject::reasons());
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !shared.report.is_empty() {
        print!("{}", shared.report);
    }
    conclusion.exit_code()
}

fn trial(
    shared: &Arc<Shared>,
    golden: &Arc<Golden>,
    suite: Suite,
    case: Case,
    subject: Subject,
    missing: Option<&str>,
) -> Trial {
    let missing = subject.refuses(case.variant).or(missing);
    let mut name = trial_name(subject, golden, &case);
    if let Some(reason) = missing {
        name = format!("{name} [{reason}]");
    }
    let (shared, golden) = (Arc::clone(shared), Arc::clone(golden));
    let run = move || {
        let verdict = judge(&shared, &golden, suite, &case, subject);
        match (verdict, subject.exception(golden.name(), &case.path())) {
            (verdict, None) => verdict.map_err(Failed::from),
            (Err(_), Some(_)) => Ok(()),
            (Ok(()), Some(exception)) => {
                Err(format!("passes, remove its exception ({})", exception.reason).into())
            }
        }
    };
    Trial::test(name, run).with_ignored_flag(missing.is_some())
}

fn judge(
    shared: &Shared,
    golden: &Golden,
    suite: Suite,
    case: &Case,
    subject: Subject,
) -> Result<(), String> {
    let error = case.run(&shared.packages, golden, subject)?;
    shared.report.add(suite.name, subject, golden.name(), case, error);
    if error <= case.tolerance_on(subject).limit() {
        Ok(())
    } else {
        Err(format!("the error is {error:.2e}, expected at most {}", case.tolerance_on(subject)))
    }
}
