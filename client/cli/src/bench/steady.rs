//! What is measured in turns: a bare spawn, Kiln's ways from the engine to the durable job, and the rivals of this host.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kiln_client::Client;
use kiln_proto::model::Step;
use kiln_worker::library::Runner;

use super::bed::Bed;
use super::burnt::Burners;
use super::limits::cores;
use super::numbers::{Row, relate};
use super::phases::{Phase, phases_of};
use super::rivals::Rival;
use super::rounds::{self, Case, Subject, Taken, Way};
use super::row::{self, InARow};
use super::{Extent, ways};
use crate::context::Context;
use crate::explain::check;
use crate::failure::Failure;
use crate::output::note;
use crate::signals::Signals;

pub(crate) const SPAWN: &str = "bare spawn";
pub(crate) const LIBRARY: &str = "kiln, worker library";
pub(crate) const FROM_NOTHING: &str = "kiln, from nothing";
pub(crate) const GRPC: &str = "kiln, Run over gRPC";
pub(crate) const OWN_NETWORK: &str = "kiln, Run, own network";
pub(crate) const DURABLE: &str = "kiln, Submit to Watch";
pub(crate) const DESTROYING: &str = "kiln, destroying";
pub(crate) const CALL: &str = "an empty call";
pub(crate) const COMMIT: &str = "a SQLite commit";
/// Run no program.
const PARTS: [&str; 3] = [DESTROYING, CALL, COMMIT];

/// Real traffic comes with gaps, and some kernel paths are slow only after one.
pub(crate) const IDLE: Duration = Duration::from_millis(100);
/// Longer than a jail takes to have everything ready, so that whoever comes then finds it.
pub(crate) const SETTLED: Duration = Duration::from_millis(20);
pub(crate) const CLIENTS: [usize; 6] = [1, 2, 4, 8, 16, 64];
/// Rivals are measured alone and with this many.
pub(crate) const CROWD: usize = 8;
const MOST_CLIENTS: usize = CLIENTS[CLIENTS.len() - 1];

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steady {
    pub(crate) rows: Vec<Row>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) in_a_row: Option<InARow>,
}

/// Measures everything, in a task: its wakeups are those of a program that does nothing but call.
pub(crate) async fn measure(context: &Context, extent: Extent) -> Result<Steady, Failure> {
    let context = context.clone();
    let task = tokio::spawn(async move {
        let mut signals = Signals::listen()?;
        let bed = Bed::make(&context).await?;
        let measured = tokio::select! {
            measured = on(&bed, &context, extent) => measured,
            status = signals.next_exit() => Err(Failure::interrupted(status)),
        };
        if measured.is_err() {
            signals.end_at_once_on_the_next();
        }
        let stopped = bed.stop().await;
        let measured = measured?;
        stopped.map(|()| measured)
    });
    task.await.map_err(|error| Failure::caused("the measuring task stopped", &error))?
}

async fn on(bed: &Bed, context: &Context, extent: Extent) -> Result<Steady, Failure> {
    let spec = check(ways::spec(), context)?;
    let step = spec.steps.first().ok_or_else(|| Failure::kiln("the job of every case has no step"))?;
    let clients = bed.connect(MOST_CLIENTS).await?;
    let mut subjects = own_subjects(bed, step, &clients)?;
    subjects.extend(rival_subjects().await?);
    let taken = rounds::measure(&subjects, extent.bounds).await?;
    let mut steady = found(&subjects, &taken);
    if extent.jobs_in_a_row > 0 {
        steady.in_a_row = Some(row::measure(&clients[0], extent.jobs_in_a_row).await?);
    }
    Ok(steady)
}

fn found(subjects: &[Subject<'_>], taken: &[Taken]) -> Steady {
    let pairs = || subjects.iter().map(|subject| &subject.case).zip(taken);
    let mut rows: Vec<Row> = pairs().map(|(case, taken)| Row::new(case, taken)).collect();
    // Measured is beside each other what is compared; shown, what belongs together.
    let place = |name: &str| subjects.iter().position(|subject| subject.case.name == name);
    rows.sort_by_key(|row| (place(&row.name), row.idle_ms, row.clients));
    relate(&mut rows, SPAWN, |row| !PARTS.contains(&row.name.as_str()));
    let told = |case: &Case| match case.name {
        GRPC => [1, CROWD].contains(&case.clients),
        name => name == DESTROYING,
    };
    let told = pairs().filter(|(case, _)| told(case));
    let mut phases: Vec<Phase> = told.flat_map(|(case, taken)| phases_of(case, taken)).collect();
    phases.sort_by_key(|phase| (place(&phase.case), phase.idle_ms, phase.clients));
    Steady { phases, rows, in_a_row: None }
}

fn own_subjects<'a>(
    bed: &'a Bed,
    step: &'a Step,
    clients: &'a [Client],
) -> Result<Vec<Subject<'a>>, Failure> {
    let (ready, from_nothing) = (&bed.engines.ready.runner, &bed.engines.from_nothing.runner);
    let mut subjects = Vec::new();
    let mut add = |name, clients, idle, way, burners| {
        subjects.push(Subject { case: Case { name, clients, idle }, way, burners });
    };
    let service = Burners::Service(bed.service.pid);
    for idle in [Duration::ZERO, SETTLED, IDLE] {
        add(SPAWN, 1, idle, Way::Blocking(Arc::new(ways::spawn)), Burners::Spawned);
        add(LIBRARY, 1, idle, library(ready, step), Burners::Engine);
    }
    add(SPAWN, spawners(), Duration::ZERO, Way::Blocking(Arc::new(ways::spawn)), Burners::Spawned);
    add(FROM_NOTHING, 1, Duration::ZERO, library(from_nothing, step), Burners::Engine);
    add(GRPC, 1, IDLE, over_grpc(clients, ways::Call::Run), service);
    for crowd in CLIENTS {
        add(GRPC, crowd, Duration::ZERO, over_grpc(clients, ways::Call::Run), service);
    }
    add(OWN_NETWORK, CROWD, Duration::ZERO, over_grpc(clients, ways::Call::RunInOwnNetwork), service);
    add(DURABLE, 1, Duration::ZERO, over_grpc(clients, ways::Call::Durable), service);
    add(CALL, 1, Duration::ZERO, over_grpc(clients, ways::Call::Empty), Burners::Unknown);
    add(COMMIT, 1, Duration::ZERO, commits(bed)?, Burners::Unknown);
    add(DESTROYING, 1, Duration::ZERO, destroying(ready, step), Burners::Unknown);
    Ok(subjects)
}

/// As many bare spawns at the same time as cores: what the machine can do.
pub(crate) fn spawners() -> usize {
    cores().max(2)
}

fn library<'a>(runner: &'a Runner, step: &'a Step) -> Way<'a> {
    Way::Waiting(Box::new(move |_| Box::pin(ways::library(runner, step))))
}

fn destroying<'a>(runner: &'a Runner, step: &'a Step) -> Way<'a> {
    Way::Waiting(Box::new(move |_| Box::pin(ways::destroying(runner, step))))
}

fn over_grpc(clients: &[Client], call: ways::Call) -> Way<'_> {
    Way::Waiting(Box::new(move |client| Box::pin(call.once(&clients[client]))))
}

/// What is written is as long as a job of the other cases.
fn commits<'a>(bed: &Bed) -> Result<Way<'a>, Failure> {
    let database = Mutex::new(bed.open_database()?);
    let row = vec![0; prost::Message::encoded_len(&ways::spec())];
    Ok(Way::Blocking(Arc::new(move || {
        let database = database.lock().map_err(|_| Failure::kiln("a measuring thread stopped"))?;
        ways::commit(&database, &row)
    })))
}

/// Those that are installed but do not work here are named and left out.
async fn rival_subjects<'a>() -> Result<Vec<Subject<'a>>, Failure> {
    let mut subjects = Vec::new();
    for rival in Rival::installed()? {
        let name = rival.name;
        let call = Arc::new(move || ways::rival(rival.name, &rival.words()));
        let trial = Arc::clone(&call);
        let tried = tokio::task::spawn_blocking(move || trial()).await;
        let tried = tried.map_err(|error| Failure::caused("a measuring thread stopped", &error))?;
        if let Err(failure) = tried {
            note(&format!("left out: {}", failure.message));
            continue;
        }
        for (clients, idle) in [(1, Duration::ZERO), (1, IDLE), (CROWD, Duration::ZERO)] {
            let case = Case { name, clients, idle };
            let way = Way::Blocking(call.clone());
            subjects.push(Subject { case, way, burners: Burners::Spawned });
        }
    }
    Ok(subjects)
}
