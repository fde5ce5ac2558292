//! What the tests share: packages of the golden checkpoints, and tables in CSV.

use std::fs;
use std::path::{Path, PathBuf};

use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{self, Packages, Variant};

/// The golden checkpoints, and their packages, each exported when first asked for.
pub(crate) struct Shared {
    packages: Packages,
    goldens: Vec<Golden>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let packages =
            Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
        Self { packages, goldens: Golden::all() }
    }

    /// A golden checkpoint; `demo` is the demo checkpoint.
    pub(crate) fn golden(&self, name: &str) -> &Golden {
        self.goldens.iter().find(|golden| golden.name() == name).expect("a golden of that name")
    }

    /// The folder of a golden's package, which nobody may change.
    pub(crate) fn package(&self, name: &str) -> PathBuf {
        self.variant(name, Variant::Last)
    }

    /// The folder of a golden's package, exported in another way.
    pub(crate) fn variant(&self, name: &str, variant: Variant) -> PathBuf {
        let package = self.packages.package(self.golden(name), variant);
        package.unwrap_or_else(|error| panic!("{error}")).folder().to_owned()
    }

    /// A copy of a golden's package in `parent`, to be damaged.
    pub(crate) fn copy_of_package(&self, name: &str, parent: &Path) -> PathBuf {
        let copy = parent.join("package");
        fs::create_dir(&copy).unwrap();
        packages::copy(&self.package(name), &copy).unwrap();
        copy
    }
}

/// The table that ships with the project: 672 hours of four series.
pub(crate) fn operations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/demo/operations.csv")
}

/// Writes a small table that can be forecast: two series, daily time stamps, a missing point.
pub(crate) fn small_table(folder: &Path) -> PathBuf {
    let path = folder.join("table.csv");
    fs::write(&path, "date,a,b\n2024-02-26,1,5\n2024-02-27,2,\n2024-02-28,1.5,4\n2024-02-29,3,6\n").unwrap();
    path
}

/// Writes columns of equal length as a table without time stamps.
pub(crate) fn write_columns(path: &Path, columns: &[Vec<f32>]) {
    let mut text = (0..columns.len()).map(|column| format!("s{column}")).collect::<Vec<_>>().join(",");
    for row in 0..columns.first().map_or(0, Vec::len) {
        let cells: Vec<String> = columns.iter().map(|column| column[row].to_string()).collect();
        text += &format!("\n{}", cells.join(","));
    }
    fs::write(path, text + "\n").unwrap();
}

/// A table that was printed: the names, the first column as text, and the other columns.
pub(crate) struct Printed {
    pub(crate) names: Vec<String>,
    pub(crate) time: Vec<String>,
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Printed {
    pub(crate) fn read(text: &str) -> Self {
        let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let names = rows.next().expect("a header");
        let rows: Vec<Vec<String>> = rows.collect();
        let number = |text: &str| match text {
            "" => f64::NAN,
            text => text.parse().expect("a number"),
        };
        let column = |index: usize| rows.iter().map(|row| number(&row[index])).collect();
        let columns = (1..names.len()).map(column).collect();
        Self { time: rows.iter().map(|row| row[0].clone()).collect(), names, columns }
    }
}

/// The largest absolute difference.
#[track_caller]
pub(crate) fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    differences.fold(
        0.0,
        |largest, difference| if difference > largest || difference.is_nan() { difference } else { largest },
    )
}
