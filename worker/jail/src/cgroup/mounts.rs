//! Where this host's cgroup hierarchies are mounted and which group this process is in. Pure parsing, no I/O.

/// One cgroup mount visible in this mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupMount {
    pub(super) point: Vec<u8>,
    /// The group, seen from the cgroup namespace, that the mount shows as its top.
    pub(super) root: String,
    pub(super) kind: MountKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MountKind {
    V1 { controllers: Vec<String> },
    V2,
}

impl CgroupMount {
    /// Whether it is of a v1 hierarchy with this controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        match &self.kind {
            MountKind::V1 { controllers } => controllers.iter().any(|name| name == controller),
            MountKind::V2 => false,
        }
    }
}

/// Parses `/proc/self/mountinfo` (proc(5)): optional fields end at a lone `-`, then type, source, super options.
pub(super) fn cgroup_mounts(mountinfo: &str) -> Vec<CgroupMount> {
    mountinfo.lines().filter_map(cgroup_mount).collect()
}

/// This process's group in the unified hierarchy, from `/proc/self/cgroup`.
pub(super) fn unified_group(proc_self_cgroup: &str) -> Option<&str> {
    proc_self_cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

/// `path` as seen below a mount whose top is `root`, relative; `None` when it is not below.
pub(super) fn below<'path>(root: &str, path: &'path str) -> Option<&'path str> {
    let rest = if root == "/" { path } else { path.strip_prefix(root)? };
    match rest.strip_prefix('/') {
        Some(absolute) if absolute.starts_with('/') => None,
        Some(relative) if relative.split('/').all(|part| part != "..") => Some(relative),
        None if rest.is_empty() => Some(""),
        _ => None,
    }
}

fn cgroup_mount(line: &str) -> Option<CgroupMount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let kind = match after.next()? {
        "cgroup2" => MountKind::V2,
        "cgroup" => {
            let controllers = after.nth(1)?.split(',').map(str::to_owned).collect();
            MountKind::V1 { controllers }
        }
        _ => return None,
    };
    Some(CgroupMount { point: unescape(point), root: root.to_owned(), kind })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &str) -> Vec<u8> {
    let mut bytes = field.bytes().collect::<Vec<_>>();
    let mut at = 0;
    while at + 3 < bytes.len() {
        let digits = &bytes[at + 1..at + 4];
        if bytes[at] == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
            let value = digits.iter().fold(0u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
            bytes.splice(at..at + 4, [value.to_le_bytes()[0]]);
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
36 31 0:33 /docker/abc /mnt/with\\040space rw shared:9 master:2 - cgroup cgroup rw,devices
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn finds_joint_and_escaped_mounts() {
        let mounts = cgroup_mounts(HYBRID);
        assert_eq!(mounts.len(), 4);
        let MountKind::V1 { controllers } = &mounts[0].kind else { panic!("v1 expected") };
        assert!(controllers.iter().any(|name| name == "cpu"));
        assert!(controllers.iter().any(|name| name == "cpuacct"));
        assert_eq!(mounts[1].point, b"/mnt/with space");
        assert_eq!(mounts[1].root, "/docker/abc");
        assert_eq!(mounts[3].kind, MountKind::V2);
    }

    #[test]
    fn own_group_of_the_unified_hierarchy() {
        assert_eq!(
            unified_group("4:memory:/x\n0::/system.slice/kiln.service\n"),
            Some("/system.slice/kiln.service")
        );
        assert_eq!(unified_group("4:memory:/x\n"), None);
    }

    #[test]
    fn paths_below_a_mount_never_climb() {
        assert_eq!(below("/", "/a/b"), Some("a/b"));
        assert_eq!(below("/", "/"), Some(""));
        assert_eq!(below("/docker/abc", "/docker/abc"), Some(""));
        assert_eq!(below("/docker/abc", "/docker/abc/x"), Some("x"));
        assert_eq!(below("/docker/abc", "/docker/abcd"), None);
        assert_eq!(below("/", "/../other"), None);
        assert_eq!(below("/", "//etc"), None);
        // The mount of an outer cgroup namespace, seen from an inner one.
        assert_eq!(below("/../..", "/"), None);
    }
}
