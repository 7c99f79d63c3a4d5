//! The names seen so far, as a tree: finds duplicates, entries below files or links, and links that lead outward.
//!
//! Links are followed as inside a root directory: an absolute target begins at the image's root. One that climbs above
//! the root is refused, although the kernel would stop it there.

use std::collections::HashMap;

use crate::refusal::{Refusal, shown};
use crate::{MOUNT_POINTS, Rules};

/// As in the kernel; a longer chain fails with ELOOP when it is used, which harms nobody.
const MAX_LINKS_FOLLOWED: usize = 40;
const MAX_PART_BYTES: usize = 255;
/// PATH_MAX with its NUL left out: longer names cannot be passed to a system call.
const MAX_KERNEL_PATH_BYTES: usize = 4095;
const ROOT: usize = 0;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink(Vec<u8>),
}

/// What placing an entry did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Parents that the archive had left out, outermost first.
    pub(crate) implied: Vec<Vec<u8>>,
    /// False for a directory that was there already.
    pub(crate) is_new: bool,
}

pub(crate) struct Tree {
    nodes: Vec<Node>,
    symlinks: Vec<Vec<u8>>,
}

enum Node {
    Directory(HashMap<Box<[u8]>, usize>),
    File,
    Symlink(Vec<u8>),
}

impl Tree {
    pub(crate) fn new() -> Tree {
        Tree { nodes: vec![Node::Directory(HashMap::new())], symlinks: Vec::new() }
    }

    /// Puts a checked name into the tree. The root itself has the empty name.
    pub(crate) fn place(&mut self, path: &[u8], kind: Kind) -> Result<Placed, Refusal> {
        let mut placed = Placed { implied: Vec::new(), is_new: false };
        let (mut at, mut end) = (ROOT, 0);
        let parts: Vec<&[u8]> = parts(path).collect();
        let Some((last, parents)) = parts.split_last() else { return Ok(placed) };
        check_mount_point(path, &kind)?;
        for part in parents {
            end += part.len() + usize::from(end > 0);
            at = match self.child(at, part) {
                Some(child) => self.enter(child, path, &path[..end])?,
                None => {
                    placed.implied.push(path[..end].to_vec());
                    self.add(at, part, Node::Directory(HashMap::new()))
                }
            };
        }
        match (self.child(at, last), kind) {
            (Some(child), Kind::Directory) if matches!(self.nodes[child], Node::Directory(_)) => {
                return Ok(placed);
            }
            (Some(_), _) => return Err(Refusal::Duplicate { entry: shown(path) }),
            (None, Kind::Directory) => self.add(at, last, Node::Directory(HashMap::new())),
            (None, Kind::File) => self.add(at, last, Node::File),
            (None, Kind::Symlink(target)) => {
                self.symlinks.push(path.to_vec());
                self.add(at, last, Node::Symlink(target))
            }
        };
        placed.is_new = true;
        Ok(placed)
    }

    /// What a hard link to `target` would be: the file or link itself, no link followed on the way.
    pub(crate) fn hard_link_kind(&self, entry: &[u8], target: &[u8]) -> Result<Kind, Refusal> {
        let found = parts(target).try_fold(ROOT, |at, part| self.child(at, part));
        match found.map(|node| &self.nodes[node]) {
            Some(Node::File) => Ok(Kind::File),
            Some(Node::Symlink(text)) => Ok(Kind::Symlink(text.clone())),
            _ => Err(Refusal::HardLinkTarget { entry: shown(entry), target: shown(target) }),
        }
    }

    /// Follows every link to its end.
    pub(crate) fn check_links(&self) -> Result<(), Refusal> {
        self.symlinks.iter().try_for_each(|link| self.check_link(link))
    }

    fn check_link(&self, link: &[u8]) -> Result<(), Refusal> {
        // Above the link are only directories: nothing is placed through a link.
        let mut stack = vec![ROOT];
        let mut rest: Vec<Vec<u8>> = parts(link).rev().map(<[u8]>::to_vec).collect();
        let (mut followed, mut first_target) = (0, Vec::new());
        while let Some(part) = rest.pop() {
            let top = stack[stack.len() - 1];
            if part == b"." {
                continue;
            }
            if part == b".." {
                stack.pop();
                if stack.is_empty() {
                    return Err(Refusal::LinkOutward { entry: shown(link), target: shown(&first_target) });
                }
                continue;
            }
            let Some(child) = self.child(top, &part) else { return Ok(()) };
            let Node::Symlink(target) = &self.nodes[child] else {
                stack.push(child);
                continue;
            };
            followed += 1;
            if followed == 1 {
                first_target.clone_from(target);
            }
            if followed > MAX_LINKS_FOLLOWED {
                return Ok(());
            }
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            rest.extend(parts(target).rev().map(<[u8]>::to_vec));
        }
        Ok(())
    }

    fn child(&self, at: usize, part: &[u8]) -> Option<usize> {
        match &self.nodes[at] {
            Node::Directory(children) => children.get(part).copied(),
            _ => None,
        }
    }

    fn add(&mut self, parent: usize, part: &[u8], node: Node) -> usize {
        let index = self.nodes.len();
        self.nodes.push(node);
        if let Node::Directory(children) = &mut self.nodes[parent] {
            children.insert(part.into(), index);
        }
        index
    }

    fn enter(&self, node: usize, entry: &[u8], parent: &[u8]) -> Result<usize, Refusal> {
        match self.nodes[node] {
            Node::Directory(_) => Ok(node),
            Node::File => Err(Refusal::BelowFile { entry: shown(entry), file: shown(parent) }),
            Node::Symlink(_) => Err(Refusal::ThroughLink { entry: shown(entry), link: shown(parent) }),
        }
    }
}

/// A name without `.` and doubled slashes, or why it is refused. Empty is the root.
pub(crate) fn check_name(name: &[u8], rules: &Rules) -> Result<Vec<u8>, Refusal> {
    let entry = || shown(name);
    if name.is_empty() {
        return Err(Refusal::EmptyName { entry: entry() });
    }
    if name.contains(&0) {
        return Err(Refusal::NulInName { entry: entry() });
    }
    if name.starts_with(b"/") {
        return Err(Refusal::AbsoluteName { entry: entry() });
    }
    if parts(name).any(|part| part == b"..") {
        return Err(Refusal::ParentInName { entry: entry() });
    }
    let allowed = rules.max_path_bytes.min(MAX_KERNEL_PATH_BYTES);
    if name.len() > allowed || parts(name).any(|part| part.len() > MAX_PART_BYTES) {
        return Err(Refusal::NameTooLong { entry: entry(), bytes: name.len(), allowed });
    }
    Ok(parts(name).filter(|part| *part != b".").collect::<Vec<_>>().join(&b'/'))
}

/// Refuses a link's text that cannot be one, or that climbs above the root by itself.
pub(crate) fn check_target(link: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if target.is_empty() || target.contains(&0) || target.len() > MAX_KERNEL_PATH_BYTES {
        return Err(Refusal::Extension {
            entry: shown(link),
            why: "the link's target is empty, too long, or holds NUL",
        });
    }
    let mut depth = if target.starts_with(b"/") { 0 } else { parts(link).count() - 1 };
    for part in parts(target) {
        depth = match part {
            b"." => depth,
            b".." if depth == 0 => {
                return Err(Refusal::LinkOutward { entry: shown(link), target: shown(target) });
            }
            b".." => depth - 1,
            _ => depth + 1,
        };
    }
    Ok(())
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
}

fn check_mount_point(path: &[u8], kind: &Kind) -> Result<(), Refusal> {
    let is_mount_point = MOUNT_POINTS.iter().any(|point| point.as_bytes() == path);
    match is_mount_point && *kind != Kind::Directory {
        true => Err(Refusal::MountPoint { entry: shown(path) }),
        false => Ok(()),
    }
}
