//! Tries: an image archive whose extended header gives a harmless name another path and size.
//! Seen: CVE-2021-32804 and kin: two readers, two names.
//! Must: it is refused by the name that counts.

use super::tar::{Entry, archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for record in ["path=../escaped", "path=/etc/kiln-attack", "linkpath=/etc/shadow", "size=99999999999999"] {
        // A record is its own length, a blank, the text and a line's end.
        let mut length = record.len() + 3;
        while format!("{length} {record}\n").len() != length {
            length = format!("{length} {record}\n").len();
        }
        let content = format!("{length} {record}\n").into_bytes();
        let extended = Entry { kind: b'x', content, ..file("extended") };
        let kind = if record.starts_with("linkpath") { b'1' } else { b'0' };
        let entry = Entry { kind, ..file("harmless") };
        must_be_refused(target, record, &archive(&[extended, entry])).await?;
    }
    Ok(())
}
