//! What is said of an attack: a table and a summary for people, one object for programs.

use serde_json::{Value, json};

use super::{Attack, Ended, Kind, Verdict};
use crate::present::tables::{Lean, table};

/// A table shows the beginning of what an attack tries.
const TRIES_CHARACTERS: usize = 64;

/// How many ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) held: usize,
    pub(crate) failed: usize,
    pub(crate) not_applicable: usize,
}

impl Counts {
    pub(crate) fn of(ended: &[Ended]) -> Counts {
        let mut counts = Counts::default();
        for one in ended {
            match one.verdict {
                Verdict::Held => counts.held += 1,
                Verdict::Failed(_) => counts.failed += 1,
                Verdict::NotApplicable(_) => counts.not_applicable += 1,
            }
        }
        counts
    }

    /// Everything that could be tried was held, and something could.
    pub(crate) fn all_held(self) -> bool {
        self.failed == 0 && self.held > 0
    }
}

/// One line per attack, then each reason, then the summary.
pub(crate) fn text(ended: &[Ended]) -> String {
    let rows = ended.iter().map(|one| {
        vec![
            one.attack.name.clone(),
            one.attack.row.to_string(),
            shortened(&one.attack.about.tries),
            word(&one.verdict),
        ]
    });
    let mut text = table(&["case", "row", "tries", "result"], &[Lean::Left; 4], rows);
    for one in ended {
        text.push_str(&failure(one).unwrap_or_default());
    }
    let counts = Counts::of(ended);
    let verdict = match (counts.failed, counts.held) {
        (0, 0) => "Nothing could be tried.",
        (0, _) => "Everything that could be tried was held.",
        _ => "This installation does not hold: run nothing untrusted on it until the reasons above are gone.",
    };
    text.push_str(&format!(
        "\n{} held, {} FAILED, {} not applicable. {verdict}\n",
        counts.held, counts.failed, counts.not_applicable
    ));
    text
}

/// What failed, with what it tries, where that was seen and what must happen.
pub(crate) fn failure(one: &Ended) -> Option<String> {
    let Verdict::Failed(reasons) = &one.verdict else { return None };
    let Attack { name, about, .. } = &one.attack;
    let mut text = format!(
        "\n{name} FAILED\n  tries: {}\n  seen:  {}\n  must:  {}\n",
        about.tries, about.seen, about.must
    );
    for reason in reasons {
        text.push_str(&format!("  but:   {reason}\n"));
    }
    Some(text)
}

/// Everything that was found, for programs.
pub(crate) fn to_json(ended: &[Ended]) -> Value {
    let counts = Counts::of(ended);
    let cases: Vec<Value> = ended.iter().map(one_to_json).collect();
    json!({
        "all_held": counts.all_held(),
        "held": counts.held,
        "failed": counts.failed,
        "not_applicable": counts.not_applicable,
        "cases": cases,
    })
}

fn one_to_json(one: &Ended) -> Value {
    let (verdict, reasons) = match &one.verdict {
        Verdict::Held => ("held", Vec::new()),
        Verdict::Failed(reasons) => ("failed", reasons.clone()),
        Verdict::NotApplicable(reason) => ("not_applicable", vec![reason.clone()]),
    };
    let mut value = about_to_json(&one.attack);
    value["verdict"] = verdict.into();
    value["reasons"] = reasons.into();
    value["took_ms"] = u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX).into();
    value
}

/// The attacks there are, without making them.
pub(crate) fn list_text(attacks: &[Attack]) -> String {
    let rows = attacks.iter().map(|attack| {
        vec![
            attack.name.clone(),
            attack.row.to_string(),
            by(attack).to_owned(),
            shortened(&attack.about.tries),
        ]
    });
    let mut text = table(&["case", "row", "by", "tries"], &[Lean::Left; 4], rows);
    text.push_str(&format!("\n{} attacks.\n", attacks.len()));
    for attack in attacks {
        if let Kind::Absent(absent) = &attack.kind {
            text.push_str(&format!("{}: {}\n", attack.name, absent_reason(absent)));
        }
    }
    text
}

pub(crate) fn list_json(attacks: &[Attack]) -> Value {
    json!({"cases": attacks.iter().map(about_to_json).collect::<Vec<_>>()})
}

/// Why nothing of a feature can be attacked.
pub(crate) fn absent_reason(absent: &kiln_attacks::Absent) -> String {
    format!("no {} yet: {}", absent.feature, absent.today)
}

fn about_to_json(attack: &Attack) -> Value {
    json!({
        "name": attack.name,
        "row": attack.row.to_string(),
        "by": by(attack),
        "tries": attack.about.tries,
        "seen": attack.about.seen,
        "must": attack.about.must,
    })
}

fn by(attack: &Attack) -> &'static str {
    match attack.kind {
        Kind::Program(_) => "program",
        Kind::Client(_) => "client",
        Kind::Absent(_) => "nobody",
    }
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held => "held".to_owned(),
        Verdict::Failed(_) => "FAILED".to_owned(),
        Verdict::NotApplicable(reason) => format!("not applicable: {reason}"),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= TRIES_CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(TRIES_CHARACTERS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kiln_attacks::About;

    use super::*;

    fn ended(name: &str, verdict: Verdict) -> Ended {
        let about = About {
            tries: "a thing that is hostile, told in so many words that no table of any width could show all"
                .to_owned(),
            seen: "somewhere".to_owned(),
            must: "be refused".to_owned(),
        };
        let case = &kiln_attacks::all()[0];
        let attack = Attack {
            name: name.to_owned(),
            row: "B8".parse().expect("a row"),
            about,
            kind: Kind::Program(case),
        };
        Ended { attack, verdict, took: Duration::from_millis(12) }
    }

    fn three() -> Vec<Ended> {
        vec![
            ended("B8-held", Verdict::Held),
            ended(
                "B8-through",
                Verdict::Failed(vec!["it says ESCAPED: \\u{1b}".to_owned(), "processes: 1, 2".to_owned()]),
            ),
            ended("B8-not", Verdict::NotApplicable("the image has no gcc".to_owned())),
        ]
    }

    #[test]
    fn the_table_tells_each_end_and_the_reasons_of_those_that_failed() {
        insta::assert_snapshot!(text(&three()));
    }

    #[test]
    fn the_json_has_the_promised_shape() {
        insta::assert_json_snapshot!(to_json(&three()));
    }

    #[test]
    fn only_held_and_nothing_failed_is_good() {
        assert!(!Counts::of(&three()).all_held());
        assert!(Counts::of(&three()[..1]).all_held());
        assert!(!Counts::of(&three()[2..]).all_held(), "nothing was tried");
        assert!(text(&three()[..1]).contains("was held"));
    }
}
