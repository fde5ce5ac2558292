//! The structure of exported graphs, without running them: `moe/last: every expert is part of every graph`.

mod attention;
mod checker;
mod contract;
mod experts;
mod trimming;
mod view;
mod weights;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

use self::view::Exported;

/// Panics when something does not hold.
type Check = fn(&Exported);

/// What holds for every package.
const CHECKS: &[(&str, Check)] = &[
    ("inputs and outputs are those of the package's contract", contract::inputs_and_outputs),
    ("operators are those of the op set", contract::operators_are_those_of_the_op_set),
    ("every value has a declared type and shape", contract::every_value_is_declared),
    ("node names are unique paths that end in the operator", contract::node_names),
    ("the manifest counts the nodes", contract::the_manifest_counts_the_nodes),
    ("every expert is part of every graph", experts::every_expert_is_used),
    ("an expert's matrices are slices of the stack of all", experts::experts_are_slices_of_the_stack),
    ("all graphs share one file of weights without waste", weights::one_file_without_waste),
    ("only small constants lie in the graph files", weights::constants_are_small),
    ("attention multiplies in the package's precision", attention::products_have_the_packages_precision),
    ("attention takes its projections side by side", attention::projections_stay_side_by_side),
    ("work is spent only on positions that reach an output", trimming::positions),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let goldens: Vec<_> = Golden::all().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for golden in &goldens {
        for variant in [Variant::Full, Variant::Last, Variant::Half, Variant::Bf16, Variant::Int8] {
            for &(name, check) in CHECKS {
                let (packages, golden) = (Arc::clone(&packages), Arc::clone(golden));
                let name = format!("{}/{}: {name}", golden.name(), variant.name());
                trials.push(Trial::test(name, move || {
                    check(&Exported::read(&packages, &golden, variant)?);
                    Ok(())
                }));
            }
        }
    }
    trials.extend(checker::trials(&packages, &goldens));
    libtest_mimic::run(&arguments, trials).exit_code()
}
