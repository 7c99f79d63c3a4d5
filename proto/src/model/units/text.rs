//! Amounts as text: reading what people write, printing what people read. Integer arithmetic only.

use super::UnitError;

/// How one kind of amount is written.
pub(super) struct Notation {
    /// Lower-case spellings, with what they multiply by. The empty spelling is a bare number.
    spellings: &'static [(&'static str, u64)],
    /// Of the spellings, those to tell people about.
    units: &'static str,
    example: &'static str,
    /// Whether `1.5` makes sense.
    fractions: Fractions,
}

#[derive(PartialEq, Eq)]
enum Fractions {
    Allowed,
    Refused,
}

pub(super) const TIME: Notation = Notation {
    spellings: &[("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000)],
    units: "ms, s, min, h",
    example: "1.5s",
    fractions: Fractions::Allowed,
};

/// `MB` is missing on purpose: some mean 10^6 by it and some 2^20.
pub(super) const BYTES: Notation = Notation {
    spellings: &[
        ("b", 1),
        ("k", 1 << 10),
        ("kib", 1 << 10),
        ("m", 1 << 20),
        ("mib", 1 << 20),
        ("g", 1 << 30),
        ("gib", 1 << 30),
        ("t", 1 << 40),
        ("tib", 1 << 40),
    ],
    units: "B, KiB, MiB, GiB, TiB (or K, M, G, T)",
    example: "64MiB",
    fractions: Fractions::Allowed,
};

pub(super) const COUNT: Notation =
    Notation { spellings: &[("", 1)], units: "none", example: "16", fractions: Fractions::Refused };

/// In thousandths of a CPU.
pub(super) const CPU_RATE: Notation = Notation {
    spellings: &[("m", 1), ("%", 10), ("cpu", 1_000), ("cpus", 1_000)],
    units: "cpu, %, m (thousandths of a CPU)",
    example: "1.5cpu",
    fractions: Fractions::Allowed,
};

/// Units of [`exact`], largest first.
pub(super) const TIME_UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
pub(super) const BYTE_UNITS: &[(&str, u64)] =
    &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
pub(super) const CPU_RATE_UNITS: &[(&str, u64)] = &[("cpu", 1_000), ("m", 1)];

/// Reads `1.5s`. Rounds down to the base unit.
pub(super) fn parse(text: &str, notation: &Notation) -> Result<u64, UnitError> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let not_a_number = || UnitError::NotANumber {
        text: crate::model::violation::quoted(text.as_bytes()),
        example: notation.example,
    };
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole)
        || fraction.is_some_and(|part| !digits(part) || notation.fractions == Fractions::Refused)
    {
        return Err(not_a_number());
    }
    let multiplier = multiplier(unit.trim(), notation)?;
    scaled(whole, fraction.unwrap_or(""), multiplier)
        .ok_or_else(|| UnitError::TooLarge { most: format!("{} of the smallest unit", u64::MAX) })
}

/// The largest unit that says it without a fraction: `90s`, `64MiB`.
pub(super) fn exact(amount: u64, units: &[(&str, u64)]) -> String {
    let (unit, size) =
        units.iter().find(|(_, size)| amount.is_multiple_of(*size)).copied().unwrap_or(("", 1));
    format!("{}{unit}", amount / size)
}

/// Bytes for people: `512 B`, `64.0 MiB`.
pub fn human_bytes(bytes: u64) -> String {
    let units = [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        // One that would be printed as "1024.0 KiB" is "1.0 MiB".
        let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
        if tenths >= 10 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// A duration for people: `312 µs`, `12.3 ms`, `1.00 s`, `2 min 05 s`, `1 h 00 min`.
pub fn human_micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..999_950 => {
            let tenths = (micros + 50) / 100;
            format!("{}.{} ms", tenths / 10, tenths % 10)
        }
        999_950..59_995_000 => {
            let hundredths = (micros + 5_000) / 10_000;
            format!("{}.{:02} s", hundredths / 100, hundredths % 100)
        }
        _ => {
            let seconds = micros / 1_000_000 + u64::from(micros % 1_000_000 >= 500_000);
            let minutes = seconds / 60;
            if minutes < 60 {
                format!("{minutes} min {:02} s", seconds % 60)
            } else {
                format!("{} h {:02} min", minutes / 60, minutes % 60)
            }
        }
    }
}

fn multiplier(unit: &str, notation: &Notation) -> Result<u64, UnitError> {
    let lower = unit.to_ascii_lowercase();
    if let Some((_, multiplier)) = notation.spellings.iter().find(|(spelling, _)| *spelling == lower) {
        return Ok(*multiplier);
    }
    let (units, example) = (notation.units, notation.example);
    if unit.is_empty() {
        return Err(UnitError::NoUnit { units, example });
    }
    Err(UnitError::UnknownUnit { unit: crate::model::violation::quoted(unit.as_bytes()), units, example })
}

/// `whole.fraction` times the multiplier, rounded down.
fn scaled(whole: &str, fraction: &str, multiplier: u64) -> Option<u64> {
    let whole = whole.parse::<u64>().ok()?.checked_mul(multiplier)?;
    // Digits beyond the twelfth cannot change the result by a whole unit that matters, and 10^12 keeps within 128 bits.
    let digits = &fraction[..fraction.len().min(12)];
    let numerator = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? };
    let part = numerator * u128::from(multiplier) / 10u128.pow(u32::try_from(digits.len()).ok()?);
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        let cases: &[(u64, &str)] = &[
            (0, "0 B"),
            (1, "1 B"),
            (1_000, "1.0 KiB"),
            (900, "900 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (8 << 30, "8.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human_bytes(*bytes), *text);
        }
    }

    #[test]
    fn durations_for_people() {
        let cases: &[(u64, &str)] = &[
            (0, "0 µs"),
            (312, "312 µs"),
            (12_345, "12.3 ms"),
            (999_949, "999.9 ms"),
            (999_950, "1.00 s"),
            (1_000_000, "1.00 s"),
            (2_004_000, "2.00 s"),
            (59_994_999, "59.99 s"),
            (60_000_000, "1 min 00 s"),
            (59_995_000, "1 min 00 s"),
            (3_600_000_000, "1 h 00 min"),
        ];
        for (micros, text) in cases {
            assert_eq!(human_micros(*micros), *text);
        }
        assert!(!human_micros(u64::MAX).is_empty());
    }
}
