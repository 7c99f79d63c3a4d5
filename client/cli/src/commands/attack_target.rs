//! `kiln attack-target`: the service that `kiln attack` attacks, in a process of its own. Not for people.

use clap::Args;
use kiln_server::config::Config as ServerConfig;

use crate::attack::target::LEAST_SLOTS;
use crate::context::Context;
use crate::embedded::Embedded;
use crate::exit;
use crate::failure::Failure;
use crate::output::print_json;
use crate::own_service::{Ready, until_left_alone};
use crate::signals::Signals;

/// Small enough that an attack can fill it.
const QUEUE_JOBS: u32 = 200;

const EXAMPLES: &str = "\
Example:
  kiln attack                                    starts it, attacks it, and ends it";

/// Be the service under attack: says where it listens, and ends when its stdin does
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttackTargetArgs {}

pub(crate) async fn run(context: &Context) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let slots = context.settings.worker.engine.slots.get().max(LEAST_SLOTS);
    let small = |config| ServerConfig { queue_max_jobs: QUEUE_JOBS, ..config };
    let embedded = Embedded::start_with(&context.settings, slots, None, small).await?;
    let ready = Ready { socket: embedded.socket(), directory: embedded.directory().to_owned() };
    if let Err(failure) = print_json(&ready) {
        embedded.stop().await;
        return Err(failure);
    }
    until_left_alone(&mut signals).await;
    embedded.stop().await;
    Ok(exit::SUCCESS)
}
