//! Cores, threads, clock speed and the clock itself: what makes the same program take the same time twice.
//!
//! Nothing here keeps sandboxes from being made; a machine that judges by time wants all of it.

use super::Status::{Advice, Degraded, Ok as Fine};
use super::{Finding, look, read};

const CPU: &str = "/sys/devices/system/cpu";
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0";
/// Read without entering the kernel; others make each look at the clock a call, or worse, an exit to the hypervisor.
const QUICK_CLOCKS: [&str; 5] =
    ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen"];

pub(super) fn findings() -> Vec<Finding> {
    let at = |file: &str| read(&format!("{CPU}/{file}"));
    vec![
        cores(std::thread::available_parallelism().map_or(0, std::num::NonZero::get)),
        threads(at("smt/active").as_deref(), at("smt/control").as_deref()),
        governor(at("cpu0/cpufreq/scaling_governor").as_deref()),
        turbo(at("intel_pstate/no_turbo").as_deref(), at("cpufreq/boost").as_deref()),
        clock(
            read(&format!("{CLOCK}/current_clocksource")).as_deref(),
            read(&format!("{CLOCK}/available_clocksource")).as_deref(),
        ),
    ]
}

fn cores(count: usize) -> Finding {
    look("processor", "CPUs", "slots are measured evenly when each has a CPU of its own").is(
        if count > 0 { Fine } else { Degraded },
        if count > 0 { count.to_string() } else { "unknown".to_owned() },
        "mount /proc and /sys, and allow the worker at least one CPU",
    )
}

fn threads(active: Option<&str>, control: Option<&str>) -> Finding {
    let looked = look(
        "processor",
        "SMT",
        "two slots on the two threads of one core slow each other down and share its caches",
    );
    match (active, control) {
        (Some("1"), _) => {
            looked.is(Advice, "on", "echo off > /sys/devices/system/cpu/smt/control, or boot with nosmt")
        }
        (Some(_), Some("notsupported" | "notimplemented")) => looked.is(Fine, "this processor has none", ""),
        (Some(_), _) => looked.is(Fine, "off", ""),
        (None, _) => looked.is(Fine, "this kernel does not tell", ""),
    }
}

fn governor(name: Option<&str>) -> Finding {
    let looked =
        look("processor", "frequency governor", "a clock that follows the load makes CPU time depend on it");
    match name {
        Some("performance") => looked.is(Fine, "performance", ""),
        Some(name) => looked.is(Advice, name, "cpupower frequency-set --governor performance"),
        None => looked.is(Fine, "none here: the hypervisor or the firmware decides", ""),
    }
}

fn turbo(intel_off: Option<&str>, boost: Option<&str>) -> Finding {
    let looked = look(
        "processor",
        "turbo",
        "a clock that depends on heat and on busy neighbours makes CPU time depend on them",
    );
    match (intel_off, boost) {
        (Some("0"), _) => looked.is(Advice, "on", "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"),
        (None, Some("1")) => looked.is(Advice, "on", "echo 0 > /sys/devices/system/cpu/cpufreq/boost"),
        (None, None) => looked.is(Fine, "none here: the hypervisor or the firmware decides", ""),
        _ => looked.is(Fine, "off", ""),
    }
}

fn clock(current: Option<&str>, available: Option<&str>) -> Finding {
    let looked = look("processor", "time source", "programs that look at the clock often wait for it");
    match current {
        Some(name) if QUICK_CLOCKS.contains(&name) => looked.is(Fine, name, ""),
        Some(name) => {
            let better =
                available.unwrap_or_default().split_whitespace().find(|name| QUICK_CLOCKS.contains(name));
            let fix = match better {
                Some(better) => format!("echo {better} > {CLOCK}/current_clocksource"),
                None => {
                    "boot with clocksource=tsc tsc=reliable where the machine's time-stamp counters agree"
                        .to_owned()
                }
            };
            looked.is(Advice, format!("{name}, which is slow to read"), &fix)
        }
        None => looked.is(Fine, "this kernel does not tell", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn seen(finding: Finding) -> (Status, String) {
        (finding.status, finding.seen)
    }

    #[test]
    fn threads_of_a_core_are_told_apart_from_none() {
        for (active, control, status) in [
            (Some("1"), Some("on"), Advice),
            (Some("0"), Some("off"), Fine),
            (Some("0"), Some("forceoff"), Fine),
            (Some("0"), Some("notsupported"), Fine),
            (None, None, Fine),
        ] {
            assert_eq!(threads(active, control).status, status, "{active:?} {control:?}");
        }
    }

    #[test]
    fn a_clock_speed_that_moves_is_told_with_what_fixes_it() {
        assert_eq!(seen(governor(Some("performance"))), (Fine, "performance".to_owned()));
        assert_eq!(seen(governor(Some("schedutil"))), (Advice, "schedutil".to_owned()));
        assert_eq!(governor(None).status, Fine, "a virtual machine");
        // intel_pstate tells the opposite of cpufreq's own switch.
        for (intel, boost, status) in [
            (Some("0"), None, Advice),
            (Some("1"), None, Fine),
            (Some("1"), Some("1"), Fine),
            (None, Some("1"), Advice),
            (None, Some("0"), Fine),
            (None, None, Fine),
        ] {
            assert_eq!(turbo(intel, boost).status, status, "{intel:?} {boost:?}");
        }
    }

    #[test]
    fn slow_clocks_are_advised_against_with_the_better_one_of_this_machine() {
        assert_eq!(clock(Some("tsc"), Some("tsc hpet acpi_pm")).status, Fine);
        let slow = clock(Some("acpi_pm"), Some("tsc hpet acpi_pm"));
        assert!(slow.status == Advice && slow.fix.starts_with("echo tsc >"), "{slow:?}");
        assert!(clock(Some("hpet"), Some("hpet acpi_pm")).fix.contains("clocksource=tsc"));
        assert_eq!(clock(None, None).status, Fine);
    }
}
