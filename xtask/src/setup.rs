//! `cargo xtask setup`: the system packages that building and testing need.
//!
//! What is there is found by looking at files, so a complete machine pays nothing. What is missing is installed with
//! apt where that is possible without asking; otherwise the one line to paste is printed, and only the lack of
//! something essential is an error.
//!
//! Debian starts `redis-server` as a service when it is installed, which would take port 6379. So while apt runs
//! `/usr/sbin/policy-rc.d` forbids the start of services (both init systems ask it; one that exists already is left
//! alone), and afterwards the service that came with the package is disabled, so that it does not come up at the next
//! boot either. A `redis-server` that was there before is not touched.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::workspace::{Workspace, execute, find_program, output_of};

/// What the caller is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    Build,
    BuildAndTest,
}

/// Runs as root. `$1` is the policy file, the rest are packages.
const INSTALL: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
policy=$1
shift
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
case " $* " in
*" redis-server "*)
    if [ -d /run/systemd/system ]; then
        systemctl --quiet disable redis-server.service || true
    fi
    ;;
esac
"#;

const POLICY: &str = "/usr/sbin/policy-rc.d";

struct Package {
    name: &'static str,
    weight: Weight,
    present: fn() -> bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weight {
    /// Nothing compiles without it.
    Essential,
    /// Something is slower, or is left out, without it; the text says what.
    Optional(&'static str),
}

const BUILD: &[Package] = &[
    Package { name: "g++", weight: Weight::Essential, present: || find_program("c++").is_some() },
    Package { name: "make", weight: Weight::Essential, present: || find_program("make").is_some() },
    Package { name: "libclang-dev", weight: Weight::Essential, present: libclang_is_present },
    Package {
        name: "ccache",
        weight: Weight::Optional("RocksDB is compiled again for every profile"),
        present: || find_program("ccache").is_some(),
    },
];

const TEST: &[Package] = &[
    Package {
        name: "redis-server",
        weight: Weight::Optional("no comparison with Redis itself"),
        present: || find_program("redis-server").is_some(),
    },
    Package {
        name: "redis-tools",
        weight: Weight::Optional("no redis-cli and no redis-benchmark"),
        present: || find_program("redis-benchmark").is_some() && find_program("redis-cli").is_some(),
    },
    Package {
        name: "python3-venv",
        weight: Weight::Optional("no tests with the Python client"),
        present: python_venv_is_present,
    },
    Package {
        name: "nodejs",
        weight: Weight::Optional("no tests with the Node client"),
        present: || find_program("node").is_some(),
    },
    Package {
        name: "npm",
        weight: Weight::Optional("no tests with the Node client"),
        present: || find_program("npm").is_some(),
    },
    Package {
        name: "iproute2",
        weight: Weight::Optional("no tests with networks of their own"),
        present: || find_program("ip").is_some(),
    },
];

/// Installs what is missing, or says what to install.
///
/// # Errors
/// Something essential is missing and could not be installed.
pub fn run(workspace: &Workspace, needs: Needs) -> Outcome {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    println!("setup: missing {}", names.join(", "));
    if let Err(failure) = install(workspace, &names) {
        eprintln!("setup: {failure}");
    }
    judge(&self::missing(needs))
}

fn missing(needs: Needs) -> Vec<&'static Package> {
    let test = match needs {
        Needs::Build => &[],
        Needs::BuildAndTest => TEST,
    };
    BUILD.iter().chain(test).filter(|package| !(package.present)()).collect()
}

fn install(workspace: &Workspace, names: &[&str]) -> Outcome {
    if find_program("apt-get").is_none() {
        return Err(Failure::new("there is no apt-get on this machine"));
    }
    let mut command = if output_of(Command::new("id").arg("-u"))?.trim() == "0" {
        workspace.command("sh")
    } else if find_program("sudo").is_some() {
        let mut sudo = workspace.command("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        return Err(Failure::new("not root, and there is no sudo"));
    };
    // The failure of `execute` would quote the whole script.
    execute(command.args(["-c", INSTALL, "install", POLICY]).args(names))
        .map_err(|failure| Failure::of_child("apt-get could not install them", Some(failure.code.into())))
}

fn judge(missing: &[&Package]) -> Outcome {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let line = format!("    sudo apt-get install -y --no-install-recommends {}", names.join(" "));
    if missing.iter().any(|package| package.weight == Weight::Essential) {
        return Err(Failure::new(format!("please install (names as on Debian and Ubuntu):\n{line}")));
    }
    for package in missing {
        if let Weight::Optional(without) = package.weight {
            eprintln!("setup: without {}: {without}", package.name);
        }
    }
    eprintln!("setup: to install:\n{line}");
    Ok(())
}

/// The folders in which bindgen looks for libclang, and the headers that must lie beside it: Debian's run-time
/// package has the library alone.
fn libclang_is_present() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some_and(|path| Path::new(&path).exists()) {
        return true;
    }
    let versions = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
        .map(|entry| entry.path().join("lib"));
    let others = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].into_iter().map(Into::into);
    llvm.chain(others).any(|folder| folder.join("libclang.so").exists())
}

/// `python3 -m venv` needs `ensurepip`, which Debian puts in a package of its own. Asking Python is the one way that
/// is right for every kind of installation.
fn python_venv_is_present() -> bool {
    Command::new("python3").args(["-c", "import venv, ensurepip"]).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn package(weight: Weight) -> Package {
        Package { name: "thing", weight, present: || false }
    }

    #[test]
    fn only_an_essential_lack_is_an_error_and_it_names_the_package() {
        let essential = judge(&[&package(Weight::Essential)]).unwrap_err();
        assert_eq!(essential.code, 1);
        assert!(essential.to_string().contains("apt-get install -y --no-install-recommends thing"));
        assert!(judge(&[&package(Weight::Optional("slower"))]).is_ok());
        assert!(judge(&[]).is_ok());
    }

    /// Runs the install script with an `apt-get` of our own that notes its arguments and whether services were
    /// forbidden while it ran.
    #[test]
    fn services_are_forbidden_only_while_apt_runs() {
        let folder = std::env::temp_dir().join(format!("haypile-setup-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (apt, policy, notes) = (folder.join("apt-get"), folder.join("policy"), folder.join("notes"));
        let script = format!(
            "#!/bin/sh\nsh {policy}; echo \"$DEBIAN_FRONTEND $? $*\" >>{notes}\n",
            policy = policy.display(),
            notes = notes.display()
        );
        fs::write(&apt, script).unwrap();
        fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let mut command = Command::new("sh");
        command.env("PATH", path).args(["-c", INSTALL, "install"]).arg(&policy).args(["make", "g++"]);
        let outcome = execute(&mut command);
        let (noted, policy_left) = (fs::read_to_string(&notes), policy.exists());
        fs::remove_dir_all(&folder).unwrap();
        outcome.unwrap();
        let install = "noninteractive 101 install -q -y --no-install-recommends make g++\n";
        assert_eq!(noted.unwrap(), format!("noninteractive 101 update -q\n{install}"));
        assert!(!policy_left);
    }
}
