//! SQLite's allocations fail, as the environment of a victim asks: `FAULTS_NO_MEMORY=N` for the Nth alone, `N+` from it on (A6).
#![allow(unsafe_code, reason = "SQLite takes its allocator as C functions")]

use rusqlite::ffi::{self, sqlite3_mem_methods};
use std::ffi::{c_int, c_void};
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the allocation that fails.
pub const VARIABLE: &str = "FAULTS_NO_MEMORY";

/// What such a victim says on standard error as often as one fails.
pub const SAID: &str = "no memory";

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;
/// What SQLite would use by itself; ours goes on to it.
static OWN: OnceLock<(Malloc, Realloc)> = OnceLock::new();
static ASKED: AtomicU64 = AtomicU64::new(0);
static FIRST: AtomicU64 = AtomicU64::new(u64::MAX);
static LAST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Puts it between SQLite and its allocator, if the environment names an allocation. Call it before SQLite is used.
///
/// # Panics
/// If that is no number, or SQLite is in use.
pub fn as_asked() {
    let Ok(asked) = std::env::var(VARIABLE) else { return };
    let first: u64 = asked.trim_end_matches('+').parse().expect("a number");
    FIRST.store(first, Ordering::Relaxed);
    LAST.store(if asked.ends_with('+') { u64::MAX } else { first }, Ordering::Relaxed);
    let mut methods = sqlite3_mem_methods {
        xMalloc: None,
        xFree: None,
        xRealloc: None,
        xSize: None,
        xRoundup: None,
        xInit: None,
        xShutdown: None,
        pAppData: std::ptr::null_mut(),
    };
    // SAFETY: both options take a pointer to this structure, which SQLite copies (sqlite3_config, SQLITE_CONFIG_MALLOC).
    unsafe {
        assert_eq!(
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods),
            ffi::SQLITE_OK,
            "SQLite is in use"
        );
        let own = methods.xMalloc.zip(methods.xRealloc).expect("SQLite has an allocator");
        assert_eq!(OWN.set(own), Ok(()), "asked for twice");
        methods.xMalloc = Some(malloc);
        methods.xRealloc = Some(realloc);
        assert_eq!(
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut methods),
            ffi::SQLITE_OK,
            "SQLite is in use"
        );
    }
}

fn fails() -> bool {
    let number = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
    let fails = (FIRST.load(Ordering::Relaxed)..=LAST.load(Ordering::Relaxed)).contains(&number);
    if fails {
        let _best_effort = writeln!(std::io::stderr(), "{SAID}");
    }
    fails
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let own = OWN.get().filter(|_| !fails());
    // SAFETY: SQLite's own function, with what SQLite gave.
    own.map_or(std::ptr::null_mut(), |(own, _)| unsafe { own(bytes) })
}

unsafe extern "C" fn realloc(place: *mut c_void, bytes: c_int) -> *mut c_void {
    let own = OWN.get().filter(|_| !fails());
    // SAFETY: SQLite's own function, with what SQLite gave.
    own.map_or(std::ptr::null_mut(), |(_, own)| unsafe { own(place, bytes) })
}
