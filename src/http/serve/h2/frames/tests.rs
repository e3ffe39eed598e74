use super::*;

const PING: u8 = 6;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
    let size = (length as u32).to_be_bytes();
    let mut bytes = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
    bytes.resize(HEADER_LENGTH + length, 0);
    bytes
}

/// A screen of a connection that has begun.
fn screen() -> Screen {
    let mut screen = Screen::new(0);
    let settings = frame(kind::SETTINGS, 0, 0);
    assert_eq!(screen.pass(&settings, &mut Round::default(), 0), Ok(settings.len()));
    screen.pass(&[], &mut Round::default(), 0).unwrap();
    screen
}

/// What becomes of frames that come in pieces of `length` bytes, a round each.
fn pass_all(screen: &mut Screen, bytes: &[u8], length: usize) -> Result<(), Excess> {
    let mut rest = Vec::new();
    for piece in bytes.chunks(length) {
        rest.extend_from_slice(piece);
        let mut passed = 1;
        while passed > 0 {
            passed = screen.pass(&rest, &mut Round::default(), 0)?;
            rest.drain(..passed);
        }
    }
    assert!(rest.is_empty(), "{} bytes did not pass", rest.len());
    Ok(())
}

#[track_caller]
fn check(frames: &[Vec<u8>], expected: Result<(), Excess>) {
    let bytes = frames.concat();
    for length in [1, 7, 9, 10, 100, bytes.len()] {
        assert_eq!(
            pass_all(&mut screen(), &bytes, length),
            expected,
            "in pieces of {length} bytes"
        );
    }
}

#[test]
fn what_is_within_bounds_passes_whatever_pieces_it_comes_in() {
    check(
        &[
            frame(kind::HEADERS, END_HEADERS | END_STREAM, 20),
            frame(kind::HEADERS, 0, 20),
            frame(CONTINUATION, 0, 20),
            frame(CONTINUATION, END_HEADERS, 20),
            frame(kind::DATA, 0, 3000),
            frame(PING, 0, 8),
        ],
        Ok(()),
    );
}

#[test]
fn each_kind_has_its_bound() {
    let times = |count: u32, frame: Vec<u8>| vec![frame; count as usize];
    check(&times(RESETS.burst, frame(kind::RST_STREAM, 0, 4)), Ok(()));
    check(
        &times(RESETS.burst + 1, frame(kind::RST_STREAM, 0, 4)),
        Err(Excess::Resets),
    );
    // One was the first SETTINGS.
    let left = CONTROLS.burst - 1;
    for (kind, length) in [
        (PING, 8),
        (kind::SETTINGS, 0),
        (2, 5),
        (8, 4),
        (0x7f, 3),
        (kind::DATA, 0),
        (kind::DATA, 15),
    ] {
        check(&times(left, frame(kind, 0, length)), Ok(()));
        check(&times(left + 1, frame(kind, 0, length)), Err(Excess::Controls));
    }
    check(&times(2 * left, frame(kind::DATA, 0, DATA_LENGTH_MIN)), Ok(()));
    check(&times(2 * left, frame(kind::DATA, END_STREAM, 0)), Ok(()));
    let block = |length, last| {
        let mut frames = vec![frame(kind::HEADERS, 0, 16 << 10); 1];
        frames.extend(vec![frame(CONTINUATION, 0, 16 << 10); length / (16 << 10) - 1]);
        frames.push(frame(CONTINUATION, END_HEADERS, last));
        frames
    };
    check(&block(BLOCK_LENGTH_MAX - (16 << 10), 16 << 10), Ok(()));
    check(&block(BLOCK_LENGTH_MAX, 10), Err(Excess::Block));
    // An empty one is not for nothing either.
    let mut frames = vec![frame(kind::HEADERS, 0, 0)];
    frames.extend(times(
        (BLOCK_LENGTH_MAX / HEADER_LENGTH) as u32,
        frame(CONTINUATION, 0, 0),
    ));
    check(&frames, Err(Excess::Block));
}

#[test]
fn a_rate_allows_more_as_time_passes_and_as_answers_are_sent() {
    let ping = frame(PING, 0, 8);
    let mut screen = screen();
    let pass = |screen: &mut Screen, count: u32, now_seconds| {
        (0..count).try_for_each(|_| screen.pass(&ping, &mut Round::default(), now_seconds).map(drop))
    };
    assert_eq!(pass(&mut screen, CONTROLS.burst - 1, 0), Ok(()));
    assert_eq!(pass(&mut screen, CONTROLS.a_second, 1), Ok(()));
    screen.answered(10);
    assert_eq!(pass(&mut screen, 10 * CONTROLS_A_FRAME, 1), Ok(()));
    assert_eq!(pass(&mut screen, 1, 1), Err(Excess::Controls));
    // However long it has been, no more than the burst.
    assert_eq!(pass(&mut screen, CONTROLS.burst, u32::MAX), Ok(()));
    assert_eq!(pass(&mut screen, 1, u32::MAX), Err(Excess::Controls));
}

#[test]
fn a_round_lets_few_bytes_of_blocks_pass_and_ends_between_them() {
    let one = frame(kind::HEADERS, END_HEADERS, 100);
    let mut screen = screen();
    let input = one.repeat(30);
    let passed = screen.pass(&input, &mut Round::default(), 0).unwrap();
    assert_eq!(passed, one.len() * ROUND_BLOCKS_LENGTH_MAX.div_ceil(100));
    // A block that has begun passes to its end.
    let long = [
        frame(kind::HEADERS, 0, 2000),
        frame(CONTINUATION, END_HEADERS, 2000),
        one,
    ]
    .concat();
    let passed = screen.pass(&long, &mut Round::default(), 0).unwrap();
    assert_eq!(passed, 2 * (HEADER_LENGTH + 2000));
}

#[test]
fn a_head_begins_with_its_first_byte_and_ends_with_its_last() {
    let is_in_head = |screen: &Screen, input: &[u8], passed: usize| screen.is_in_head(passed < input.len());
    let mut new = Screen::new(0);
    let settings = frame(kind::SETTINGS, 0, 6);
    assert!(new.is_in_head(false), "the preface is not whole");
    new.pass(&settings[..12], &mut Round::default(), 0).unwrap();
    assert!(new.is_in_head(false));
    new.pass(&settings[12..], &mut Round::default(), 0).unwrap();
    assert!(!new.is_in_head(false));
    let mut screen = screen();
    let head = [frame(kind::HEADERS, 0, 10), frame(CONTINUATION, END_HEADERS, 10)].concat();
    for length in 1..head.len() {
        let mut screen = screen.clone();
        let passed = screen.pass(&head[..length], &mut Round::default(), 0).unwrap();
        assert!(is_in_head(&screen, &head[..length], passed), "{length}");
        let rest = screen.pass(&head[passed..], &mut Round::default(), 0).unwrap();
        assert_eq!(passed + rest, head.len());
        assert!(!is_in_head(&screen, &head, head.len()));
    }
    let data = frame(kind::DATA, 0, 100);
    screen.pass(&data[..50], &mut Round::default(), 0).unwrap();
    assert!(!screen.is_in_head(false), "a body is no head");
}

#[test]
fn resets_are_counted_among_what_is_sent_in_any_pieces() {
    let bytes = [
        frame(kind::HEADERS, END_HEADERS, 5),
        frame(kind::RST_STREAM, 0, 4),
        frame(kind::DATA, 0, 30),
    ]
    .concat();
    for length in 1..bytes.len() {
        let mut sent = Sent::default();
        let resets: u32 = bytes.repeat(3).chunks(length).map(|piece| sent.pass(piece)).sum();
        assert_eq!(resets, 3, "in pieces of {length} bytes");
    }
}

#[test]
fn the_limit_that_is_told_is_put_in_place() {
    let mut settings = frame(kind::SETTINGS, 0, 12);
    settings[HEADER_LENGTH..].copy_from_slice(&[0, 3, 0, 0, 0, 128, 0, 6, 0, 1, 0, 0]);
    set_header_list_length(&mut settings, 16 << 10);
    assert_eq!(settings[HEADER_LENGTH..], [0, 3, 0, 0, 0, 128, 0, 6, 0, 0, 64, 0]);
    // What is none is left alone.
    let mut other = frame(kind::DATA, 0, 12);
    let before = other.clone();
    set_header_list_length(&mut other, 1);
    set_header_list_length(&mut [], 1);
    assert_eq!(other, before);
}

proptest::proptest! {
    #[test]
    fn any_bytes_pass_alike_whatever_pieces_they_come_in(bytes: Vec<u8>, length in 1_usize..50) {
        let passed = |length: usize| {
            let mut screen = Screen::new(0);
            let mut rest: Vec<u8> = Vec::new();
            let mut all = 0;
            for piece in bytes.chunks(length) {
                rest.extend_from_slice(piece);
                let mut passed = 1;
                while passed > 0 {
                    passed = screen.pass(&rest, &mut Round::default(), 0).unwrap_or(0);
                    rest.drain(..passed);
                    all += passed;
                }
            }
            (all, screen.is_in_head(!rest.is_empty()))
        };
        proptest::prop_assert_eq!(passed(length), passed(bytes.len().max(1)));
    }
}
