//! The service under attack: one of our own in a process of its own, with the user's settings, or one that runs on this host already.
//!
//! It is always another process than this one: the oracle stands outside.

use std::path::{Path, PathBuf};

use kiln_attacks::{Canaries, Targets, census};
use kiln_client::{Address, Client};
use kiln_proto::v1;

use crate::context::Context;
use crate::failure::Failure;
use crate::own_service::{OwnService, Role, START};

/// The attacker, the other attacker, the neighbour.
pub(crate) const LEAST_SLOTS: usize = 3;
/// The service's environment holds the secret under this name.
const SECRET_VARIABLE: &str = "KILN_CANARY";
/// How a worker's jails are called.
const JAIL: &str = "kiln-jail";

/// A service under attack.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) address: Address,
    pub(crate) canaries: Canaries,
    /// The server's process, and its workers' where they are others.
    pub(crate) roots: Vec<u32>,
    /// What it may write.
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) slots: usize,
    pub(crate) maximum: v1::Limits,
    /// Digest of the hostile program, which the service holds.
    pub(crate) program: String,
    pub(crate) whose: Whose,
    allow_missing: Vec<String>,
    own: Option<OwnService>,
}

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Started for the attack.
    Ours,
    /// One that others may be using.
    Theirs,
}

impl Target {
    /// The service that was named, else one of our own.
    pub(crate) async fn start(context: &Context) -> Result<Target, Failure> {
        match &context.settings.client_server {
            Some(address) => Target::named(context, address.clone()).await,
            None => Target::own(context).await,
        }
    }

    /// Ends a service of our own; it must end well.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Target { client, own, .. } = self;
        drop(client);
        match own {
            Some(service) => service.stop().await,
            None => Ok(()),
        }
    }

    /// What a hostile program is told of this host.
    pub(crate) fn told(&self) -> Targets {
        Targets {
            canary_file: self.canaries.file(),
            canary_port: self.canaries.port(),
            canary_abstract: self.canaries.abstract_name().to_owned(),
            canary_secret: self.canaries.secret().to_owned(),
            service_pid: self.roots[0],
            service_socket: match &self.address {
                Address::Unix(path) => path.display().to_string(),
                Address::Http(authority) => authority.clone(),
            },
        }
    }

    /// Whether the operator allows a layer to be missing.
    pub(crate) fn gave_up(&self, layer: &str) -> bool {
        self.allow_missing.iter().any(|name| name == layer)
    }

    /// The supervisors of the slots.
    pub(crate) fn jails(&self) -> Vec<u32> {
        census::jails_of(&self.roots)
    }

    async fn own(context: &Context) -> Result<Target, Failure> {
        let binary = own_binary()?;
        let canaries = put_out(&binary)?;
        let environment = vec![(SECRET_VARIABLE, canaries.secret().to_owned())];
        let role =
            Role { name: "the service under attack", words: vec!["attack-target".to_owned()], environment };
        let own = OwnService::start(context, role).await?;
        let place = Place {
            roots: vec![own.pid],
            directories: vec![own.ready.directory.clone()],
            whose: Whose::Ours,
        };
        Target::connect(context, own.address(), canaries, place, Some(own)).await
    }

    async fn named(context: &Context, address: Address) -> Result<Target, Failure> {
        let Address::Unix(socket) = &address else {
            return Err(Failure::usage(format!("{address} does not tell which process listens there"))
                .next("name the service's unix socket: --server unix:/run/kiln/kiln.sock"));
        };
        let server = listener_of(socket).await?;
        let binary = std::fs::read_link(format!("/proc/{server}/exe")).map_err(|error| {
            Failure::caused(&format!("cannot look at process {server}"), &error).next("run it with sudo")
        })?;
        let mut roots = vec![server];
        roots.extend(workers_of_this_host().into_iter().filter(|worker| *worker != server));
        if census::jails_of(&roots).is_empty() {
            return Err(Failure::kiln(
                "no worker of that service runs on this host: there is nothing to look at from outside",
            ));
        }
        let place = Place { roots, directories: Vec::new(), whose: Whose::Theirs };
        Target::connect(context, address.clone(), put_out(&binary)?, place, None).await
    }

    async fn connect(
        context: &Context,
        address: Address,
        canaries: Canaries,
        place: Place,
        own: Option<OwnService>,
    ) -> Result<Target, Failure> {
        let client = Client::connect_within(&address, START).await?;
        let capabilities = client.capabilities().await?;
        let program = std::io::Cursor::new(kiln_attacks::PROGRAM);
        let stored = client.put_blob(program, "the hostile program").await?;
        Ok(Target {
            client,
            address,
            canaries,
            roots: place.roots,
            directories: place.directories,
            whose: place.whose,
            slots: capabilities.workers.iter().map(|worker| worker.slots as usize).sum::<usize>().max(1),
            maximum: capabilities.maximum_limits.unwrap_or_default(),
            program: stored.digest,
            allow_missing: context.settings.worker.engine.allow_missing.clone(),
            own,
        })
    }
}

/// Where a service is on this host.
struct Place {
    roots: Vec<u32>,
    directories: Vec<PathBuf>,
    whose: Whose,
}

/// The running executable, whatever its path has become since.
fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::caused("cannot find this program's own file", &error))
}

fn put_out(binary: &Path) -> Result<Canaries, Failure> {
    Canaries::new(binary).map_err(|error| Failure::caused("cannot put out the canaries", &error))
}

/// The kernel knows who listens at a unix socket.
async fn listener_of(socket: &Path) -> Result<u32, Failure> {
    let failed = |error: std::io::Error| {
        Failure::caused(&format!("cannot ask who listens at {}", socket.display()), &error)
    };
    let stream = tokio::net::UnixStream::connect(socket).await.map_err(failed)?;
    let pid = stream.peer_cred().map_err(failed)?.pid();
    pid.and_then(|pid| u32::try_from(pid).ok())
        .ok_or_else(|| Failure::kiln("the kernel does not say who listens there"))
}

/// Parents of jails.
fn workers_of_this_host() -> Vec<u32> {
    let all = census::family(1);
    let jails = all.iter().filter(|&&pid| is_jail(pid));
    let mut workers: Vec<u32> =
        jails.filter_map(|&jail| census::parent_of(jail)).filter(|&parent| !is_jail(parent)).collect();
    workers.sort_unstable();
    workers.dedup();
    workers
}

fn is_jail(pid: u32) -> bool {
    census::command_line(pid).split(' ').next() == Some(JAIL)
}
