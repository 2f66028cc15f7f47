//! The entropy client against a scripted kernel: nothing but the exact reply fills the buffer.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use nexus_abi::{Call, Error, Handle, Return, Sys};
use nexus_ipc::{
    Deadline,
    rng::{Client, RngError},
};
use nexus_wire::{FRAME_MAX, rng::Status};

/// Answers every call with the same bytes.
struct Script {
    frame: [u8; FRAME_MAX],
    answer: Result<Vec<u8>, Error>,
    calls: usize,
}

impl Sys for Script {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, _call: Call) -> Return {
        self.calls += 1;
        match &self.answer {
            Ok(bytes) => {
                self.frame[..bytes.len()].copy_from_slice(bytes);
                Return::Replied { len: bytes.len() as u16, cap: Handle::NONE }
            }
            Err(error) => Return::Failed(*error),
        }
    }
    fn now_ns(&mut self) -> u64 {
        1_000
    }
}

const HEAD: &[u8] = b"RG\x01\x81\x00\x44\x33\x22\x11";
const SOON: Deadline = Deadline::at_ns(5_000);

fn ask(answer: Result<Vec<u8>, Error>, n: usize) -> (Result<(), RngError>, Vec<u8>, Script) {
    let mut script = Script { frame: [0xee; FRAME_MAX], answer, calls: 0 };
    let mut out = vec![0x55; n];
    let got = Client::new(Handle::fixed(9), 0x1122_3343).entropy(&mut script, &mut out, SOON);
    (got, out, script)
}

#[test]
fn bytes_reach_the_caller_and_nobody_else() {
    for n in [1, 32, 256] {
        let bytes = vec![0xab; n];
        let (got, out, script) = ask(Ok([HEAD, &bytes].concat()), n);
        assert_eq!((got, out), (Ok(()), bytes));
        assert!(script.frame.iter().all(|byte| *byte == 0), "the message page keeps no copy");
    }
}

#[test]
fn test_reject_replies_of_another_length_nonce_or_operation() {
    let bytes = vec![0xab; 32];
    let whole = [HEAD, &bytes].concat();
    for len in 0..whole.len() {
        let (got, out, _) = ask(Ok(whole[..len].to_vec()), 32);
        assert_eq!((got, out), (Err(RngError::Protocol), vec![0; 32]), "{len}");
    }
    let longer = [&whole[..], &[1]].concat();
    for other in [longer, whole.clone()].iter_mut().enumerate().map(|(at, bytes)| {
        if at == 1 {
            bytes[5] ^= 1;
        }
        bytes.clone()
    }) {
        assert_eq!(ask(Ok(other), 32).0, Err(RngError::Protocol));
    }
    for bit in 0..HEAD.len() * 8 {
        let mut other = whole.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let (got, out, script) = ask(Ok(other), 32);
        assert!(got.is_err() && out == [0; 32], "bit {bit}");
        assert_eq!(script.frame, [0; FRAME_MAX], "what was refused is gone too");
    }
}

#[test]
fn test_reject_refusals_and_silence_leave_zeroes() {
    for status in [Status::Oversized, Status::Denied, Status::Unavailable, Status::Malformed] {
        let mut refusal = HEAD.to_vec();
        refusal[4] = status.code();
        let (got, out, _) = ask(Ok(refusal), 32);
        assert_eq!((got, out), (Err(RngError::Refused(status)), vec![0; 32]));
    }
    let (got, out, _) = ask(Err(Error::TimedOut), 32);
    assert_eq!((got, out), (Err(RngError::Ipc(Error::TimedOut)), vec![0; 32]));
}

#[test]
fn test_reject_lengths_that_do_not_fit_without_asking() {
    for n in [0, 257, 65_536 + 32] {
        let (got, _, script) = ask(Ok(HEAD.to_vec()), n);
        assert_eq!((got, script.calls), (Err(RngError::Argument), 0), "{n}");
    }
}
