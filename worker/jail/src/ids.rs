//! The uids and gids of one sandbox: which it has, and what they are outside.
//!
//! As root of the host there are plenty: a sandbox gets all of 0 to 65,535. A user namespace has few: there it gets the
//! four that Kiln uses, and everybody else's files are nobody's.

use crate::sandbox::COMMAND_ID;
use crate::sandbox::init::INIT_ID;
use crate::standing::Standing;

/// Ids of a whole range.
pub(crate) const WHOLE: u32 = 65_536;
/// Ids of a sparse one: root, the command, init, and nobody.
pub(crate) const SPARSE: u32 = 4;

/// Ids of the sandboxes of one jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SandboxIds {
    base: u32,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Whole,
    Sparse,
}

impl SandboxIds {
    /// Those from `base` on, as the jail's own user namespace numbers them.
    pub(crate) fn new(base: u32, standing: Standing) -> Self {
        let layout = if standing.is_confined() { Layout::Sparse } else { Layout::Whole };
        Self { base, layout }
    }

    /// The sandbox's root, outside.
    pub(crate) fn root(self) -> u32 {
        self.base
    }

    /// The command, outside.
    pub(crate) fn command(self) -> u32 {
        match self.layout {
            Layout::Whole => self.base + COMMAND_ID,
            Layout::Sparse => self.base + 1,
        }
    }

    /// The sandbox's init, outside.
    pub(crate) fn init(self) -> u32 {
        match self.layout {
            Layout::Whole => self.base + INIT_ID,
            Layout::Sparse => self.base + 2,
        }
    }

    /// What `uid_map` and `gid_map` of the sandbox say (user_namespaces(7)).
    pub(crate) fn map(self) -> String {
        let base = self.base;
        match self.layout {
            Layout::Whole => format!("0 {base} {WHOLE}\n"),
            // The last line is init and, next to it, 65,534: nobody.
            Layout::Sparse => {
                format!("0 {base} 1\n{COMMAND_ID} {} 1\n{INIT_ID} {} 2\n", base + 1, base + 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_below_a_user_namespace_takes_four_ids() {
        let whole = SandboxIds::new(1_879_048_192, Standing::HostRoot);
        assert_eq!(whole.map(), "0 1879048192 65536\n");
        assert_eq!(whole.command(), 1_879_049_192);
        let sparse = SandboxIds::new(32_768, Standing::NamespaceRoot { owner: 1000 });
        assert_eq!(sparse.map(), "0 32768 1\n1000 32769 1\n65533 32770 2\n");
        assert_eq!((sparse.root(), sparse.command(), sparse.init()), (32_768, 32_769, 32_770));
        assert_eq!(whole.init(), 1_879_048_192 + 65_533);
    }
}
