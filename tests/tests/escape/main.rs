//! Hostile programs, each through the real service with the default profile, and oracles that look from outside: the
//! host's canaries, the outcome, and what is left behind.
//!
//! Rows are those of the attack catalogue in SECURITY.md: A incidents in judges and sandboxes, B container runtimes and
//! the kernel, C resources, D cheating.

mod attacked;
mod cheating;
mod command;
mod incidents;
mod inventory;
mod layers;
mod lying_init;
mod machine;
mod resources;
mod runtimes;
