//! Kiln's own attack: hostile programs, clients and archives against a real service, and oracles that look from outside of it.
//!
//! Owns which attacks there are, the service under attack, running each, and what is said about it. What a hostile program is, and how its
//! outcome is judged, is [`kiln_attacks`]'s. It must never judge by what an attack says of itself alone.

pub(crate) mod archives;
pub(crate) mod catalogue;
pub(crate) mod clients;
pub(crate) mod oracle;
pub(crate) mod own_case;
pub(crate) mod programs;
pub(crate) mod report;
pub(crate) mod target;
pub(crate) mod victim;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use kiln_attacks::{About, Absent, Case, Row};

use target::Target;

/// One attack.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    /// e.g. `B8-unshare`.
    pub(crate) name: String,
    pub(crate) row: Row,
    pub(crate) about: About,
    pub(crate) kind: Kind,
}

/// What attacks.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A job.
    Program(&'static Case),
    /// A client, with requests or archives.
    Client(Client),
    /// Nothing: the feature is not there.
    Absent(Absent),
}

/// A hostile client. An error is how it got through.
pub(crate) type Client = fn(&Target) -> LocalBoxFuture<'_, Held>;

/// What a hostile client found: that it was refused, or how it was not.
pub(crate) type Held = Result<(), String>;

/// How an attack ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    /// Why, in sentences without hostile bytes.
    Failed(Vec<String>),
    NotApplicable(String),
}

/// An attack with its end.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) attack: Attack,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// Declares hostile clients: each is a file of its own whose first three lines say what it is about, and whose `run` attacks.
macro_rules! hostile_clients {
    ($($name:literal $module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Name, text and call of each.
        pub(crate) const ALL: &[(&str, &str, crate::attack::Client)] = &[
            $(($name, include_str!(concat!(stringify!($module), ".rs")), |target| Box::pin($module::run(target)))),*
        ];
    };
}
pub(crate) use hostile_clients;
