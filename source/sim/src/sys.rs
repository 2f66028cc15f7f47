//! The `Sys` a simulated process sees.

use std::sync::{Arc, atomic::AtomicU64};

use nexus_abi::{
    Call, Error, Handle, Return, Sys,
    layout::{FRAME_MAX, PAGE, WINDOW_BASE},
    syscall::{Prot, Topic},
};
use nexus_kernel_core::ProcIndex;

use crate::{machine, world::World};

/// One simulated process's view of the kernel.
pub struct SimSys {
    pub(crate) world: Arc<World>,
    pub(crate) proc: ProcIndex,
    pub(crate) life: u64,
    frame: Box<[u8; FRAME_MAX]>,
    next_window: u64,
}

impl SimSys {
    pub(crate) fn new(world: Arc<World>, proc: ProcIndex, life: u64) -> SimSys {
        SimSys { world, proc, life, frame: Box::new([0; FRAME_MAX]), next_window: WINDOW_BASE }
    }

    /// Any number with any registers, as a hostile program would.
    pub fn trap(&mut self, number: u64, args: &[u64; 6]) -> [u64; 7] {
        let world = Arc::clone(&self.world);
        world.trap(self.proc, self.life, &mut self.frame, number, args)
    }

    fn map(&mut self, vmo: Handle, len: usize, prot: Prot) -> Result<u64, Error> {
        let len = (len as u64).next_multiple_of(PAGE);
        let va = self.next_window;
        self.run(Call::VmMap { proc: Handle::NONE, vmo, va, offset: 0, len, prot })?;
        self.next_window += len + PAGE;
        Ok(va)
    }

    fn view(&self, va: u64, len: usize) -> &'static [AtomicU64] {
        self.world.view(self.proc, va, len)
    }

    fn check_sealed(&mut self, vmo: Handle, len: usize) -> Result<(), Error> {
        let [bytes, seal, ..] = self.info(vmo, Topic::Vmo)?;
        if seal == 0 {
            return Err(Error::WrongState);
        }
        if len as u64 > bytes { Err(Error::InvalidArgument) } else { Ok(()) }
    }
}

impl Sys for SimSys {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }

    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }

    fn syscall(&mut self, call: Call) -> Return {
        let (number, args) = call.encode();
        Return::from_regs(self.trap(number, &args))
    }

    fn now_ns(&mut self) -> u64 {
        self.world.read_clock()
    }

    fn map_bytes(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [u8], Error> {
        self.check_sealed(vmo, len_bytes)?;
        let va = self.map(vmo, len_bytes, Prot::Read)?;
        // Sealed memory never changes again, so a copy is as good as the memory.
        let mut bytes = vec![0; len_bytes];
        machine::read(self.view(va, len_bytes), &mut bytes);
        Ok(bytes.leak())
    }

    fn map_sealed_words(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [u64], Error> {
        if !len_bytes.is_multiple_of(8) {
            return Err(Error::InvalidArgument);
        }
        let bytes = self.map_bytes(vmo, len_bytes)?;
        let words = bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().expect("8")));
        Ok(words.collect::<Vec<_>>().leak())
    }

    fn map_words(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [AtomicU64], Error> {
        let va = self.map(vmo, len_bytes, Prot::ReadWrite)?;
        Ok(self.view(va, len_bytes))
    }

    fn with_words(
        &mut self,
        vmo: Handle,
        len_bytes: usize,
        f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        let va = self.map(vmo, len_bytes, Prot::ReadWrite)?;
        f(self.view(va, len_bytes));
        let len = (len_bytes as u64).next_multiple_of(PAGE);
        self.run(Call::VmUnmap { proc: Handle::NONE, va, len }).map(|_| ())
    }

    fn copy_sealed_words(&mut self, vmo: Handle, into: &mut [u64]) -> Result<(), Error> {
        let len = into.len() * 8;
        self.check_sealed(vmo, len)?;
        let va = self.map(vmo, len, Prot::Read)?;
        for (place, word) in into.iter_mut().zip(self.view(va, len)) {
            *place = word.load(std::sync::atomic::Ordering::Relaxed);
        }
        let len = (len as u64).next_multiple_of(PAGE);
        self.run(Call::VmUnmap { proc: Handle::NONE, va, len }).map(|_| ())
    }
}
