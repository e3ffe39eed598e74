//! Numbers as both text formats spell them, without an allocation.

use std::io::Write;

/// Appends a whole number in decimal.
pub(super) fn write_u64(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Appends a float: whole numbers without a point, others with the fewest digits that read back as the same value.
pub(super) fn write_f64(out: &mut Vec<u8>, value: f64) {
    // 2^53: above it not every whole number is a float, so digits there would promise too much.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        if value.is_sign_negative() {
            out.push(b'-');
        }
        write_u64(out, value.abs() as u64);
    } else if value.is_finite() {
        write!(out, "{value:?}").expect("a write to memory succeeds");
    } else {
        out.extend_from_slice(match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        });
    }
}

/// Appends nanoseconds as seconds, exactly.
pub(super) fn write_ns(out: &mut Vec<u8>, ns: u128) {
    const SECOND: u128 = 1_000_000_000;
    match u64::try_from(ns / SECOND) {
        Ok(seconds) => write_u64(out, seconds),
        Err(_) => write!(out, "{}", ns / SECOND).expect("a write to memory succeeds"),
    }
    let fraction = (ns % SECOND) as u64;
    if fraction != 0 {
        let start = out.len();
        // The leading 1 holds the zeros after the point; then the point takes its place.
        write_u64(out, fraction + SECOND as u64);
        out[start] = b'.';
        let significant = out
            .iter()
            .rposition(|&digit| digit != b'0')
            .expect("the fraction is not 0");
        out.truncate(significant + 1);
    }
}
