//! Every path of the host's /proc, /sys and /dev, looked for in a sandbox: next to nothing of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_jail::plan::Profile;

use crate::program::{Stand, name};

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
/// Deeper than any name that could tell or change something of the host's, bounded so that the list stays small.
const DEPTH: usize = 5;
const MOST: usize = 60_000;

/// Who may write to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    Nobody,
    /// Where nothing but file modes decides: Landlock lets this profile write anywhere in its root.
    Build,
    Everybody,
}

/// What a sandbox has of these. Every one of them may be looked at, and written by whom this says.
const THERE: [(&str, Writers); 15] = [
    // An empty directory of the image.
    ("/sys", Writers::Nobody),
    ("/proc", Writers::Nobody),
    ("/proc/self", Writers::Nobody),
    ("/proc/thread-self", Writers::Nobody),
    ("/dev", Writers::Nobody),
    ("/dev/null", Writers::Everybody),
    ("/dev/zero", Writers::Everybody),
    ("/dev/full", Writers::Everybody),
    // What is written there is mixed in and credited as nothing (random(4)).
    ("/dev/random", Writers::Build),
    ("/dev/urandom", Writers::Build),
    ("/dev/fd", Writers::Nobody),
    // The command's own pipes, by another name.
    ("/dev/stdin", Writers::Everybody),
    ("/dev/stdout", Writers::Everybody),
    ("/dev/stderr", Writers::Everybody),
    ("/dev/shm", Writers::Nobody),
];

/// All paths of the host below these directories; processes of /proc aside, whose numbers mean nothing in there.
fn of_the_host() -> Vec<String> {
    let mut found = Vec::new();
    for top in ["/proc", "/sys", "/dev"] {
        let mut open = vec![(PathBuf::from(top), 0)];
        while let Some((path, depth)) = open.pop() {
            found.push(path.clone());
            if depth == DEPTH || path.is_symlink() {
                continue;
            }
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(
                entries.map(|entry| (entry.path(), depth + 1)).filter(|(path, _)| !is_a_process(path)),
            );
        }
    }
    let text = |path: PathBuf| path.into_os_string().into_string().ok().filter(|path| !path.contains('\n'));
    let mut paths: Vec<String> = found.into_iter().filter_map(text).collect();
    paths.sort_unstable();
    paths
}

fn is_a_process(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.parent() == Some(Path::new("/proc")) && name.bytes().all(|byte| byte.is_ascii_digit())
}

async fn nothing_of_the_host_is_there(profile: &Profile) {
    let stand = Stand::start().await;
    let all = of_the_host();
    // Shorter paths first: what is cut, if anything, is deep, and said.
    let mut paths = all.clone();
    paths.sort_by_key(|path| path.matches('/').count());
    paths.truncate(MOST);
    let told = stand.paths(profile, &paths).await;
    let mut wrong = Vec::new();
    let mut there = BTreeSet::new();
    for (path, [seen, read, written]) in paths.iter().zip(told) {
        let allowed = THERE.iter().find(|(name, ..)| name == path);
        let fine = match allowed {
            None => seen == ENOENT && read == ENOENT && written == ENOENT,
            Some((_, writers)) => {
                there.insert(path.clone());
                let may_write = match writers {
                    Writers::Nobody => false,
                    Writers::Build => *profile == Profile::Build,
                    Writers::Everybody => true,
                };
                seen == 0 && read == 0 && (may_write || written != 0)
            }
        };
        if !fine {
            wrong.push(format!("{path}: seen {seen}, read {read}, written {written}"));
        }
    }
    eprintln!(
        "{}: {} paths of the host, {} left out; there are {there:?}",
        name(profile),
        paths.len(),
        all.len() - paths.len()
    );
    assert!(wrong.is_empty(), "{} paths:\n{}", wrong.len(), wrong.join("\n"));
    assert!(there.contains("/dev/null") && paths.len() > 1_000, "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_hosts_proc_sys_and_dev_is_there_in_strict() {
    nothing_of_the_host_is_there(&Profile::Strict).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_hosts_proc_sys_and_dev_is_there_in_default() {
    nothing_of_the_host_is_there(&Profile::Default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_hosts_proc_sys_and_dev_is_there_in_build() {
    nothing_of_the_host_is_there(&Profile::Build).await;
}

/// Whatever a process may see of itself and of pid 1, it may write nothing of it that is not its own matter.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_processes_are_not_written() {
    let stand = Stand::start().await;
    let names: Vec<String> = fs::read_dir("/proc/self")
        .expect("/proc is mounted")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .chain(["attr/current", "attr/exec", "map_files", "task/1/comm"].map(str::to_owned))
        .collect();
    let paths = |of: &str| names.iter().map(|name| format!("/proc/{of}/{name}")).collect::<Vec<_>>();
    for profile in &[Profile::Strict, Profile::Default, Profile::Build] {
        let (own, init) = (paths("self"), paths("1"));
        for (path, [_, read, written]) in own.iter().zip(stand.paths(profile, &own).await) {
            eprintln!("{}: {path}: read {read}, written {written}", name(profile));
            assert!(written != 0, "{}: {path} can be written", name(profile));
        }
        for (path, [seen, read, written]) in init.iter().zip(stand.paths(profile, &init).await) {
            let hidden = [seen, read, written].iter().all(|errno| [ENOENT, EACCES].contains(errno));
            assert!(hidden, "{}: {path}: seen {seen}, read {read}, written {written}", name(profile));
        }
    }
}
