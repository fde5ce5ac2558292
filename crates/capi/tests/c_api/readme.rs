//! The example in the README.

use std::fs;
use std::path::Path;

use crate::shared::{SOURCES, Shared, command, succeed};
use crate::toolchain::{Language, Toolchain, Way};

pub(crate) fn the_example_runs(shared: &Shared, toolchain: &Toolchain) {
    let readme = fs::read_to_string(Path::new(SOURCES).join("README.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("a block in that language");
        rest.split_once("```").expect("the end of the block").0
    };
    let folder = shared.empty_folder();
    let (source, program) = (folder.path().join("example.cpp"), folder.path().join("example"));
    fs::write(&source, block("cpp")).unwrap();
    shared.link(&mut toolchain.command(Language::Cpp), &source, &program);
    let printed = succeed(command(&program, Way::Plain).arg(shared.package())).stdout;
    let values: Vec<f64> = printed.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(values.len(), 96, "{printed}");
}
