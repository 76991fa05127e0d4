//! A value that cannot be printed (rule R24).

use zeroize::Zeroize;

/// Holds something secret. No `Debug`, `Display` or `Serialize`; wiped when dropped.
/// [`Secret::expose`] is the only way in, and its callers are few enough to list.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for sealing, for authenticating, for handing to the one API that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
