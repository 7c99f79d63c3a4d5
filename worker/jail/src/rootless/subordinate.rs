//! The ids that /etc/subuid and /etc/subgid give to a user (subuid(5)).

use std::fs;
use std::io;

use nix::unistd::{Uid, User};

use crate::ids::SPARSE;

const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";
/// More than this is of no use: every sandbox that runs at the same time takes four.
const MOST: u32 = 65_536;

/// First and number of a user's subordinate uids and gids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subordinate {
    uids: (u32, u32),
    gids: (u32, u32),
}

/// Why a user has none.
#[derive(Debug, thiserror::Error)]
pub enum SubordinateError {
    #[error("read {file}")]
    Read { file: &'static str, source: io::Error },
    #[error(
        "{file} gives {user} no subordinate ids, and a command must have other ids than its init: \
         usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    )]
    None { file: &'static str, user: String },
    #[error(
        "{file} gives {user} {count} subordinate ids, and a sandbox takes {SPARSE}: \
         usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    )]
    TooFew { file: &'static str, user: String, count: u32 },
}

impl Subordinate {
    /// Those of a user of this host.
    pub fn of_user(uid: u32) -> Result<Self, SubordinateError> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let look = |file| {
            let text = match fs::read_to_string(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                read => read.map_err(|source| SubordinateError::Read { file, source })?,
            };
            usable(file, largest(&text, user.as_deref(), uid), || user.clone().unwrap_or(uid.to_string()))
        };
        Ok(Self { uids: look(SUBUID)?, gids: look(SUBGID)? })
    }

    /// First uid and how many.
    pub fn uids(&self) -> (u32, u32) {
        self.uids
    }

    /// First gid and how many.
    pub fn gids(&self) -> (u32, u32) {
        self.gids
    }
}

fn usable(
    file: &'static str,
    found: Option<(u32, u32)>,
    user: impl Fn() -> String,
) -> Result<(u32, u32), SubordinateError> {
    match found {
        None => Err(SubordinateError::None { file, user: user() }),
        Some((_, count)) if count < SPARSE => Err(SubordinateError::TooFew { file, user: user(), count }),
        Some((first, count)) => Ok((first, count.min(MOST))),
    }
}

/// The largest range of a user, who goes by name or number. Lines that are none are passed over, as newuidmap does.
fn largest(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
            (Some(owner) == name || owner == number).then_some((first, count))
        })
        .max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_range_of_a_name_or_a_number_counts() {
        let text = "other:1:9\nme:100000:65536\nme:5:5\n1000:200000:70000\nodd\nme:x:5\n";
        assert_eq!(largest(text, Some("me"), 7), Some((100_000, 65_536)));
        assert_eq!(largest(text, Some("me"), 1000), Some((200_000, 70_000)));
        assert_eq!(largest(text, None, 7), None);
    }

    #[test]
    fn too_few_are_refused_with_the_command_that_mends_it() {
        let refused = |found| usable(SUBUID, found, || "me".to_owned()).expect_err("too few").to_string();
        assert!(refused(None).contains("/etc/subuid gives me no subordinate ids"));
        assert!(refused(Some((1, 3))).contains("gives me 3 subordinate ids"));
        assert!(
            refused(None).ends_with("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me")
        );
        assert_eq!(usable(SUBUID, Some((1, u32::MAX)), String::new).expect("plenty"), (1, MOST));
    }
}
