//! With the feature `cuda`: compiles the kernels in `plugins/kernels` and links them, and the CUDA runtime, statically.

#[path = "build/objects.rs"]
mod objects;
#[path = "build/toolkit.rs"]
mod toolkit;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use objects::Compiler;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return ExitCode::SUCCESS;
    }
    match build_kernels() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error=the feature `cuda` of tmoe-ops cannot be built");
            for line in error.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build_kernels() -> Result<(), String> {
    for variable in ["CUDA_HOME", "NVCC_CCBIN", toolkit::ARCHITECTURES_VARIABLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let folder = |variable: &str| {
        env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("Cargo did not set {variable}"))
    };
    let (out, manifest) = (folder("OUT_DIR")?, folder("CARGO_MANIFEST_DIR")?);
    let kernels = manifest.join("../../plugins/kernels");
    println!("cargo::rerun-if-changed={}", kernels.display());
    for file in objects::files(&kernels, &["cu", "cuh", "h"])? {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Err("the kernels are built for Linux only".to_owned());
    }

    let toolkit = toolkit::find(&out)?;
    toolkit.check_version()?;
    let architectures = toolkit::architectures();
    println!("nvcc: {} (from {}), for {architectures}", toolkit.nvcc.display(), toolkit.origin);
    let mut arguments = toolkit::options(&architectures)?;
    arguments.extend(["-I".into(), kernels.clone().into_os_string()]);
    let compiler = Compiler { program: toolkit.nvcc.clone(), arguments, headers: vec![kernels.clone()] };
    let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let sources = objects::files(&kernels, &["cu"])?;
    let compiled = compiler.objects(&sources, &object_folder(&out), jobs)?;

    let library = out.join("libtmoe_kernels.a");
    let mut archive = Command::new(&toolkit.nvcc);
    archive.arg("-lib").args(compiled).arg("-o").arg(&library);
    let _ = std::fs::remove_file(&library);
    let status = archive.status().map_err(|error| format!("cannot start nvcc: {error}"))?;
    if !status.success() {
        return Err(format!("{archive:?} failed ({status})"));
    }
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-search=native={}", toolkit.libraries.display());
    println!("cargo::rustc-link-lib=static=tmoe_kernels");
    println!("cargo::rustc-link-lib=static=cudart_static");
    for library in ["stdc++", "dl", "rt", "pthread"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    // A kernel that is missing is an error now, not when a host loads the library.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,defs");
    Ok(())
}

/// One for all profiles, beside their folders: `OUT_DIR` is `<profile>/build/<package>/out`.
fn object_folder(out: &Path) -> PathBuf {
    let profile = out.ancestors().skip(1).find(|folder| folder.ends_with("build")).and_then(Path::parent);
    profile.and_then(Path::parent).unwrap_or(out).join("cuda-objects")
}
