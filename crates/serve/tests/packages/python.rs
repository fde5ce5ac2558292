//! The server as others find it, through scripts of `tools/` in Python: clients, the description's tester, a browser.

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::json;
use tmoe_runner::Forecaster;
use tmoe_tests::python::{PYTHON, can_import, ignored, run_tool, trial};
use tmoe_tests::{browser, packages};

use crate::HORIZON;
use crate::serving::{Shared, opened, series, serve, serve_both};

/// The tests of this file.
pub(crate) fn trials(shared: &Arc<Shared>) -> [Trial; 3] {
    [
        python(
            shared,
            "tritonclient gets the runner's own answers over HTTP and gRPC",
            "tritonclient",
            tritonclient,
        ),
        python(shared, "schemathesis finds no answer that is not as described", "schemathesis", schemathesis),
        in_browser(shared, "the page forecasts what is pasted or dropped, and says what is wrong"),
    ]
}

type Test = fn(&Shared, &OsStr) -> Result<(), String>;

/// A test that needs a Python package.
fn python(shared: &Arc<Shared>, name: &str, module: &str, test: Test) -> Trial {
    if !can_import(&[module]) {
        return ignored(name, format!("{PYTHON} lacks the packages of tools/requirements.txt"));
    }
    let shared = Arc::clone(shared);
    trial(name.to_owned(), [PYTHON], move |[python]| test(&shared, &python))
}

fn in_browser(shared: &Arc<Shared>, name: &str) -> Trial {
    let Some(browser) = browser::find() else {
        return ignored(name, format!("no Chromium on the PATH, {} not set", browser::BROWSER));
    };
    let shared = Arc::clone(shared);
    trial(name.to_owned(), [PYTHON], move |[python]| {
        let server = serve(&[("demo", &shared.package("demo")?)])?;
        run_tool(&python, "check_page.py", [browser.into_os_string(), server.address.to_string().into()])
    })
}

/// With a second model, in a repository, that may be unloaded; the smallest, since some of the forecasts are as long as can be.
fn schemathesis(shared: &Shared, python: &OsStr) -> Result<(), String> {
    let package = shared.package("gelu-one-head")?;
    let repository = tempfile::tempdir().map_err(|error| error.to_string())?;
    packages::copy(package.folder(), &repository.path().join("spare")).map_err(|error| error.to_string())?;
    let server = serve_both(&[("demo", &package)], repository.path())?;
    run_tool(python, "check_openapi.py", [server.address.to_string(), "demo".to_owned(), "spare".to_owned()])
}

fn tritonclient(shared: &Shared, python: &OsStr) -> Result<(), String> {
    let package = shared.package("moe")?;
    let server = serve(&[("moe", &package)])?;
    let series = series().swap_remove(0);
    let forecaster = Forecaster::new(opened(&package)?);
    let expected = forecaster.forecast([&series], HORIZON).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let case = folder.path().join("case.json");
    let text = json!({ "series": series, "horizon": HORIZON, "expected": expected[0].values }).to_string();
    fs::write(&case, text).map_err(|error| error.to_string())?;
    let case = case.display().to_string();
    run_tool(python, "check_tritonclient.py", [server.address.to_string(), "moe".to_owned(), case])
}
