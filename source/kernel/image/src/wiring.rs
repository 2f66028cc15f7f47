//! From the header to a running core.

use nexus_kernel_core::{BootConfig, DeviceWindow, InitPlan, Pfn};
use nexus_kernel_rv64::{Boot, fatal};

use crate::header::{Header, Place};

include!(concat!(env!("OUT_DIR"), "/devices.rs"));

pub(crate) fn main(boot: Boot) -> ! {
    let (Pfn(first), Pfn(end)) = (boot.image(), boot.ram_end());
    let place = Place { first: Pfn(first), room_pages: end.saturating_sub(first) };
    let header = match Header::parse(boot.header(), place) {
        Ok(header) => header,
        Err(error) => fatal(format_args!("boot image: {error:?}")),
    };
    match header.boot_hart {
        Some(hart) if hart != boot.hart() => boot.move_to(hart),
        _ => start(boot, &header),
    }
}

fn start(boot: Boot, header: &Header) -> ! {
    let (image, Pfn(end)) = (boot.image(), boot.ram_end());
    let cfg = BootConfig {
        free: image.offset(header.pages).0..end,
        boot_image: (image, header.pages),
        init: InitPlan {
            service: header.service,
            priority: header.priority,
            mask: header.mask,
            quota: header.quota,
            entry: header.entry,
            segments: header.segments(),
            stack_pages: header.stack_pages,
        },
        devices: DEVICES,
        irqs: IRQS,
    };
    boot.run(&cfg, header.boot_hart, header.bench)
}
