//! Escapes within strings: which are good.

/// What is known of the escapes of a piece so far.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// The place behind the first half of a pair of surrogates, whose second half has been looked at; 0 for none.
    second_half: usize,
}

impl Escapes {
    /// Whether the escapes that begin at these bits from `base` on are good. One that does not end in the text may be.
    #[cold]
    #[inline(never)]
    pub(super) fn are_good(&mut self, text: &[u8], base: usize, escapes: u64) -> bool {
        let mut rest = escapes;
        while rest != 0 {
            let place = base + rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if !self.is_good(text, place) {
                return false;
            }
        }
        true
    }

    fn is_good(&mut self, text: &[u8], place: usize) -> bool {
        match text.get(place + 1) {
            None | Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') if self.second_half == place && place != 0 => true,
            Some(b'u') => match code_unit(text, place) {
                Unit::Cut => true,
                Unit::Bad | Unit::Is(0xdc00..=0xdfff) => false,
                Unit::Is(0xd800..=0xdbff) => {
                    self.second_half = place + 6;
                    match &text[place + 6..] {
                        [b'\\', b'u', ..] => {
                            matches!(code_unit(text, place + 6), Unit::Cut | Unit::Is(0xdc00..=0xdfff))
                        }
                        [] | [b'\\'] => true,
                        _ => false,
                    }
                }
                Unit::Is(_) => true,
            },
            Some(_) => false,
        }
    }
}

/// What the four digits of an escape say.
enum Unit {
    Is(u16),
    Bad,
    /// They are not all there.
    Cut,
}

fn code_unit(text: &[u8], place: usize) -> Unit {
    let digits = &text[place + 2..];
    let mut unit = 0;
    for &digit in digits.iter().take(4) {
        match char::from(digit).to_digit(16) {
            Some(value) => unit = unit << 4 | value as u16,
            None => return Unit::Bad,
        }
    }
    if digits.len() < 4 { Unit::Cut } else { Unit::Is(unit) }
}
