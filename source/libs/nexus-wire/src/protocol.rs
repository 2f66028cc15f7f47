//! The one macro that turns a protocol's rows into enums, codec, bounds proof and table.

/// Declares a protocol in the module it stands in; see any of them for the form.
///
/// A row is `op in [versions] Name { request fields } => when { reply fields };` where `when`
/// is `ok` (a reply that is not OK ends after its header) or `always` (it carries neutral
/// fields; layouts kept from older clients).
macro_rules! protocol {
    (
        $(#[doc = $doc:literal])+
        $name:literal magic $magic:literal max $max:literal shortest $shortest:literal;
        nonce $nonce:ident in versions { $($ver:literal: $has_nonce:literal),+ };
        reply bit $bit:literal order $order:ident status $status:ty;
        $op_enum:ident $(<$ol:lifetime>)? => $reply_enum:ident $(<$rl:lifetime>)? over $lt:lifetime;
        $(
            $(#[doc = $rdoc:literal])+
            $code:literal in [$($v:literal),+] $variant:ident { $($field:ident: $fty:ty),* }
            => $when:ident { $($rfield:ident: $rfty:ty),* };
        )+
    ) => {
        /// The nonce of versions that have one.
        pub type Nonce = $nonce;
        /// A request of this protocol.
        pub type Request $(<$ol>)? = $crate::Request<$op_enum $(<$ol>)?, Nonce>;
        /// A reply of this protocol.
        pub type Response $(<$rl>)? = $crate::Response<$reply_enum $(<$rl>)?, Nonce, $status>;
        /// A frame that was not a request: everything needed to answer it all the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Refusal {
            /// Version to answer in: the one asked, or the first one if that is unknown.
            pub version: u8,
            /// Operation byte to answer.
            pub op: u8,
            /// Nonce, if the frame holds one.
            pub nonce: Option<Nonce>,
            /// Malformed, unsupported or too large.
            pub status: $status,
        }

        /// What can be asked; fields as in the protocol's table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "fields are described in the row")]
        pub enum $op_enum $(<$ol>)? { $($(#[doc = $rdoc])+ $variant { $($field: $fty),* },)+ }

        /// What is answered; fields as in the protocol's table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "fields are described in the row")]
        pub enum $reply_enum $(<$rl>)? {
            $($(#[doc = $rdoc])+ $variant { $($rfield: $rfty),* },)+
            /// Header only: the operation was refused, or is unknown.
            Refused { op: u8 },
        }

        /// The protocol as data, for documents, traces and fuzzing.
        pub const SPEC: &$crate::spec::Protocol = &$crate::spec::Protocol {
            name: $name,
            doc: concat!($($doc, "\n"),+),
            magic: *$magic,
            max: $max,
            reply_bit: $bit,
            nonce_bytes: size_of::<$nonce>(),
            versions: &[$(($ver, $has_nonce)),+],
            reply_order: Order::$order,
            statuses: <$status as StatusSet>::TABLE,
            ops: Table::OPS,
            reencode: |frame, out| Some(<Request>::decode(frame).ok()?.encode(out)),
            reencode_reply: |frame, out| Some(<Response>::decode(frame)?.encode(out)),
            refuse: |frame, out| Some(<Request>::decode(frame).err()?.encode(out)),
        };

        const _: () = {
            assert!($max <= $crate::FRAME_MAX);
            let mut rows = Table::OPS;
            while let Some((row, rest)) = rows.split_first() {
                let header = 4 + size_of::<$nonce>();
                assert!(header + row.request_max() <= $max);
                assert!(header + Order::$order.status_bytes() + row.reply_max() <= $max);
                rows = rest;
            }
        };

        struct Table<$lt>(core::marker::PhantomData<&$lt ()>);

        impl<$lt> Table<$lt> {
            const OPS: &'static [$crate::spec::OpSpec] = &[$($crate::spec::OpSpec {
                code: $code,
                versions: &[$($v),+],
                name: stringify!($variant),
                doc: concat!($($rdoc, "\n"),+),
                request: &[$($crate::spec::FieldSpec {
                    name: stringify!($field),
                    kind: <$fty as Field>::KIND,
                    min: <$fty as Field>::MIN,
                    max: <$fty as Field>::MAX,
                }),*],
                reply: &[$($crate::spec::FieldSpec {
                    name: stringify!($rfield),
                    kind: <$rfty as Field>::KIND,
                    min: <$rfty as Field>::MIN,
                    max: <$rfty as Field>::MAX,
                }),*],
                reply_always: when!($when),
            }),+];
        }

        impl $(<$ol>)? $op_enum $(<$ol>)? {
            /// The operation's number.
            #[inline(always)]
            #[must_use]
            pub const fn code(&self) -> u8 {
                match self { $(Self::$variant { .. } => $code,)+ }
            }

            /// The operation's name in traces.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant),)+ }
            }
        }

        impl $(<$rl>)? $reply_enum $(<$rl>)? {
            /// The operation this answers.
            #[inline(always)]
            #[must_use]
            pub const fn code(&self) -> u8 {
                match self { $(Self::$variant { .. } => $code,)+ Self::Refused { op } => *op }
            }

            /// The body of a reply that says nothing but its status, which is OK or is not.
            #[inline]
            #[must_use]
            pub const fn empty(op: u8, version: u8, ok: bool) -> Self {
                match (op, version) {
                    $(($code, $($v)|+) if ok || when!($when) => {
                        Self::$variant { $($rfield: <$rfty as $crate::Zero>::ZERO),* }
                    })+
                    _ => Self::Refused { op },
                }
            }
        }

        #[inline(always)]
        const fn has_nonce(version: u8) -> Option<bool> {
            match version { $($ver => Some($has_nonce),)+ _ => None }
        }

        impl $(<$ol>)? $crate::Request<$op_enum $(<$ol>)?, $nonce> {
            /// Exact decode.
            ///
            /// # Errors
            /// How to answer a frame that is no request of this protocol.
            #[inline]
            pub fn decode(frame: &$($ol)? [u8]) -> Result<Self, Refusal> {
                const FIRST: u8 = first_version(SPEC);
                const JUNK: Refusal = Refusal {
                    version: FIRST,
                    op: first_op(SPEC),
                    nonce: None,
                    status: <$status as StatusSet>::MALFORMED,
                };
                let Some(([m0, m1, version, op], rest)) = frame.split_first_chunk() else {
                    return Err(JUNK);
                };
                let (version, code) = (*version, *op);
                if frame.len() < $shortest || [*m0, *m1] != *$magic {
                    return Err(JUNK);
                }
                // With the reply bit the refusal could not be told from that of the operation
                // without it: what looks like a reply is no request at all.
                let refuse = |version, nonce, flaw| match code & $bit {
                    0 => Refusal { version, op: code, nonce, status: status_of::<$status>(flaw) },
                    _ => JUNK,
                };
                let (nonce, rest) = match has_nonce(version) {
                    Some(false) => (None, rest),
                    Some(true) => match <$nonce as Field>::take(rest) {
                        Ok((nonce, rest)) => (Some(nonce), rest),
                        Err(flaw) => return Err(refuse(version, None, flaw)),
                    },
                    None => return Err(refuse(FIRST, None, Flaw::Unsupported)),
                };
                let body = || match (code, version) {
                    $(($code, $($v)|+) => {
                        $(let ($field, rest) = <$fty as Field>::take(rest)?;)*
                        end(rest)?;
                        Ok($op_enum::$variant { $($field),* })
                    })+
                    _ => Err(Flaw::Unsupported),
                };
                match body() {
                    Ok(op) => Ok($crate::Request { version, nonce, op }),
                    Err(flaw) => Err(refuse(version, nonce, flaw)),
                }
            }

            /// Writes the frame and returns its length in bytes.
            #[inline]
            pub fn encode(&self, frame: &mut [u8; $crate::FRAME_MAX]) -> usize {
                let [m0, m1] = *$magic;
                let mut out = Out::new(frame);
                out.array([m0, m1, self.version, self.op.code()]);
                if let Some(true) = has_nonce(self.version) {
                    self.nonce.unwrap_or_default().put(&mut out);
                }
                match &self.op {
                    $($op_enum::$variant { $($field),* } => { $($field.put(&mut out);)* })+
                }
                out.len()
            }

            /// A reply to this request.
            #[inline]
            #[must_use]
            pub const fn answer<B: Copy>(
                &self, status: $status, body: B,
            ) -> $crate::Response<B, $nonce, $status> {
                $crate::Response { version: self.version, nonce: self.nonce, status, body }
            }
        }

        #[allow(clippy::extra_unused_lifetimes, reason = "not every protocol borrows")]
        impl<$lt> $crate::Request<$op_enum $(<$ol>)?, $nonce> {
            /// A reply to this request with no more than a status in it.
            #[inline]
            #[must_use]
            pub fn respond(&self, status: $status) -> Response $(<$rl>)? {
                let ok = status == <$status as StatusSet>::OK;
                let body = $reply_enum::empty(self.op.code(), self.version, ok);
                $crate::Response { version: self.version, nonce: self.nonce, status, body }
            }
        }

        impl $(<$rl>)? $crate::Response<$reply_enum $(<$rl>)?, $nonce, $status> {
            /// Writes the frame and returns its length in bytes.
            #[inline]
            pub fn encode(&self, frame: &mut [u8; $crate::FRAME_MAX]) -> usize {
                let [m0, m1] = *$magic;
                let mut out = Out::new(frame);
                out.array([m0, m1, self.version, self.body.code() | $bit]);
                let nonce = match has_nonce(self.version) {
                    Some(true) => Some(self.nonce.unwrap_or_default()),
                    _ => None,
                };
                put_header(Order::$order, nonce, self.status.to_byte(), &mut out);
                let ok = self.status == <$status as StatusSet>::OK;
                match &self.body {
                    $($reply_enum::$variant { $($rfield),* } if ok || when!($when) => {
                        $($rfield.put(&mut out);)*
                    })+
                    _ => {}
                }
                out.len()
            }

            /// Exact decode; `None` for anything that is no reply of this protocol.
            #[inline]
            #[must_use]
            pub fn decode(frame: &$($rl)? [u8]) -> Option<Self> {
                let ([m0, m1, version, op], rest) = frame.split_first_chunk()?;
                if [*m0, *m1] != *$magic || *op & $bit == 0 {
                    return None;
                }
                let (version, op) = (*version, *op & !$bit);
                let (nonce, status, rest) =
                    take_header::<$nonce>(Order::$order, has_nonce(version)?, rest)?;
                let status = <$status as StatusSet>::from_byte(status)?;
                let ok = status == <$status as StatusSet>::OK;
                let body = || -> Result<_, Flaw> { Ok(match (op, version) {
                    $(($code, $($v)|+) if ok || when!($when) => {
                        $(let ($rfield, rest) = <$rfty as Field>::take(rest)?;)*
                        end(rest)?;
                        $reply_enum::$variant { $($rfield),* }
                    })+
                    _ => {
                        end(rest)?;
                        if ok { return Err(Flaw::Malformed); }
                        $reply_enum::Refused { op }
                    }
                }) };
                Some($crate::Response { version, nonce, status, body: body().ok()? })
            }
        }

        /// This protocol as a type; see [`Codec`](crate::Codec).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Protocol {}

        impl $crate::Codec for Protocol {
            type Op<$lt> = $op_enum $(<$ol>)?;
            type Reply<$lt> = $reply_enum $(<$rl>)?;
            type Status = $status;
            type Nonce = $nonce;

            #[inline(always)]
            fn has_nonce(version: u8) -> bool {
                has_nonce(version) == Some(true)
            }

            #[inline(always)]
            fn asked(op: &Self::Op<'_>) -> u8 {
                op.code()
            }

            #[inline(always)]
            fn answered(reply: &Self::Reply<'_>) -> u8 {
                reply.code()
            }

            #[inline(always)]
            fn encode(
                request: &$crate::Request<Self::Op<'_>, $nonce>,
                frame: &mut [u8; $crate::FRAME_MAX],
            ) -> usize {
                request.encode(frame)
            }

            #[inline(always)]
            fn decode(
                frame: &[u8],
            ) -> Option<$crate::Response<Self::Reply<'_>, $nonce, $status>> {
                <Response>::decode(frame)
            }
        }

        impl Refusal {
            /// Writes the reply and returns its length in bytes.
            #[inline]
            pub fn encode(&self, frame: &mut [u8; $crate::FRAME_MAX]) -> usize {
                let body = $reply_enum::empty(self.op, self.version, false);
                let (version, nonce, status) = (self.version, self.nonce, self.status);
                $crate::Response { version, nonce, status, body }.encode(frame)
            }
        }

        #[allow(unused_imports, reason = "not every protocol uses every helper")]
        use $crate::{
            Field, Flaw, Out, StatusSet,
            frame::end,
            header::{Order, first_op, first_version, put_header, status_of, take_header},
        };
    };
}

/// Whether a reply that is not OK has a body.
macro_rules! when {
    (ok) => {
        false
    };
    (always) => {
        true
    };
}
