//! `kiln attack`: Kiln's own attack, on this host, with the user's own configuration.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::attack::oracle::Oracle;
use crate::attack::programs::Programs;
use crate::attack::report::{self, Counts};
use crate::attack::target::Target;
use crate::attack::{Attack, Ended, Kind, Verdict, catalogue, own_case};
use crate::context::Context;
use crate::embedded::require_root;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Format, note, print, print_json};
use crate::signals::Signals;

const TICK: Duration = Duration::from_millis(100);
/// No hostile client takes longer, whatever the machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Everything that a service keeps ready is there after so many rounds of jobs in every slot.
const WARM_UPS: usize = 3;

const EXAMPLES: &str = "\
Examples:
  kiln attack                                    every attack, on a service of its own with your configuration
  kiln attack B8 C                               one row, one family
  kiln attack B8-unshare --json                  one attack, for programs
  kiln attack --list                             what there is, without making it
  kiln attack --case ./D1-mine.py                an attack of your own, in the format of Kiln's
  kiln attack --server unix:/run/kiln/kiln.sock  the service that runs on this host

Exits 0 when everything that could be tried was held, 1 when something got through, left something behind, or ended otherwise than it must.";

/// Attack this installation, and say what held
///
/// Runs hostile programs, clients and archives through the real service, each beside an honest job, and looks from outside whether the
/// host, the neighbours and the service are as before.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttackArgs {
    /// Rows (B8), families (C), names or their beginnings (B8-un); all when none is named
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// Say what there is, without making it
    #[arg(long)]
    list: bool,
    /// Also make the attack of this file; only this one when nothing else is named
    #[arg(long = "case", value_name = "FILE")]
    cases: Vec<PathBuf>,
    /// Go on after an attack that failed (the default)
    #[arg(long, overrides_with = "fail_fast")]
    keep_going: bool,
    /// End at the first attack that failed
    #[arg(long, overrides_with = "keep_going")]
    fail_fast: bool,
}

pub(crate) async fn run(args: AttackArgs, context: &Context) -> Result<u8, Failure> {
    let attacks = chosen(&args)?;
    if args.list {
        match context.format {
            Format::Json => print_json(&report::list_json(&attacks))?,
            Format::People => print(&report::list_text(&attacks))?,
        }
        return Ok(exit::SUCCESS);
    }
    if context.settings.client_server.is_none() {
        require_root("kiln attack without a server")?;
    }
    let mut signals = Signals::listen()?;
    let target = Target::start(context).await?;
    let progress = Progress::new(context.format, attacks.len());
    let ended = tokio::select! {
        ended = make(attacks, &target, &progress, args.fail_fast) => ended,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    progress.end();
    if ended.is_err() {
        signals.end_at_once_on_the_next();
    }
    let stopped = target.stop().await;
    let ended = ended?;
    stopped?;
    match context.format {
        Format::Json => print_json(&report::to_json(&ended))?,
        Format::People => print(&report::text(&ended))?,
    }
    Ok(if Counts::of(&ended).all_held() { exit::SUCCESS } else { exit::NEGATIVE })
}

fn chosen(args: &AttackArgs) -> Result<Vec<Attack>, Failure> {
    let own: Vec<Attack> = args.cases.iter().map(|path| own_case::read(path)).collect::<Result<_, _>>()?;
    if !own.is_empty() && args.what.is_empty() {
        return Ok(own);
    }
    let mut attacks = catalogue::chosen(catalogue::all(), &args.what)?;
    attacks.extend(own);
    Ok(attacks)
}

/// Makes one attack after the other: only so can it be told which left something.
async fn make(
    attacks: Vec<Attack>,
    target: &Target,
    progress: &Progress,
    fail_fast: bool,
) -> Result<Vec<Ended>, Failure> {
    let failed = |why| Failure::kiln(format!("the service does not work before any attack: {why}"));
    let mut programs = Programs::new(target).await.map_err(failed)?;
    warm_up(&programs, target.slots).await?;
    let mut oracle = Oracle::new(target);
    let mut ended = Vec::with_capacity(attacks.len());
    for attack in attacks {
        progress.begin(&attack.name);
        let began = Instant::now();
        let verdict = attack_once(&attack, target, &mut programs).await;
        let left = oracle.complaints().await;
        if !left.is_empty() {
            // A supervisor that ended is replaced by the next job in its slot: that is not the next attack's doing.
            warm_up(&programs, target.slots).await?;
            oracle.begin_anew();
        }
        let verdict = with(verdict, left);
        let one = Ended { attack, verdict, took: began.elapsed() };
        let stop = fail_fast && matches!(one.verdict, Verdict::Failed(_));
        progress.ended(&one);
        ended.push(one);
        if stop {
            break;
        }
    }
    Ok(ended)
}

async fn attack_once(attack: &Attack, target: &Target, programs: &mut Programs<'_>) -> Verdict {
    match &attack.kind {
        Kind::Program(case) => programs.run(case).await,
        Kind::Client(run) => {
            let attack = tokio::time::timeout(PATIENCE, run(target));
            let (held, beside) = tokio::join!(attack, programs.victim());
            let held = held.unwrap_or_else(|_| Err(format!("it got no answer within {PATIENCE:?}")));
            with(held.map_or_else(|why| Verdict::Failed(vec![why]), |()| Verdict::Held), beside)
        }
        Kind::Absent(absent) => Verdict::NotApplicable(report::absent_reason(absent)),
    }
}

/// The same, failed where there is something to complain of.
fn with(verdict: Verdict, complaints: Vec<String>) -> Verdict {
    match verdict {
        verdict if complaints.is_empty() => verdict,
        Verdict::Failed(mut reasons) => {
            reasons.extend(complaints);
            Verdict::Failed(reasons)
        }
        Verdict::Held | Verdict::NotApplicable(_) => Verdict::Failed(complaints),
    }
}

/// Fills every slot several times, so that what is kept ready is there before anything is counted.
async fn warm_up(programs: &Programs<'_>, slots: usize) -> Result<(), Failure> {
    for _ in 0..WARM_UPS {
        futures_util::future::join_all((0..slots).map(|_| programs.victim())).await;
    }
    match programs.victim().await.first() {
        None => Ok(()),
        Some(why) => Err(Failure::kiln(format!("the service does not work before any attack: {why}"))),
    }
}

/// A bar where a person watches; a line for each failure at once.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(format: Format, attacks: usize) -> Progress {
        let watched = format == Format::People && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(attacks as u64), ProgressDrawTarget::hidden());
        if watched {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {pos}/{len} {wide_msg}");
            bar.set_style(style.expect("the template is well formed"));
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        Progress { bar }
    }

    fn begin(&self, name: &str) {
        self.bar.set_message(name.to_owned());
    }

    fn ended(&self, ended: &Ended) {
        self.bar.inc(1);
        if let Some(text) = report::failure(ended) {
            self.bar.suspend(|| note(text.trim()));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_from_outside_makes_any_end_a_failure() {
        let complaints = || vec!["the canary file was changed".to_owned()];
        for verdict in [Verdict::Held, Verdict::NotApplicable("x".to_owned())] {
            assert_eq!(with(verdict.clone(), Vec::new()), verdict);
            assert_eq!(with(verdict, complaints()), Verdict::Failed(complaints()));
        }
        let both = with(Verdict::Failed(vec!["a".to_owned()]), complaints());
        assert_eq!(both, Verdict::Failed(vec!["a".to_owned(), complaints()[0].clone()]));
    }
}
