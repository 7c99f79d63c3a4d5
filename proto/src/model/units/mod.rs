//! Amounts with their units: times, bytes, counts and CPU rates.
//!
//! No value is ever zero, negative or so large that arithmetic on it could overflow. `Display` is for people (`64.0 MiB`), `FromStr` and
//! serde take what people write (`64M`, `1.5s`), and [`exact`](ByteSize::exact) is the lossless text that `FromStr` reads back.

mod text;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, Unexpected, Visitor};
use serde::{Serialize, Serializer};

pub use text::{human_bytes, human_micros};

/// The longest time that can be said: a year.
pub(super) const MAX_MILLIS: u64 = 366 * 24 * 60 * 60 * 1_000;
/// The most bytes that can be said: 1 EiB, which every kernel interface can hold.
pub(super) const MAX_BYTES: u64 = 1 << 60;
/// The largest count that can be said.
pub(super) const MAX_COUNT: u64 = 1 << 40;
/// The highest CPU rate that can be said: 100,000 CPUs.
pub(super) const MAX_CPU_MILLIS: u64 = 100_000_000;

/// Why a text or number is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Zero is never a limit.
    #[error("is zero; the least is {least}")]
    Zero { least: &'static str },
    /// Beyond what can be represented.
    #[error("is too large; the most is {most}")]
    TooLarge { most: String },
    /// A number without a unit could mean several things.
    #[error("has no unit; write one of {units}, e.g. {example}")]
    NoUnit { units: &'static str, example: &'static str },
    /// Not a unit of this kind of amount.
    #[error("has the unknown unit {unit}; write one of {units}, e.g. {example}")]
    UnknownUnit { unit: String, units: &'static str, example: &'static str },
    /// No number at all, or a negative one.
    #[error("{text} is not a positive number; write e.g. {example}")]
    NotANumber { text: String, example: &'static str },
}

/// CPU time: whole milliseconds, kept in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuTime(Time);

/// Wall time: whole milliseconds, kept in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(Time);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(NonZeroU64);

/// A number of things: processes, inodes, descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(NonZeroU64);

/// A share of CPUs in thousandths: 1000 is one whole CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuRate(NonZeroU32);

/// Microseconds, a positive multiple of 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Time(NonZeroU64);

impl Time {
    const fn from_millis(millis: u64) -> Result<Self, TimeRange> {
        match NonZeroU64::new(millis) {
            None => Err(TimeRange::Zero),
            Some(_) if millis > MAX_MILLIS => Err(TimeRange::TooLarge),
            Some(millis) => match millis.checked_mul(NonZeroU64::new(1_000).expect("1,000 is not zero")) {
                Some(micros) => Ok(Time(micros)),
                None => Err(TimeRange::TooLarge),
            },
        }
    }

    fn exact(self) -> String {
        text::exact(self.0.get() / 1_000, text::TIME_UNITS)
    }
}

enum TimeRange {
    Zero,
    TooLarge,
}

impl From<TimeRange> for UnitError {
    fn from(range: TimeRange) -> Self {
        match range {
            TimeRange::Zero => UnitError::Zero { least: "1 ms" },
            TimeRange::TooLarge => UnitError::TooLarge { most: "366 days".to_owned() },
        }
    }
}

/// What both kinds of time offer.
macro_rules! time_type {
    ($name:ident) => {
        impl $name {
            /// From milliseconds; at least 1, at most a year.
            pub fn from_millis(millis: u64) -> Result<Self, UnitError> {
                Ok($name(Time::from_millis(millis)?))
            }

            /// Whole milliseconds.
            pub const fn millis(self) -> u64 {
                self.0.0.get() / 1_000
            }

            /// Microseconds.
            pub const fn micros(self) -> NonZeroU64 {
                self.0.0
            }

            /// The same, for timers.
            pub const fn duration(self) -> Duration {
                Duration::from_micros(self.0.0.get())
            }

            /// Lossless text that `FromStr` reads back, e.g. `1500ms`.
            pub fn exact(self) -> String {
                self.0.exact()
            }

            pub(crate) const fn literal(millis: u64) -> Self {
                match Time::from_millis(millis) {
                    Ok(time) => $name(time),
                    Err(_) => panic!("a literal out of range"),
                }
            }
        }

        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                $name::from_millis(text::parse(text, &text::TIME)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&human_micros(self.0.0.get()))
            }
        }
    };
}

time_type!(CpuTime);
time_type!(WallTime);

impl ByteSize {
    /// From bytes; at least 1, at most 1 EiB.
    pub fn new(bytes: u64) -> Result<Self, UnitError> {
        let bytes = NonZeroU64::new(bytes).ok_or(UnitError::Zero { least: "1 byte" })?;
        if bytes.get() > MAX_BYTES {
            return Err(UnitError::TooLarge { most: human_bytes(MAX_BYTES) });
        }
        Ok(ByteSize(bytes))
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }

    /// Bytes, for those who must not see zero.
    pub const fn non_zero(self) -> NonZeroU64 {
        self.0
    }

    /// Lossless text that `FromStr` reads back, e.g. `64MiB`.
    pub fn exact(self) -> String {
        text::exact(self.0.get(), text::BYTE_UNITS)
    }

    pub(crate) const fn literal(bytes: u64) -> Self {
        match NonZeroU64::new(bytes) {
            Some(bytes) => ByteSize(bytes),
            None => panic!("a literal of zero"),
        }
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        ByteSize::new(text::parse(text, &text::BYTES)?)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human_bytes(self.0.get()))
    }
}

impl Count {
    /// At least 1, at most 2^40.
    pub fn new(count: u64) -> Result<Self, UnitError> {
        let count = NonZeroU64::new(count).ok_or(UnitError::Zero { least: "1" })?;
        if count.get() > MAX_COUNT {
            return Err(UnitError::TooLarge { most: MAX_COUNT.to_string() });
        }
        Ok(Count(count))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The number, for those who must not see zero.
    pub const fn non_zero(self) -> NonZeroU64 {
        self.0
    }

    /// Lossless text that `FromStr` reads back.
    pub fn exact(self) -> String {
        self.0.to_string()
    }

    pub(crate) const fn literal(count: u64) -> Self {
        match NonZeroU64::new(count) {
            Some(count) => Count(count),
            None => panic!("a literal of zero"),
        }
    }
}

impl FromStr for Count {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Count::new(text::parse(text, &text::COUNT)?)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl CpuRate {
    /// From thousandths of a CPU; at least 1.
    pub fn from_millis(millis: u64) -> Result<Self, UnitError> {
        let too_large = || UnitError::TooLarge { most: "100000 CPUs".to_owned() };
        if millis > MAX_CPU_MILLIS {
            return Err(too_large());
        }
        let millis = u32::try_from(millis).map_err(|_| too_large())?;
        NonZeroU32::new(millis).map(CpuRate).ok_or(UnitError::Zero { least: "0.001 CPUs" })
    }

    /// Thousandths of a CPU.
    pub const fn millis(self) -> NonZeroU32 {
        self.0
    }

    /// Lossless text that `FromStr` reads back, e.g. `1500m`.
    pub fn exact(self) -> String {
        text::exact(u64::from(self.0.get()), text::CPU_RATE_UNITS)
    }

    pub(crate) const fn literal(millis: u32) -> Self {
        match NonZeroU32::new(millis) {
            Some(millis) => CpuRate(millis),
            None => panic!("a literal of zero"),
        }
    }
}

impl FromStr for CpuRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        CpuRate::from_millis(text::parse(text, &text::CPU_RATE)?)
    }
}

impl fmt::Display for CpuRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.get();
        let fraction = format!("{:03}", millis % 1_000);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        let unit = if millis == 1_000 { "CPU" } else { "CPUs" };
        write!(f, "{}{point}{fraction} {unit}", millis / 1_000)
    }
}

/// Serde as text with a unit; a bare integer goes the same way, so it is refused where it would be unclear.
macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.exact())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = deserializer.deserialize_any(AmountVisitor)?;
                text.parse().map_err(|error| D::Error::custom(format_args!("{text}: {error}")))
            }
        }
    )*};
}

serde_as_text!(CpuTime, WallTime, ByteSize, CpuRate, Count);

/// Takes an amount as text or as a number, and gives it as text.
struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount, e.g. \"10s\", \"64MiB\" or 128")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<String, E> {
        if number < 0 {
            return Err(E::invalid_value(Unexpected::Signed(number), &self));
        }
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let times: &[(&str, u64)] = &[
            ("1s", 1_000),
            ("1.5s", 1_500),
            ("200ms", 200),
            ("1.9ms", 1),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            (" 3 s ", 3_000),
        ];
        for (text, millis) in times {
            assert_eq!(text.parse::<CpuTime>().map(CpuTime::millis), Ok(*millis), "{text}");
        }
        let sizes: &[(&str, u64)] = &[
            ("1B", 1),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("64m", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5K", 1_536),
            ("1.1G", 1_181_116_006),
            ("2T", 2 << 40),
        ];
        for (text, bytes) in sizes {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::bytes), Ok(*bytes), "{text}");
        }
        let rates: &[(&str, u32)] = &[("1cpu", 1_000), ("0.5cpus", 500), ("150%", 1_500), ("250m", 250)];
        for (text, millis) in rates {
            assert_eq!(text.parse::<CpuRate>().map(|rate| rate.millis().get()), Ok(*millis), "{text}");
        }
        assert_eq!("16".parse::<Count>().map(Count::get), Ok(16));
    }

    #[test]
    fn what_is_unclear_or_nonsense_is_refused_with_what_is_allowed() {
        let times = [
            "",
            "1",
            "s",
            "-1s",
            "0s",
            "0.1ms",
            "1x",
            "1.s",
            ".5s",
            "1.2.3s",
            "1e3s",
            "99999999999999999999s",
            "400000000s",
            "NaNs",
            "1\0s",
        ];
        for text in times {
            let error = text.parse::<WallTime>().expect_err(text).to_string();
            assert!(
                error.contains("e.g.") || error.contains("the least") || error.contains("the most"),
                "{text}: {error}"
            );
        }
        for text in [
            "",
            "64",
            "64MB",
            "64kb",
            "-1M",
            "0M",
            "0.0001B",
            "18446744073709551616B",
            "16777216T",
            "M",
            "64 Mi B",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "1k", "18446744073709551615", "1_0_"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
        for text in ["1", "0%", "0.0001cpu", "101000cpu"] {
            assert!(text.parse::<CpuRate>().is_err(), "{text}");
        }
        let no_unit = "10".parse::<CpuTime>().expect_err("10 what?");
        assert_eq!(no_unit.to_string(), "has no unit; write one of ms, s, min, h, e.g. 1.5s");
    }

    #[test]
    fn people_read_two_or_one_decimals() {
        assert_eq!(CpuTime::literal(1_000).to_string(), "1.00 s");
        assert_eq!(ByteSize::literal(64 << 20).to_string(), "64.0 MiB");
        assert_eq!(CpuRate::literal(1_500).to_string(), "1.5 CPUs");
        assert_eq!(CpuRate::literal(1).to_string(), "0.001 CPUs");
        assert_eq!(CpuRate::literal(1_000).to_string(), "1 CPU");
        assert_eq!(Count::literal(16).to_string(), "16");
    }

    #[test]
    fn serde_takes_text_and_refuses_bare_numbers_where_unclear() {
        #[derive(Debug, serde::Deserialize)]
        struct Table {
            cpu: Option<CpuTime>,
            pids: Option<Count>,
        }
        let table: Table = toml::from_str("cpu = \"10s\"\npids = 16").expect("both are clear");
        assert_eq!(table.cpu, Some(CpuTime::literal(10_000)));
        assert_eq!(table.pids, Some(Count::literal(16)));
        let error = toml::from_str::<Table>("cpu = 10").expect_err("10 what?").to_string();
        assert!(error.contains("has no unit"), "{error}");
        assert!(toml::from_str::<Table>("pids = -1").is_err());
        assert!(toml::from_str::<Table>("pids = true").is_err());
    }

    proptest! {
        #[test]
        fn exact_text_is_read_back(millis in 1..=MAX_MILLIS, bytes in 1..=MAX_BYTES, count in 1..=MAX_COUNT, rate in 1..=MAX_CPU_MILLIS) {
            let time = WallTime::from_millis(millis)?;
            prop_assert_eq!(time.exact().parse::<WallTime>(), Ok(time));
            let size = ByteSize::new(bytes)?;
            prop_assert_eq!(size.exact().parse::<ByteSize>(), Ok(size));
            let count = Count::new(count)?;
            prop_assert_eq!(count.exact().parse::<Count>(), Ok(count));
            let rate = CpuRate::from_millis(rate)?;
            prop_assert_eq!(rate.exact().parse::<CpuRate>(), Ok(rate));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}", number in "[0-9.]{0,40} ?[a-zA-Z%]{0,4}") {
            for text in [text, number] {
                let _ = text.parse::<CpuTime>();
                let _ = text.parse::<ByteSize>();
                let _ = text.parse::<Count>();
                let _ = text.parse::<CpuRate>();
            }
        }
    }
}
