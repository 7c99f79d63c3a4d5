//! Checks a plan before anything irreversible: what passes here can be carried out by descriptors alone.
//!
//! Pure: it looks at the plan only, never at the host. The first fault is reported, with the field's name.

use super::{FileIn, Plan, PlanError, Rootfs, SandboxKind, Way};

/// Descriptors of `files_in` share one message with stdin, stdout, stderr and possibly a memfd (SCM_MAX_FD is 253).
pub const MAX_FILES_IN: usize = 249;
/// Descriptors of `files_out` share one message with possibly a memfd.
pub const MAX_FILES_OUT: usize = 250;
/// argv and env together, with their terminators: what every kernel accepts whatever the stack limit (execve(2)).
pub const MAX_ARGUMENT_BYTES: usize = 128 * 1024;
/// Longest path, as PATH_MAX without its terminator.
pub const MAX_PATH_BYTES: usize = 4095;
/// Longest component of a path (NAME_MAX).
pub const MAX_NAME_BYTES: usize = 255;
/// Each part of an image is a mount.
pub const MAX_PARTS: usize = 64;

/// Directories of the sandbox that the jail mounts itself: no part of an image may be put there.
const OWN_PLACES: [&[u8]; 4] = [b"/dev", b"/proc", b"/tmp", b"/work"];

impl Plan {
    /// Whether the jail can carry this plan out, as far as the plan alone tells.
    pub fn check(&self) -> Result<(), PlanError> {
        self.check_arguments()?;
        check_path("cwd", &self.cwd, Root::Allowed)?;
        self.rootfs.check()?;
        self.check_files()
    }

    fn check_arguments(&self) -> Result<(), PlanError> {
        if self.argv.first().is_none_or(|program| program.is_empty()) {
            return refuse("argv", "needs a program as first argument");
        }
        let mut total = 0;
        for (index, argument) in self.argv.iter().enumerate() {
            no_nul(&format!("argv[{index}]"), argument)?;
            total += argument.len() + 1;
        }
        for (index, (name, value)) in self.env.iter().enumerate() {
            let field = format!("env[{index}]");
            if name.is_empty() || name.contains(&b'=') {
                return refuse(field, "a name is at least one byte and has no '='");
            }
            no_nul(&field, name)?;
            no_nul(&field, value)?;
            total += name.len() + value.len() + 2;
        }
        if total > MAX_ARGUMENT_BYTES {
            return refuse(
                "argv",
                format!("with env {total} bytes, at most {MAX_ARGUMENT_BYTES} are allowed"),
            );
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), PlanError> {
        if self.files_in.len() > MAX_FILES_IN {
            return refuse("files_in", format!("{} files, at most {MAX_FILES_IN}", self.files_in.len()));
        }
        if self.files_out.len() > MAX_FILES_OUT {
            return refuse("files_out", format!("{} files, at most {MAX_FILES_OUT}", self.files_out.len()));
        }
        for (index, file) in self.files_in.iter().enumerate() {
            let field = format!("files_in[{index}].path");
            check_file_path(&field, &file.path)?;
            self.check_way(index, file)?;
            let clash = |other: &[u8]| {
                other == file.path || is_below(other, &file.path) || is_below(&file.path, other)
            };
            if self.files_in[..index].iter().any(|earlier| clash(&earlier.path)) {
                return refuse(field, "is also a file or a directory of an earlier entry");
            }
        }
        for (index, file) in self.files_out.iter().enumerate() {
            check_file_path(&format!("files_out[{index}].path"), &file.path)?;
        }
        Ok(())
    }

    fn check_way(&self, index: usize, file: &FileIn) -> Result<(), PlanError> {
        let name = match &file.way {
            Way::Copied { mode, .. } if *mode > 0o777 => {
                return refuse(format!("files_in[{index}].way"), "permission bits 0o000 to 0o777 only");
            }
            Way::Copied { .. } => return Ok(()),
            Way::Shown { name } => name,
        };
        let field = format!("files_in[{index}].way");
        check_path(&field, &[b"/", name.as_slice()].concat(), Root::Refused)?;
        if name.contains(&b'/') {
            return refuse(field, "names a file of a directory, not a path");
        }
        let Some(directory) = &self.shown_from else {
            return refuse("shown_from", "is not set, and a file is to be shown from there");
        };
        check_path("shown_from", directory, Root::Refused)?;
        // What lies beneath it on the tmpfs would come back.
        if self.files_out.iter().any(|wanted| wanted.path == file.path) {
            return refuse(field, "a file that is wanted back can only be copied");
        }
        Ok(())
    }
}

impl SandboxKind {
    /// Whether the jail can make such a sandbox, as far as its description alone tells.
    pub fn check(&self) -> Result<(), PlanError> {
        self.rootfs.check()
    }
}

impl Rootfs {
    fn check(&self) -> Result<(), PlanError> {
        let parts = &self.parts;
        if parts.is_empty() || parts.len() > MAX_PARTS {
            return refuse("rootfs.parts", format!("{} parts, 1 to {MAX_PARTS} are allowed", parts.len()));
        }
        for (index, part) in parts.iter().enumerate() {
            let target = format!("rootfs.parts[{index}].target");
            check_path(&format!("rootfs.parts[{index}].source"), &part.source, Root::Allowed)?;
            check_path(&target, &part.target, Root::Allowed)?;
            if (part.target == b"/") != (index == 0) {
                return refuse(target, "the first part's target is /, and no other's");
            }
            if OWN_PLACES.iter().any(|place| part.target == *place || is_below(&part.target, place)) {
                return refuse(target, "/dev, /proc, /tmp and /work are the sandbox's own");
            }
            if parts[..index].iter().any(|earlier| earlier.target == part.target) {
                return refuse(target, "two parts with one target");
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Allowed,
    Refused,
}

fn check_file_path(field: &str, path: &[u8]) -> Result<(), PlanError> {
    check_path(field, path, Root::Refused)?;
    if is_below(path, b"/work") || is_below(path, b"/tmp") {
        Ok(())
    } else {
        refuse(field, "must be below /work or /tmp")
    }
}

fn check_path(field: &str, path: &[u8], root: Root) -> Result<(), PlanError> {
    no_nul(field, path)?;
    if path.len() > MAX_PATH_BYTES {
        return refuse(field, format!("{} bytes, at most {MAX_PATH_BYTES}", path.len()));
    }
    let Some(rest) = path.strip_prefix(b"/") else {
        return refuse(field, "must be absolute");
    };
    if rest.is_empty() {
        return if root == Root::Allowed { Ok(()) } else { refuse(field, "names no file") };
    }
    for component in rest.split(|&byte| byte == b'/') {
        if component.is_empty() || component == b"." || component == b".." {
            return refuse(field, "has an empty, '.' or '..' component");
        }
        if component.len() > MAX_NAME_BYTES {
            return refuse(
                field,
                format!("has a component of {} bytes, at most {MAX_NAME_BYTES}", component.len()),
            );
        }
    }
    Ok(())
}

/// Whether `path` lies strictly inside `directory`.
fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn no_nul(field: &str, bytes: &[u8]) -> Result<(), PlanError> {
    if bytes.contains(&0) { refuse(field, "contains a NUL byte") } else { Ok(()) }
}

fn refuse<T>(field: impl Into<String>, why: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError { field: field.into(), why: why.into() })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::plan::{FileIn, FileOut, Limits, Owner, Part, Profile, Rootfs, Way};

    fn count(value: u64) -> NonZeroU64 {
        NonZeroU64::new(value).expect("not zero")
    }

    /// A plan with something in every field.
    pub(crate) fn example() -> Plan {
        Plan {
            argv: vec![b"/bin/cat".to_vec(), b"in".to_vec()],
            env: vec![(b"LANG".to_vec(), b"C".to_vec())],
            cwd: b"/work".to_vec(),
            rootfs: Rootfs {
                parts: vec![
                    Part { source: b"/run/kiln/host-root".to_vec(), target: b"/".to_vec() },
                    Part { source: b"/usr".to_vec(), target: b"/usr".to_vec() },
                ],
            },
            limits: Limits {
                cpu_us: count(1_000_000),
                wall_us: count(2_000_000),
                memory_bytes: count(64 << 20),
                pids: count(16),
                output_bytes: count(1 << 20),
                file_size_bytes: count(16 << 20),
                disk_bytes: count(32 << 20),
                inodes: count(1000),
                open_files: count(64),
                stack_bytes: count(8 << 20),
                cpu_rate_millis: NonZeroU32::new(1000).expect("not zero"),
            },
            profile: Profile::Default,
            files_in: vec![FileIn {
                path: b"/work/in".to_vec(),
                way: Way::Copied { mode: 0o644, owner: Owner::Command },
            }],
            shown_from: None,
            files_out: vec![FileOut { path: b"/work/out".to_vec(), max_bytes: count(1 << 20) }],
        }
    }

    fn show(plan: &mut Plan, name: &[u8], directory: &[u8]) {
        plan.files_in[0].way = Way::Shown { name: name.to_vec() };
        plan.shown_from = Some(directory.to_vec());
    }

    #[test]
    fn a_good_plan_passes() {
        assert_eq!(example().check(), Ok(()));
        let mut shown = example();
        show(&mut shown, b"blake3-00", b"/var/lib/kiln/worker/blobs");
        assert_eq!(shown.check(), Ok(()));
    }

    #[test]
    fn each_fault_names_its_field() {
        type Break = fn(&mut Plan);
        let table: &[(&str, Break)] = &[
            ("argv", |plan| plan.argv.clear()),
            ("argv", |plan| plan.argv[0].clear()),
            ("argv[1]", |plan| plan.argv[1].push(0)),
            ("argv", |plan| plan.argv.push(vec![b'x'; MAX_ARGUMENT_BYTES])),
            ("env[0]", |plan| plan.env[0].0.clear()),
            ("env[0]", |plan| plan.env[0].0.push(b'=')),
            ("env[0]", |plan| plan.env[0].1.push(0)),
            ("cwd", |plan| plan.cwd = b"work".to_vec()),
            ("cwd", |plan| plan.cwd = b"/work/../etc".to_vec()),
            ("cwd", |plan| plan.cwd = b"/work/".to_vec()),
            ("rootfs.parts", |plan| plan.rootfs.parts.clear()),
            ("rootfs.parts[0].target", |plan| plan.rootfs.parts[0].target = b"/usr".to_vec()),
            ("rootfs.parts[1].target", |plan| plan.rootfs.parts[1].target = b"/".to_vec()),
            ("rootfs.parts[1].target", |plan| plan.rootfs.parts[1].target = b"/dev/shm".to_vec()),
            ("rootfs.parts[1].source", |plan| plan.rootfs.parts[1].source = b"usr".to_vec()),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/etc/passwd".to_vec()),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/work".to_vec()),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/workshop/x".to_vec()),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/work/./x".to_vec()),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/work//x".to_vec()),
            ("files_in[0].path", |plan| {
                plan.files_in[0].path = [b"/work/".as_slice(), &[b'n'; 256]].concat()
            }),
            ("files_in[0].path", |plan| plan.files_in[0].path = b"/work/n".repeat(800)),
            ("files_in[0].way", |plan| {
                plan.files_in[0].way = Way::Copied { mode: 0o4755, owner: Owner::Command }
            }),
            ("shown_from", |plan| plan.files_in[0].way = Way::Shown { name: b"a".to_vec() }),
            ("shown_from", |plan| show(plan, b"a", b"blobs")),
            ("files_in[0].way", |plan| show(plan, b"", b"/blobs")),
            ("files_in[0].way", |plan| show(plan, b"..", b"/blobs")),
            ("files_in[0].way", |plan| show(plan, b"a/b", b"/blobs")),
            ("files_in[0].way", |plan| {
                show(plan, b"a", b"/blobs");
                plan.files_out[0].path = plan.files_in[0].path.clone();
            }),
            ("files_in[1].path", |plan| plan.files_in.push(plan.files_in[0].clone())),
            ("files_in[1].path", |plan| {
                let below = FileIn { path: b"/work/in/x".to_vec(), ..plan.files_in[0].clone() };
                plan.files_in.push(below);
            }),
            ("files_in", |plan| plan.files_in = vec![plan.files_in[0].clone(); MAX_FILES_IN + 1]),
            ("files_out", |plan| plan.files_out = vec![plan.files_out[0].clone(); MAX_FILES_OUT + 1]),
            ("files_out[0].path", |plan| plan.files_out[0].path = b"/tmp/../etc/shadow".to_vec()),
        ];
        for (index, (field, break_it)) in table.iter().enumerate() {
            let mut plan = example();
            break_it(&mut plan);
            let error = plan.check().expect_err("must be refused");
            assert_eq!(error.field, *field, "row {index}: {error}");
        }
    }

    proptest::proptest! {
        /// Whatever passes stays below its directory however a kernel reads it, and nothing that does is refused.
        #[test]
        fn a_file_path_passes_exactly_when_it_stays_below(
            components in proptest::collection::vec(
                proptest::sample::select(vec!["work", "tmp", "a", "..", ".", "", "\0", "b c\n", "etc"]),
                0..6,
            ),
            absolute: bool,
        ) {
            let joined = components.join("/");
            let path = if absolute { format!("/{joined}") } else { joined.trim_start_matches('/').to_owned() };
            let names = components.iter().all(|name| !["..", ".", "", "\0"].contains(name));
            let below = components.len() > 1 && ["work", "tmp"].contains(&components[0]);
            let passes = check_file_path("path", path.as_bytes()).is_ok();
            proptest::prop_assert_eq!(passes, absolute && names && below);
        }

        #[test]
        fn no_bytes_make_the_check_or_the_explanation_panic(argv: Vec<Vec<u8>>, cwd: Vec<u8>, path: Vec<u8>) {
            let mut plan = example();
            plan.argv = argv;
            plan.cwd = cwd;
            plan.files_out[0].path = path;
            let _ = plan.check();
            let text = plan.explain(crate::standing::Standing::HostRoot).to_string();
            proptest::prop_assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        }
    }
}
