//! A numbered history in the state store: what `nx powercut` cuts, and each boot goes on with.
//!
//! Number `n` is written only after `n - 1` was acknowledged, under two keys and one of a ring in
//! one batch. So whoever finds `n` anywhere on a disk knows that `n - 1` must be in its store.

use nexus_abi::{Call, Sys};
use nexus_ipc::{connect, state::Client};
use nexus_system::names;
use nexus_wire::state::{Change, Pair};

use crate::harness::{Ctx, Failure, Outcome, ensure};

/// Both carry the newest number.
const NEWEST: [&[u8]; 2] = [b"cut/a", b"cut/b"];
/// Number `n` is also under the key `n % 4`.
const RING: [&[u8]; 4] = [b"cut/ring-0", b"cut/ring-1", b"cut/ring-2", b"cut/ring-3"];
/// Before the digits of a value.
const PREFIX: [u8; 9] = *b"POWERCUT-";
const DIGITS: usize = 7;
const VALUE: usize = PREFIX.len() + DIGITS;
/// Batches of one boot.
const STEPS: u32 = 48;

/// The value of a number.
fn value(number: u32) -> [u8; VALUE] {
    let mut value = [b'0'; VALUE];
    value.iter_mut().zip(PREFIX).for_each(|(place, byte)| *place = byte);
    let mut rest = number;
    for place in value.iter_mut().rev().take(DIGITS) {
        *place = b'0'.saturating_add((rest % 10) as u8);
        rest /= 10;
    }
    value
}

fn number(value: &[u8]) -> Option<u32> {
    let digits = value.strip_prefix(&PREFIX).filter(|digits| digits.len() == DIGITS)?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

fn ring_key(number: u32) -> &'static [u8] {
    let [zero, one, two, three] = RING;
    match number % 4 {
        0 => zero,
        1 => one,
        2 => two,
        _ => three,
    }
}

/// What the store keeps is a history that ended somewhere, and it goes on from there.
pub(crate) fn sequence<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let deadline = ctx.soon();
    let ep = connect(ctx.sys, names::STATEFSD, deadline).map_err(|_| "no channel to statefsd")?;
    let seed = ctx.nonce();
    let mut state = Client::new(ep, seed);
    let outcome = go_on(ctx, &mut state);
    let _gone_either_way = ctx.sys.run(Call::CapClose { cap: ep });
    outcome
}

fn go_on<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client) -> Outcome {
    let begin = whole(ctx, state)?;
    for number in (begin..).skip(1).take(STEPS as usize) {
        let value = value(number);
        let put = |key| Pair::new(key, &value).map(Change::Put).ok_or("pair too long");
        let [a, b] = NEWEST;
        let batch = [put(a)?, put(b)?, put(ring_key(number))?];
        let deadline = ctx.soon();
        state.batch(ctx.sys, &batch, deadline).map_err(|_| "batch refused")?;
    }
    let end = whole(ctx, state)?;
    ensure(end.checked_sub(begin) == Some(STEPS), "what was acknowledged is not there")
}

/// The newest number, every key carrying what it must; 0 if nothing was written yet.
fn whole<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client) -> Result<u32, Failure> {
    let [a, b] = NEWEST;
    let newest = read(ctx, state, a)?;
    ensure(newest == read(ctx, state, b)?, "half of a batch")?;
    for back in 0..RING.len() as u32 {
        let Some(want) = newest.checked_sub(back).filter(|want| *want > 0) else { continue };
        ensure(read(ctx, state, ring_key(want))? == want, "a number of the past is gone")?;
    }
    Ok(newest)
}

fn read<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client, key: &[u8]) -> Result<u32, Failure> {
    let deadline = ctx.soon();
    match state.get(ctx.sys, key, deadline).map_err(|_| "get refused")? {
        Some(bytes) => number(bytes).ok_or("a value nobody wrote"),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_values() {
        for n in [0, 1, 9, 10, 48, 1_234_567, 9_999_999] {
            assert_eq!(number(&value(n)), Some(n));
        }
        assert_eq!(&value(17), b"POWERCUT-0000017");
        assert_eq!((ring_key(4), ring_key(7)), (RING[0], RING[3]));
    }

    #[test]
    fn test_reject_values_that_are_no_numbers() {
        for bytes in
            [&b""[..], b"POWERCUT-", b"POWERCUT-000001", b"POWERCUT-00000017", b"powercut-0000017"]
        {
            assert_eq!(number(bytes), None);
        }
    }
}
