//! The image `host`: a read-only view of this machine's toolchains, made of a skeleton root, `/usr`, and toolchains that
//! live elsewhere.
//!
//! It must never show `/root`, `/home`, `/var`, or the host's `/etc` as they are. Its identity is a fingerprint of what
//! is installed, so that two machines with the same packages may share results, and an upgrade makes a new image.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_jail::plan::{Part, Rootfs};
use kiln_proto::model::Digest;

use super::in_use::{self, InUse};
use super::skeleton::{self, Skeleton, sorted_names};

/// Where the rustup toolchain appears.
const RUST: &str = "/opt/rust";

/// Directories beside `/usr` that hold programs and libraries: links on merged hosts, real on others.
const SYSTEM_DIRECTORIES: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Whose names, sizes and times belong to the identity.
const TOOL_DIRECTORIES: [&str; 9] = [
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/go/bin",
    "usr/lib/jvm",
    "usr/lib/gcc/x86_64-linux-gnu",
    "usr/lib/gcc/aarch64-linux-gnu",
    "usr/lib/node_modules",
    "usr/local/lib",
];

/// What package managers know to be installed.
const PACKAGE_STATE: [&str; 4] =
    ["var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/apk/db/installed", "etc/ld.so.cache"];
/// Databases too big to be read for this: size and time stand for them.
const PACKAGE_DATABASES: [&str; 4] = [
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "var/lib/pacman/local",
];

/// Places that no operator's path may be, or lie below.
const KERNEL_PLACES: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];
/// Places that the sandbox mounts over.
const SANDBOX_PLACES: [&str; 2] = ["/tmp", "/work"];
/// Places that may not be shown whole.
const PRIVATE_PLACES: [&str; 7] = ["/", "/root", "/home", "/var", "/etc", "/boot", "/opt"];

/// Where to look for toolchains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `/`, but for tests.
    pub root: PathBuf,
    /// rustup's home, where there is one.
    pub rustup_home: Option<PathBuf>,
    /// Further directories to show, at their own paths.
    pub extra_read_only: Vec<PathBuf>,
}

/// The host image, made and held.
#[derive(Debug)]
pub struct HostImage {
    rootfs: Rootfs,
    digest: Digest,
    _in_use: InUse,
}

/// Why the host image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HostImageError {
    #[error("host image: {}: {why}", path.display())]
    ExtraPath { path: PathBuf, why: &'static str },
    #[error("host image: this host has no {}", path.display())]
    NoUsr { path: PathBuf },
    #[error("host image: read what is installed on this host")]
    Read { source: io::Error },
    #[error("host image: make it in {}", directory.display())]
    Make { directory: PathBuf, source: io::Error },
}

impl Host {
    /// This machine, with the rustup home that the environment names.
    pub fn this_machine(extra_read_only: Vec<PathBuf>) -> Host {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup"));
        let rustup_home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(home);
        Host { root: PathBuf::from("/"), rustup_home, extra_read_only }
    }
}

impl HostImage {
    /// Makes the skeleton below `images/host` unless it is there, and holds it for as long as this lives.
    pub fn make(images: &Path, host: &Host) -> Result<HostImage, HostImageError> {
        let (links, mut parts) = system_parts(host)?;
        parts.extend(rust_part(host));
        parts.extend(extra_parts(host, &links, &parts)?);
        let reading = |source| HostImageError::Read { source };
        let targets: Vec<PathBuf> = parts.iter().map(|part| part.target.clone()).collect();
        let skeleton = Skeleton::plan(&host.root, &links, &targets).map_err(reading)?;
        let digest = identity(host, &skeleton, &parts).map_err(reading)?;

        let directory = images.join("host");
        let making = |source| HostImageError::Make { directory: directory.clone(), source };
        let name = skeleton_name(&digest);
        let in_use = publish(&directory, &name, &skeleton).map_err(making)?;
        let root = PlacedPart { source: directory.join(name), target: PathBuf::from("/") };
        let parts = std::iter::once(root).chain(parts).map(Part::from).collect();
        Ok(HostImage { rootfs: Rootfs { parts }, digest, _in_use: in_use })
    }

    /// What the jail mounts.
    pub fn rootfs(&self) -> &Rootfs {
        &self.rootfs
    }

    /// The fingerprint of what is installed.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Adds one field to an identity: its length first, so that no two lists of fields read the same.
pub(super) fn hash(identity: &mut blake3::Hasher, field: &[u8]) {
    identity.update(&(field.len() as u64).to_le_bytes()).update(field);
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PlacedPart {
    source: PathBuf,
    target: PathBuf,
}

impl From<PlacedPart> for Part {
    fn from(part: PlacedPart) -> Part {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        Part { source: bytes(&part.source), target: bytes(&part.target) }
    }
}

type Links = Vec<(&'static str, PathBuf)>;

/// `/usr`, and what lies beside it: links stay links.
fn system_parts(host: &Host) -> Result<(Links, Vec<PlacedPart>), HostImageError> {
    let usr = host.root.join("usr");
    if !usr.is_dir() {
        return Err(HostImageError::NoUsr { path: usr });
    }
    let (mut links, mut parts) =
        (Links::new(), vec![PlacedPart { source: usr, target: PathBuf::from("/usr") }]);
    for name in SYSTEM_DIRECTORIES {
        let source = host.root.join(name);
        if let Ok(target) = fs::read_link(&source) {
            links.push((name, target));
        } else if source.is_dir() {
            parts.push(PlacedPart { source, target: Path::new("/").join(name) });
        }
    }
    Ok((links, parts))
}

/// The default toolchain of rustup, or the first that has a compiler. Its programs run without rustup's proxies.
fn rust_part(host: &Host) -> Option<PlacedPart> {
    let home = host.rustup_home.as_ref()?;
    let toolchains = home.join("toolchains");
    let wanted =
        fs::read_to_string(home.join("settings.toml")).ok().and_then(|text| default_toolchain(&text));
    let names = sorted_names(&toolchains).ok()?;
    let is_wanted = |name: &OsStr| {
        let (name, wanted) = (name.as_bytes(), wanted.as_deref().unwrap_or_default().as_bytes());
        !wanted.is_empty() && name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest[0] == b'-')
    };
    let (first, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_wanted(name));
    let paths = first.into_iter().chain(others).map(|name| toolchains.join(name));
    let source =
        paths.filter(|path| path.join("bin/rustc").is_file()).find_map(|path| path.canonicalize().ok())?;
    Some(PlacedPart { source, target: PathBuf::from(RUST) })
}

fn default_toolchain(settings: &str) -> Option<String> {
    let table: toml::Table = settings.parse().ok()?;
    Some(table.get("default_toolchain")?.as_str()?.to_owned())
}

fn extra_parts(host: &Host, links: &Links, parts: &[PlacedPart]) -> Result<Vec<PlacedPart>, HostImageError> {
    let mut extra: Vec<PlacedPart> = Vec::new();
    let mut paths = host.extra_read_only.clone();
    // Outer ones before what lies inside them.
    paths.sort();
    paths.dedup();
    for path in paths {
        let source = check_extra(&path)?;
        let is_shown =
            parts.iter().chain(&extra).any(|part| path.starts_with(&part.target) && source == path);
        if links.iter().any(|(name, _)| path.starts_with(Path::new("/").join(name))) {
            return Err(HostImageError::ExtraPath {
                path,
                why: "lies in /usr by a link; name it by its place there",
            });
        }
        if parts.iter().any(|part| part.target == path) {
            return Err(HostImageError::ExtraPath {
                path,
                why: "is taken by a toolchain that Kiln shows there",
            });
        }
        if !is_shown {
            extra.push(PlacedPart { source, target: path });
        }
    }
    Ok(extra)
}

fn check_extra(path: &Path) -> Result<PathBuf, HostImageError> {
    let refuse = |why| HostImageError::ExtraPath { path: path.to_owned(), why };
    let is_clean =
        path.is_absolute() && path.components().collect::<PathBuf>().as_os_str() == path.as_os_str();
    if !is_clean || path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(refuse("must be absolute, without \"..\", and not end in \"/\""));
    }
    let source = path.canonicalize().map_err(|_| refuse("does not exist"))?;
    if !source.is_dir() {
        return Err(refuse("is not a directory"));
    }
    for place in [path, &source] {
        if KERNEL_PLACES.iter().any(|kernel| place.starts_with(kernel)) {
            return Err(refuse(
                "is the kernel's or the system's own; allowed are directories with toolchains or data",
            ));
        }
        if PRIVATE_PLACES.iter().any(|private| place == Path::new(private)) {
            return Err(refuse("may not be shown whole; name a directory inside it"));
        }
    }
    if SANDBOX_PLACES.iter().any(|place| path.starts_with(place)) {
        return Err(refuse("would be hidden: the sandbox has its own directory there"));
    }
    Ok(source)
}

fn identity(host: &Host, skeleton: &Skeleton, parts: &[PlacedPart]) -> io::Result<Digest> {
    let mut identity = blake3::Hasher::new();
    hash(&mut identity, skeleton::FORM.as_bytes());
    skeleton.identify(&mut identity);
    for file in PACKAGE_STATE {
        hash_content(&mut identity, &host.root.join(file))?;
    }
    for file in PACKAGE_DATABASES {
        hash_entry(&mut identity, &host.root.join(file))?;
    }
    for directory in TOOL_DIRECTORIES {
        hash_directory(&mut identity, &host.root.join(directory))?;
    }
    for part in parts {
        hash(&mut identity, part.target.as_os_str().as_bytes());
        if !part.target.starts_with("/usr") {
            for inside in ["", "bin", "lib", "lib/rustlib"] {
                hash_directory(&mut identity, &part.source.join(inside))?;
            }
        }
    }
    Ok(Digest::from(*identity.finalize().as_bytes()))
}

fn hash_content(identity: &mut blake3::Hasher, file: &Path) -> io::Result<()> {
    match fs::read(file) {
        Ok(content) => hash(identity, &content),
        Err(error) if is_absent(&error) => hash(identity, b"absent"),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Names, sizes, times and link texts of a directory's entries; not of what they hold.
fn hash_directory(identity: &mut blake3::Hasher, directory: &Path) -> io::Result<()> {
    for name in sorted_names(directory)? {
        hash(identity, name.as_bytes());
        hash_entry(identity, &directory.join(name))?;
    }
    hash(identity, b"end");
    Ok(())
}

fn hash_entry(identity: &mut blake3::Hasher, path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => {
            hash(identity, b"absent");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if metadata.is_symlink() {
        hash(identity, fs::read_link(path)?.as_os_str().as_bytes());
    } else if metadata.is_file() {
        let facts =
            [metadata.len() as i64, metadata.mtime(), metadata.mtime_nsec(), i64::from(metadata.mode())];
        facts.iter().for_each(|fact| hash(identity, &fact.to_le_bytes()));
    } else {
        // A directory's own time changes when another program only looks for a place to write.
        hash(identity, b"directory");
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A skeleton is made anew after each boot: it is small, and after a power failure files could be there but empty.
fn skeleton_name(digest: &Digest) -> String {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = blake3::hash(&boot).to_hex();
    format!("{}-{}", &digest.hex()[..32], &boot.as_str()[..8])
}

fn publish(directory: &Path, name: &str, skeleton: &Skeleton) -> io::Result<InUse> {
    fs::create_dir_all(directory)?;
    let path = directory.join(name);
    let in_use = match InUse::hold(&path)? {
        Some(in_use) => in_use,
        None => {
            let (unfinished, in_use) = in_use::unfinished(directory)?;
            fs::set_permissions(&unfinished, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            skeleton.write(&unfinished)?;
            in_use::publish(&unfinished, in_use, &path)?
        }
    };
    in_use::sweep(directory, |kept| kept == name)?;
    Ok(in_use)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A host in miniature, merged or not.
    fn miniature(root: &Path) -> Host {
        for directory in
            ["usr/bin", "usr/lib", "etc/alternatives", "etc/ssl/private", "etc/ssl/certs", "root", "home/me"]
        {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        symlink("usr/bin", root.join("bin")).unwrap();
        fs::create_dir(root.join("lib64")).unwrap();
        symlink("/usr/bin/gcc", root.join("etc/alternatives/cc")).unwrap();
        for (path, text) in [
            ("usr/bin/gcc", "gcc"),
            ("etc/passwd", "operator:x:0:0::/root:/bin/bash"),
            ("etc/shadow", "secret"),
            ("etc/npmrc", "token"),
            ("etc/ssl/certs/ca.pem", "cert"),
            ("etc/ssl/private/key.pem", "key"),
            ("root/.rustup/settings.toml", "default_toolchain = \"stable\"\n"),
            ("root/.rustup/toolchains/beta-x/bin/rustc", "beta"),
            ("root/.rustup/toolchains/stable-x/bin/rustc", "stable"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        Host {
            root: root.to_owned(),
            rustup_home: Some(root.join("root/.rustup")),
            extra_read_only: Vec::new(),
        }
    }

    fn parts(image: &HostImage) -> Vec<(String, String)> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        image.rootfs().parts.iter().map(|part| (text(&part.source), text(&part.target))).collect()
    }

    #[test]
    fn the_skeleton_has_what_toolchains_need_and_nothing_of_the_operators() {
        let (host_root, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image = HostImage::make(images.path(), &miniature(host_root.path())).unwrap();
        let parts = parts(&image);
        let targets: Vec<&str> = parts.iter().map(|(_, target)| target.as_str()).collect();
        assert_eq!(targets, ["/", "/usr", "/lib64", "/opt/rust"]);
        assert!(parts[3].0.ends_with("toolchains/stable-x"));

        let root = Path::new(&parts[0].0);
        assert_eq!(fs::read_link(root.join("bin")).unwrap(), Path::new("usr/bin"));
        assert_eq!(fs::read_link(root.join("etc/alternatives/cc")).unwrap(), Path::new("/usr/bin/gcc"));
        assert!(fs::read_to_string(root.join("etc/passwd")).unwrap().contains("kiln:x:1000"));
        assert!(root.join("etc/ssl/certs/ca.pem").is_file());
        for absent in ["etc/shadow", "etc/npmrc", "etc/ssl/private", "root", "home", "sbin"] {
            assert!(root.join(absent).symlink_metadata().is_err(), "{absent}");
        }
        for (place, mode) in
            [("", 0o755), ("dev", 0o755), ("work", 0o755), ("tmp", 0o1777), ("opt/rust", 0o755)]
        {
            let metadata = fs::metadata(root.join(place)).unwrap();
            assert_eq!((metadata.is_dir(), metadata.mode() & 0o7777), (true, mode), "{place:?}");
        }
    }

    #[test]
    fn the_identity_follows_what_is_installed_and_the_skeleton_is_made_once() {
        let (host_root, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = miniature(host_root.path());
        let first = HostImage::make(images.path(), &host).unwrap();
        let again = HostImage::make(images.path(), &host).unwrap();
        assert_eq!((first.digest(), first.rootfs()), (again.digest(), again.rootfs()));
        for change in ["usr/bin/g++", "var/lib/dpkg/status", "etc/ld.so.cache", "etc/ssl/certs/new.pem"] {
            let before = *HostImage::make(images.path(), &host).unwrap().digest();
            fs::create_dir_all(host_root.path().join(change).parent().unwrap()).unwrap();
            fs::write(host_root.path().join(change), "x").unwrap();
            let after = *HostImage::make(images.path(), &host).unwrap().digest();
            assert_ne!(before, after, "{change}");
        }
        let held = parts(&first)[0].0.clone();
        assert!(Path::new(&held).is_dir(), "a skeleton in use stays");
        drop((first, again));
        let last = HostImage::make(images.path(), &host).unwrap();
        assert_eq!(fs::read_dir(images.path().join("host")).unwrap().count(), 1, "the others are gone");
        assert!(Path::new(&parts(&last)[0].0).is_dir());
    }

    #[test]
    fn files_that_only_some_may_read_are_left_out() {
        let (host_root, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = miniature(host_root.path());
        let hidden = host_root.path().join("etc/ssl/certs/hidden.pem");
        fs::write(&hidden, "x").unwrap();
        fs::set_permissions(&hidden, PermissionsExt::from_mode(0o640)).unwrap();
        let image = HostImage::make(images.path(), &host).unwrap();
        assert!(!Path::new(&parts(&image)[0].0).join("etc/ssl/certs/hidden.pem").exists());
    }

    #[test]
    fn extra_paths_are_shown_in_their_places_or_refused_with_a_reason() {
        let (host_root, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (path, why) in [
            ("/root", "may not be shown whole"),
            ("/", "may not be shown whole"),
            ("/proc/self", "the kernel's"),
            ("/usr/../root", "without \"..\""),
            ("relative", "must be absolute"),
            ("/etc/hostname", "is not a directory"),
            ("/nonexistent", "does not exist"),
            ("/usr", "is taken by a toolchain"),
            (images.path().to_str().unwrap(), "would be hidden"),
        ] {
            let extra_read_only = vec![PathBuf::from(path)];
            let host = Host { extra_read_only, rustup_home: None, root: PathBuf::from("/") };
            let seen = HostImage::make(host_root.path(), &host).unwrap_err().to_string();
            assert!(seen.contains(why), "{path}: {seen}");
        }
        let extra_read_only = vec![PathBuf::from("/usr/share"), PathBuf::from("/etc/ssl")];
        let host = Host { extra_read_only, rustup_home: None, root: PathBuf::from("/") };
        let image = HostImage::make(images.path(), &host).unwrap();
        let targets: Vec<String> = parts(&image).into_iter().map(|(_, target)| target).collect();
        assert!(targets.contains(&"/etc/ssl".to_owned()) && !targets.contains(&"/usr/share".to_owned()));
    }
    #[test]
    fn an_extra_path_below_a_link_into_usr_is_refused_and_one_with_a_toolchain_elsewhere_is_shown() {
        let (host_root, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut host = miniature(host_root.path());
        symlink("usr/lib", host_root.path().join("lib")).unwrap();
        host.extra_read_only = vec![PathBuf::from("/lib/systemd")];
        let refused = HostImage::make(images.path(), &host);
        // Whether this machine has the directory or not, it is refused.
        assert!(matches!(refused, Err(HostImageError::ExtraPath { .. })));
        host.extra_read_only = vec![PathBuf::from("/etc/ssl/certs")];
        let image = HostImage::make(images.path(), &host).unwrap();
        let parts = parts(&image);
        assert_eq!(parts.last().unwrap().1, "/etc/ssl/certs");
        assert!(Path::new(&parts[0].0).join("etc/ssl/certs").is_dir());
    }
}
