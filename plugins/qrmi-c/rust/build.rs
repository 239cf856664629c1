//! Compiles the C files of libqrmi with the compiler of the variable CC, or `cc`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    // As they are installed, and as they are in the repository.
    let (sources, header) = if here.join("c").is_dir() {
        (here.join("c"), here.clone())
    } else {
        (here.join("../c"), here.join("../include"))
    };
    println!("cargo:rerun-if-changed={}", sources.display());
    println!("cargo:rerun-if-env-changed=CC");
    println!("cargo:rerun-if-env-changed=QRMI_DEFAULT_PYTHON");
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(&sources).unwrap() {
        let source = entry.unwrap().path();
        if source.extension().map_or(true, |ending| ending != "c") {
            continue;
        }
        let object = out.join(source.with_extension("o").file_name().unwrap());
        let mut command = Command::new(&compiler);
        command
            .args(["-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-pthread", "-c"])
            .arg("-DQRMI_NO_ERROR_RECORDS")
            .arg("-I")
            .arg(&header);
        if let Some(python) = default_python(&here) {
            command.arg(format!("-DQRMI_DEFAULT_PYTHON=\"{python}\""));
        }
        run(command.arg(&source).arg("-o").arg(&object));
        objects.push(object);
    }
    let archive = out.join("libqrmi_c.a");
    let _ = std::fs::remove_file(&archive);
    run(Command::new("ar").arg("crs").arg(&archive).args(&objects));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static:+whole-archive=qrmi_c");
}

/// The Python of the environment that this crate is installed in.
fn default_python(here: &Path) -> Option<String> {
    if let Ok(named) = env::var("QRMI_DEFAULT_PYTHON") {
        return Some(named);
    }
    let version = here.ancestors().find(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.map_or(false, |name| name.starts_with("python3."))
    })?;
    let python = version.parent()?.parent()?.join("bin").join(version.file_name()?);
    python.exists().then(|| python.display().to_string())
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} failed");
}
