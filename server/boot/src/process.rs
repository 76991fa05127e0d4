//! What the process asks of the operating system. The only unsafe code of this room: system calls without memory in play.
#![allow(unsafe_code)]

use otternauts_meta::Secret;

/// The variable that may hold the root key.
pub const SECRET_KEY_VARIABLE: &str = "OTTERNAUTS_SECRET_KEY";

/// Files are for their owner alone, memory is not readable by other processes nor dumped (R51), and every file
/// descriptor that we may have can be used. Call it before the first thread starts.
pub fn harden() {
    // SAFETY: umask takes a number and cannot fail.
    unsafe { libc::umask(0o077) };
    #[cfg(target_os = "linux")]
    // SAFETY: these options of prctl and mallopt take numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        // Every arena of glibc keeps what it once had: two are enough for a server that allocates little.
        #[cfg(target_env = "gnu")]
        {
            libc::mallopt(libc::M_ARENA_MAX, 2);
            // Without these, one big answer raises both for good, and what it took is never given back.
            libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        }
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a structure that outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Gives memory that is free, but lies between what is in use, back to the system. Takes some milliseconds.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes a number and locks what it touches.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the root key out of the environment, so that no child process inherits it. Call it before the first thread starts.
pub fn take_secret_key() -> Option<Secret<String>> {
    let value = std::env::var(SECRET_KEY_VARIABLE).ok().filter(|value| !value.is_empty());
    // SAFETY: no other thread runs yet, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(SECRET_KEY_VARIABLE) };
    value.map(Secret::new)
}

/// True for the superuser, whose data directory is a system one.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The machine's name; `None` when it has none that could stand in a certificate.
pub fn hostname() -> Option<String> {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is ours and its length is right; the last byte stays zero.
    let result = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) };
    if result != 0 {
        return None;
    }
    let name = std::ffi::CStr::from_bytes_until_nul(&buffer).ok()?.to_str().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!name.is_empty() && name.chars().all(fits)).then(|| name.to_owned())
}
