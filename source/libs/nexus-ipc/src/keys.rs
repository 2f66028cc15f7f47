//! Talking to keystored.

use nexus_abi::Sys;
use nexus_wire::{
    Bytes,
    keys::{
        Durability, KeyState, Op, Protocol, Reply, Rotation, Slot, Standing, Status, VALUE_MAX,
    },
};

use crate::{
    CallError, Connection, Deadline,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 2;
}

/// Why a key operation has no result.
pub type KeyError = CallError<Status>;

/// A signature and what a verifier needs besides purpose, caller and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Generation of the key.
    pub generation: u32,
    /// Boot in which it was made.
    pub boot: u32,
    /// The signature.
    pub signature: [u8; 64],
}

/// What a signature is claimed to be.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Purpose of the key.
    pub purpose: u16,
    /// Whom it was made for.
    pub caller: u64,
    /// The signature, with its generation and boot.
    pub signed: Signed,
    /// What was signed.
    pub message: &'a [u8],
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its generation.
    pub generation: u32,
    /// Where that stands.
    pub state: KeyState,
    /// The key.
    pub public: [u8; 32],
}

/// One link of the chain, in the message frame.
#[derive(Clone, Copy, Debug)]
pub struct Link<'s> {
    /// The first generation.
    pub first: u32,
    /// The active one.
    pub active: u32,
    /// What vouches for the one asked for.
    pub certificate: &'s [u8],
}

/// A connection to keystored.
pub type Client = Connection<Protocol>;

impl Client {
    /// Keeps a secret under a name of one's own.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn put<S: Sys>(
        &mut self,
        sys: &mut S,
        (key, value): (&[u8], &[u8]),
        deadline: Deadline,
    ) -> Result<Durability, KeyError> {
        let slot = Slot::new(key, value).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Put { slot }, deadline)?;
        body!(reply, Reply::Put { durability } => durability)
    }

    /// One's own secret; how many bytes of `out` it fills.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn get<S: Sys>(
        &mut self,
        sys: &mut S,
        key: &[u8],
        out: &mut [u8; VALUE_MAX],
        deadline: Deadline,
    ) -> Result<usize, KeyError> {
        let slot = Slot::new(key, b"").ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Get { slot }, deadline)?;
        let value = body!(reply, Reply::Get { value } => value.as_bytes())?;
        let place = out.get_mut(..value.len()).ok_or(CallError::Protocol)?;
        place.copy_from_slice(value);
        Ok(value.len())
    }

    /// Forgets one's own secret.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn del<S: Sys>(
        &mut self,
        sys: &mut S,
        key: &[u8],
        deadline: Deadline,
    ) -> Result<Durability, KeyError> {
        let slot = Slot::new(key, b"").ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Del { slot }, deadline)?;
        body!(reply, Reply::Del { durability } => durability)
    }

    /// Makes the device's keys, bound to so many uses and boots; 0 is without bound.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn keygen<S: Sys>(
        &mut self,
        sys: &mut S,
        (max_uses, max_boots): (u64, u32),
        deadline: Deadline,
    ) -> Result<(u32, Durability), KeyError> {
        let reply = self.ask(sys, Op::Keygen { max_uses, max_boots }, deadline)?;
        body!(reply, Reply::Keygen { generation, durability } => (generation, durability))
    }

    /// The public key of a purpose and generation.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn pubkey<S: Sys>(
        &mut self,
        sys: &mut S,
        (purpose, generation): (u16, u32),
        deadline: Deadline,
    ) -> Result<PublicKey, KeyError> {
        let reply = self.ask(sys, Op::Pubkey { purpose, generation }, deadline)?;
        body!(reply, Reply::Pubkey { generation, state, public } => {
            PublicKey { generation, state, public }
        })
    }

    /// Asks for the private key, which is always refused.
    ///
    /// # Errors
    /// [`KeyError`], always.
    pub fn privkey<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<(), KeyError> {
        self.ask(sys, Op::DevicePrivkey {}, deadline).map(|_| ())
    }

    /// Signs a message for oneself.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn sign<S: Sys>(
        &mut self,
        sys: &mut S,
        message: &[u8],
        deadline: Deadline,
    ) -> Result<Signed, KeyError> {
        let message = Bytes::new(message).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Sign { message }, deadline)?;
        body!(reply, Reply::Sign { generation, boot, signature } => {
            Signed { generation, boot, signature }
        })
    }

    /// As [`Client::sign`], naming the purpose; all but one are refused.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn device_sign<S: Sys>(
        &mut self,
        sys: &mut S,
        (purpose, message): (u16, &[u8]),
        deadline: Deadline,
    ) -> Result<Signed, KeyError> {
        let message = Bytes::new(message).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::DeviceSign { purpose, message }, deadline)?;
        body!(reply, Reply::DeviceSign { generation, boot, signature } => {
            Signed { generation, boot, signature }
        })
    }

    /// Whether a signature is what it is claimed to be, and where its key stands.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn verify<S: Sys>(
        &mut self,
        sys: &mut S,
        claim: &Claim<'_>,
        deadline: Deadline,
    ) -> Result<(bool, KeyState), KeyError> {
        let Claim { purpose, caller, signed, message } = *claim;
        let message = Bytes::new(message).ok_or(CallError::Argument)?;
        let Signed { generation, boot, signature } = signed;
        let op = Op::Verify { purpose, caller, generation, boot, signature, message };
        let reply = self.ask(sys, op, deadline)?;
        body!(reply, Reply::Verify { valid, state } => (valid == 1, state))
    }

    /// Replaces the device's keys; the old ones verify for so many boots and nanoseconds more.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn rotate<S: Sys>(
        &mut self,
        sys: &mut S,
        reason: Rotation,
        (overlap_boots, overlap_ns): (u32, u64),
        deadline: Deadline,
    ) -> Result<(u32, Durability), KeyError> {
        let op = Op::Rotate { reason, overlap_boots, overlap_ns };
        let reply = self.ask(sys, op, deadline)?;
        body!(reply, Reply::Rotate { generation, durability } => (generation, durability))
    }

    /// Makes a generation that is not active unusable for ever.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn revoke<S: Sys>(
        &mut self,
        sys: &mut S,
        generation: u32,
        deadline: Deadline,
    ) -> Result<Durability, KeyError> {
        let reply = self.ask(sys, Op::Revoke { generation }, deadline)?;
        body!(reply, Reply::Revoke { durability } => durability)
    }

    /// What vouches for the key of a purpose and generation.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn chain<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        (purpose, generation): (u16, u32),
        deadline: Deadline,
    ) -> Result<Link<'s>, KeyError> {
        let reply = self.ask(sys, Op::Chain { purpose, generation }, deadline)?;
        body!(reply, Reply::Chain { first, active, certificate } => {
            Link { first, active, certificate: certificate.as_bytes() }
        })
    }

    /// What one's own counter stands at.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn counter_read<S: Sys>(
        &mut self,
        sys: &mut S,
        counter: u8,
        deadline: Deadline,
    ) -> Result<u64, KeyError> {
        let reply = self.ask(sys, Op::CounterRead { counter }, deadline)?;
        body!(reply, Reply::CounterRead { value } => value)
    }

    /// Moves one's own counter up.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn counter_increment<S: Sys>(
        &mut self,
        sys: &mut S,
        (counter, by): (u8, u32),
        deadline: Deadline,
    ) -> Result<(u64, Durability), KeyError> {
        let reply = self.ask(sys, Op::CounterIncrement { counter, by }, deadline)?;
        body!(reply, Reply::CounterIncrement { value, durability } => (value, durability))
    }

    /// A signed statement about this boot, over a challenge of 32 to 64 bytes: the quote, in the
    /// message frame, and its signature.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn attest<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        challenge: &[u8],
        deadline: Deadline,
    ) -> Result<(&'s [u8], [u8; 64]), KeyError> {
        let challenge = Bytes::new(challenge).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Attest { challenge }, deadline)?;
        body!(reply, Reply::Attest { quote, signature } => (quote.as_bytes(), signature))
    }

    /// How the key store is.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn status<S: Sys>(
        &mut self,
        sys: &mut S,
        deadline: Deadline,
    ) -> Result<Standing, KeyError> {
        let reply = self.ask(sys, Op::Status {}, deadline)?;
        body!(reply, Reply::Status { status } => status)
    }
}
