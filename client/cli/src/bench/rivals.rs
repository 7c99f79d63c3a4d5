//! Other sandboxes of this host, each asked for a comparable thing: `/bin/true` with every namespace new, a read-only view of the host and a fresh /proc.
//!
//! None of them meters, collects output or confines by Landlock as Kiln does; the comparison flatters them.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::ways::PROGRAM;
use crate::failure::Failure;

/// Directories that hold programs and their libraries.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/lib", "/lib64", "/sbin"];

/// One that is installed.
#[derive(Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) arguments: Arguments,
}

/// How it is called.
#[derive(Debug)]
pub(crate) enum Arguments {
    Fixed(Vec<String>),
    /// OCI runtimes need a bundle, and a name that no container has.
    Container {
        before: Vec<String>,
        bundle: TempDir,
    },
}

impl Rival {
    /// All that are installed.
    pub(crate) fn installed() -> Result<Vec<Rival>, Failure> {
        let mut rivals = Vec::new();
        for name in ["bwrap", "nsjail", "crun", "runc"] {
            if is_installed(name) {
                rivals.push(Rival { name, arguments: arguments(name)? });
            }
        }
        Ok(rivals)
    }

    /// The words of one call.
    pub(crate) fn words(&self) -> Vec<String> {
        match &self.arguments {
            Arguments::Fixed(words) => words.clone(),
            Arguments::Container { before, bundle } => {
                let mut words = before.clone();
                words.extend(["--bundle".to_owned(), bundle.path().display().to_string()]);
                words.push(format!("kiln-bench-{}", uuid::Uuid::now_v7().simple()));
                words
            }
        }
    }
}

fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

fn arguments(name: &str) -> Result<Arguments, Failure> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Ok(match name {
        "bwrap" => {
            let mut all = words("--unshare-all --die-with-parent --proc /proc --dev /dev --tmpfs /tmp");
            all.extend(present().flat_map(|path| ["--ro-bind".to_owned(), path.to_owned(), path.to_owned()]));
            all.push(PROGRAM.to_owned());
            Arguments::Fixed(all)
        }
        "nsjail" => {
            let mut all = words("--mode o --really_quiet --disable_rlimits");
            all.extend(present().flat_map(|path| ["--bindmount_ro".to_owned(), path.to_owned()]));
            all.extend(["--".to_owned(), PROGRAM.to_owned()]);
            Arguments::Fixed(all)
        }
        "crun" => container("--cgroup-manager=disabled")?,
        _ => container("")?,
    })
}

/// An OCI runtime that keeps its state beside the bundle, so that nothing of it stays.
fn container(flags: &str) -> Result<Arguments, Failure> {
    let bundle = bundle()?;
    let mut before: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
    before.extend(["--root".to_owned(), bundle.path().join("state").display().to_string(), "run".to_owned()]);
    Ok(Arguments::Container { before, bundle })
}

fn present() -> impl Iterator<Item = &'static str> {
    SYSTEM.into_iter().filter(|path| Path::new(path).exists())
}

/// An OCI bundle with an empty root and the host's programs bound into it. The runtime unmounts what it mounted in its own mount namespace, so that the
/// directory can simply be deleted.
fn bundle() -> Result<TempDir, Failure> {
    let cannot = |error: std::io::Error| Failure::caused("cannot make an OCI bundle", &error);
    let directory = tempfile::Builder::new().prefix("kiln-bench-").tempdir().map_err(cannot)?;
    std::fs::create_dir(directory.path().join("rootfs")).map_err(cannot)?;
    let mut mounts = vec![json!({"destination": "/proc", "type": "proc", "source": "proc"})];
    mounts.extend(present().map(
        |path| json!({"destination": path, "type": "bind", "source": real(path), "options": ["rbind", "ro"]}),
    ));
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": {"uid": 65534, "gid": 65534}, "args": [PROGRAM], "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {"namespaces": namespaces},
    });
    std::fs::write(directory.path().join("config.json"), config.to_string()).map_err(cannot)?;
    Ok(directory)
}

/// `/bin` is a link on merged systems; a bind needs what it leads to.
fn real(path: &str) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path))
}
