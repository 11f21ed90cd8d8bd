//! The client libraries of other languages that the integration tests drive: redis-py and ioredis.
//!
//! They live in the target folder, are pinned by files beside the tests that use them, and are installed again only
//! when those files change: a copy of the pins is left beside each installation once it is complete.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Outcome};
use crate::workspace::{Workspace, execute, find_program};

const PYTHON_PINS: &str = "crates/haypile/tests/clients/requirements.txt";
const NODE_PINS: &str = "crates/haypile/tests/clients/package.json";

/// Variables that tell the integration tests where the libraries are. Those of a language that this machine lacks are
/// left out (`cargo xtask setup` has said so).
pub type Variables = Vec<(&'static str, PathBuf)>;

/// # Errors
/// A language is there, but its library cannot be installed.
pub fn prepare(workspace: &Workspace) -> Outcome<Variables> {
    let mut variables = Variables::new();
    if find_program("python3").is_some() {
        variables.push(("HAYPILE_TEST_PYTHON", python(workspace)?));
    } else {
        println!("no python3: tests with the Python client are left out");
    }
    if find_program("npm").is_some() && find_program("node").is_some() {
        variables.push(("HAYPILE_TEST_NODE_MODULES", node(workspace)?));
    } else {
        println!("no node or no npm: tests with the Node client are left out");
    }
    Ok(variables)
}

/// The interpreter of a virtual environment that has redis-py.
fn python(workspace: &Workspace) -> Outcome<PathBuf> {
    let pins = workspace.root.join(PYTHON_PINS);
    let folder = workspace.target.join("clients/py");
    let interpreter = folder.join("bin/python");
    if is_installed(&pins, &folder) {
        return Ok(interpreter);
    }
    start_over(&folder)?;
    execute(workspace.command("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = workspace.command(&interpreter);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&pins);
    execute(&mut pip).map_err(|failure| unreachable_registry("PyPI", &failure))?;
    mark_installed(&pins, &folder)?;
    Ok(interpreter)
}

/// The `node_modules` folder that has ioredis.
fn node(workspace: &Workspace) -> Outcome<PathBuf> {
    let pins = workspace.root.join(NODE_PINS);
    let folder = workspace.target.join("clients/node");
    let modules = folder.join("node_modules");
    if is_installed(&pins, &folder) {
        return Ok(modules);
    }
    start_over(&folder)?;
    fs::copy(&pins, folder.join("package.json")).context(format_args!("copying {}", pins.display()))?;
    let mut npm = workspace.command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]);
    execute(npm.current_dir(&folder)).map_err(|failure| unreachable_registry("npm's registry", &failure))?;
    mark_installed(&pins, &folder)?;
    Ok(modules)
}

fn unreachable_registry(registry: &str, failure: &Failure) -> Failure {
    let message = format!("{failure}\ncould not install a client library; is {registry} reachable?");
    Failure::of_child(message, Some(failure.code.into()))
}

fn start_over(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).context(format_args!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).context(format_args!("creating {}", folder.display()))
}

fn is_installed(pins: &Path, folder: &Path) -> bool {
    let (wanted, present) = (fs::read(pins), fs::read(folder.join("installed")));
    matches!((wanted, present), (Ok(wanted), Ok(present)) if wanted == present)
}

fn mark_installed(pins: &Path, folder: &Path) -> Outcome {
    fs::copy(pins, folder.join("installed")).context(format_args!("copying {}", pins.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_pins_and_half_installations_are_installed_again() {
        let folder = std::env::temp_dir().join(format!("haypile-clients-test-{}", std::process::id()));
        start_over(&folder).unwrap();
        let pins = folder.join("pins");
        fs::write(&pins, "a==1").unwrap();
        let half = is_installed(&pins, &folder);
        mark_installed(&pins, &folder).unwrap();
        let whole = is_installed(&pins, &folder);
        fs::write(&pins, "a==2").unwrap();
        let changed = is_installed(&pins, &folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((half, whole, changed), (false, true, false));
    }
}
