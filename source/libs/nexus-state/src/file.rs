//! An image file as a disk, on a host.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::{
    device::{BlockDevice, Durability, Sector},
    limits::SECTOR_BYTES,
};

/// An image file. A last part of less than a sector does not count.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    sectors: u64,
    writable: bool,
}

impl FileDevice {
    /// Opens an image to look at it: nothing in it changes.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path) -> io::Result<FileDevice> {
        FileDevice::new(File::open(path)?, false)
    }

    /// Opens an image to write to it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open_writable(path: &Path) -> io::Result<FileDevice> {
        FileDevice::new(OpenOptions::new().read(true).write(true).open(path)?, true)
    }

    fn new(mut file: File, writable: bool) -> io::Result<FileDevice> {
        let bytes = file.seek(SeekFrom::End(0))?;
        let sectors = bytes.checked_div(SECTOR_BYTES as u64).unwrap_or_default();
        Ok(FileDevice { file, sectors, writable })
    }

    fn seek(&mut self, sector: u64) -> io::Result<()> {
        let inside = sector < self.sectors;
        let at = sector.checked_mul(SECTOR_BYTES as u64).filter(|_| inside);
        let at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.file.seek(SeekFrom::Start(at)).map(drop)
    }
}

impl BlockDevice for FileDevice {
    type Error = io::Error;

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut Sector) -> io::Result<()> {
        self.seek(sector)?;
        self.file.read_exact(into)
    }

    fn write(&mut self, sector: u64, from: &Sector) -> io::Result<()> {
        self.seek(sector)?;
        self.file.write_all(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn durable(&self) -> Durability {
        if self.writable { Durability::Flush } else { Durability::ReadOnly }
    }
}
