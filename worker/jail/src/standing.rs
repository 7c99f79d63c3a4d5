//! Whose root this process is: the host's, that of a user namespace, or nobody's.
//!
//! Owns reading that from the kernel, and the ids that follow from it. Nothing else is believed: no environment variable,
//! no flag. It must never change anything.

use std::fs;
use std::io;
use std::ops::Range;

/// What the kernel lets this process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Root of the initial user namespace, as far as its capabilities go.
    HostRoot,
    /// Root of a user namespace below it: of its own ids, mounts and processes, and of nothing else.
    NamespaceRoot {
        /// Who root is outside.
        owner: u32,
    },
    /// Not root at all.
    User {
        /// Who.
        uid: u32,
    },
}

/// Files that appear with owners that the user namespace does not have, and what follows, in words for people.
pub const FOREIGN_FILES: &str =
    "as root of a user namespace only: image files appear as nobody's, and are never writable";

impl Standing {
    /// Asks the kernel about this process.
    pub fn of_this_process() -> io::Result<Self> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self::User { uid: uid.as_raw() });
        }
        let map = fs::read_to_string("/proc/self/uid_map")?;
        Self::of_root(&map)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/self/uid_map"))
    }

    /// From the text of `/proc/self/uid_map`.
    fn of_root(map: &str) -> Option<Self> {
        let map = parse(map)?;
        // user_namespaces(7): the initial namespace maps every id to itself.
        if map == [Extent { inside: 0, outside: 0, count: u32::MAX }] {
            return Some(Self::HostRoot);
        }
        let root = map.iter().find(|extent| extent.inside == 0)?;
        Some(Self::NamespaceRoot { owner: root.outside })
    }

    /// Whether this is root of a user namespace and not of the host.
    pub fn is_confined(self) -> bool {
        matches!(self, Self::NamespaceRoot { .. })
    }
}

/// Ids from 1 that this user namespace has as uids and as gids, without a gap.
pub(crate) fn own_ids() -> io::Result<Range<u32>> {
    let end = |path: &str| -> io::Result<u32> {
        let map = fs::read_to_string(path)?;
        let map = parse(&map)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("unreadable {path}")))?;
        Ok(end_of_run(map))
    };
    Ok(1..end("/proc/self/uid_map")?.min(end("/proc/self/gid_map")?))
}

/// First id after 0 that is not mapped.
fn end_of_run(mut map: Vec<Extent>) -> u32 {
    map.sort_by_key(|extent| extent.inside);
    map.iter().fold(
        0,
        |end, extent| {
            if extent.inside == end { end.saturating_add(extent.count) } else { end }
        },
    )
}

/// One line of a map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    inside: u32,
    outside: u32,
    count: u32,
}

fn parse(map: &str) -> Option<Vec<Extent>> {
    map.lines()
        .map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some(Extent { inside: next()?, outside: next()?, count: next()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_map_says_whose_root_this_is() {
        assert_eq!(Standing::of_root("         0          0 4294967295\n"), Some(Standing::HostRoot));
        let entered = "0 1000 1\n1 100000 65536\n";
        assert_eq!(Standing::of_root(entered), Some(Standing::NamespaceRoot { owner: 1000 }));
        // A container whose root is the host's by number has not the host's other ids.
        assert_eq!(Standing::of_root("0 0 65536\n"), Some(Standing::NamespaceRoot { owner: 0 }));
        assert_eq!(Standing::of_root(""), None);
        assert_eq!(Standing::of_root("0 x 1\n"), None);
    }

    #[test]
    fn ids_are_counted_up_to_the_first_gap() {
        let end = |map| end_of_run(parse(map).unwrap());
        assert_eq!(end("0 1000 1\n1 100000 65536\n"), 65_537);
        assert_eq!(end("1 100000 9\n0 1000 1\n20 5 1\n"), 10);
        assert_eq!(end("0 1000 1\n"), 1);
        assert_eq!(end("5 1000 1\n"), 0);
    }
}
