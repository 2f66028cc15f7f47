//! A kernel that remembers what it was asked and fails the n-th request.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use nexus_abi::{
    Call, Error, Handle, Return, Sys,
    layout::{FRAME_MAX, PAGE},
    syscall::{Prot, Seal},
};

/// What a handle stands for.
#[derive(Debug)]
pub(crate) enum Object {
    Process,
    Vmo(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Vmo {
    pub(crate) words: Vec<AtomicU64>,
    pub(crate) seal: Option<Seal>,
}

impl Vmo {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.load(Ordering::Relaxed).to_le_bytes()).collect()
    }
}

pub(crate) struct Fake {
    frame: [u8; FRAME_MAX],
    /// Requests left until one fails.
    pub(crate) fuse: usize,
    pub(crate) handles: BTreeMap<u32, Object>,
    pub(crate) vmos: BTreeMap<u64, Vmo>,
    /// va, vmo, len, protection.
    pub(crate) maps: Vec<(u64, u64, u64, Prot)>,
    pub(crate) log: Vec<Call>,
    pub(crate) ended: Option<i32>,
    next: u32,
}

impl Fake {
    pub(crate) fn new() -> Fake {
        Fake {
            frame: [0; FRAME_MAX],
            fuse: usize::MAX,
            handles: BTreeMap::new(),
            vmos: BTreeMap::new(),
            maps: Vec::new(),
            log: Vec::new(),
            ended: None,
            next: 100,
        }
    }

    fn burn(&mut self) -> Result<(), Error> {
        self.fuse = self.fuse.checked_sub(1).ok_or(Error::NoSpace)?;
        Ok(())
    }

    fn insert(&mut self, object: Object) -> Result<Return, Error> {
        self.next += 1;
        self.handles.insert(self.next, object);
        Ok(Return::value(u64::from(self.next)))
    }

    fn vmo(&mut self, handle: Handle) -> Result<(u64, &mut Vmo), Error> {
        match self.handles.get(&handle.raw()) {
            Some(Object::Vmo(id)) => {
                self.vmos.get_mut(id).map(|v| (*id, v)).ok_or(Error::BadHandle)
            }
            _ => Err(Error::BadHandle),
        }
    }

    fn answer(&mut self, call: Call) -> Result<Return, Error> {
        // Clean-up always works: a kernel never refuses to give something up.
        match call {
            Call::ProcExit { code, .. } => {
                self.ended = Some(code);
                self.maps.clear();
                return Ok(Return::OK);
            }
            Call::CapClose { cap } => {
                return self.handles.remove(&cap.raw()).map(|_| Return::OK).ok_or(Error::BadHandle);
            }
            _ => self.burn()?,
        }
        match call {
            Call::ProcCreate { .. } => self.insert(Object::Process),
            Call::VmoCreate { len, .. } => {
                let id = self.vmos.len() as u64;
                let words = (0..len / 8).map(|_| AtomicU64::new(0)).collect();
                self.vmos.insert(id, Vmo { words, seal: None });
                self.insert(Object::Vmo(id))
            }
            Call::VmoSeal { vmo, seal } => {
                self.vmo(vmo)?.1.seal = Some(seal);
                Ok(Return::OK)
            }
            Call::VmMap { vmo, va, len, prot, .. } => {
                let (id, object) = self.vmo(vmo)?;
                let sealed = object.seal;
                let needed = match prot {
                    Prot::ReadExec => Some(Seal::Exec),
                    Prot::Read => Some(Seal::ReadOnly),
                    Prot::ReadWrite => None,
                };
                if sealed != needed || !len.is_multiple_of(PAGE) {
                    return Err(Error::WriteXorExecute);
                }
                self.maps.push((va, id, len, prot));
                Ok(Return::OK)
            }
            Call::CapDerive { .. } | Call::ProcStart { .. } => Ok(Return::OK),
            other => panic!("unexpected {other:?}"),
        }
    }
}

impl Sys for Fake {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        self.log.push(call);
        self.answer(call).unwrap_or_else(Return::Failed)
    }
    fn now_ns(&mut self) -> u64 {
        0
    }
    fn with_words(
        &mut self,
        vmo: Handle,
        len_bytes: usize,
        f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        self.burn()?;
        let (_, object) = self.vmo(vmo)?;
        f(object.words.get(..len_bytes / 8).ok_or(Error::InvalidArgument)?);
        Ok(())
    }
}
