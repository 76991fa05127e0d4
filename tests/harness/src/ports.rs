//! Ports that nobody takes between being found and being used.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to whoever connects without asking for one (from 32768): what is free there now is still free
/// after a start, or a restart.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// A port of loopback that nobody listens on; each answer of a process is another one.
///
/// # Panics
/// When all are taken.
pub fn free() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    // Processes begin at different places.
    let begin = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        AtomicU32::new((now ^ std::process::id().wrapping_mul(7919)) % (1 << 30))
    };
    let next = NEXT.get_or_init(begin);
    for _ in 0..COUNT {
        let place = next.fetch_add(1, Ordering::Relaxed) % u32::from(COUNT);
        let port = FIRST + u16::try_from(place).expect("less than COUNT");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of loopback is free from {FIRST} on");
}
