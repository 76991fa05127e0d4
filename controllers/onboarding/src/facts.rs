//! What the output of our fixed commands means. Pure; everything here has seen hostile input.

/// What `/etc/os-release` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Os {
    pub id: String,
    pub version: String,
    /// For people: `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
}

/// How Docker gets onto a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// The distribution's own packages are recent enough.
    Distribution,
    /// Docker's apt repository.
    Repository,
}

impl Os {
    pub fn parse(text: &str) -> Self {
        let mut os = Self::default();
        for line in text.lines().take(100) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value: String = value.trim().trim_matches(['"', '\'']).chars().take(128).collect();
            match key.trim() {
                "ID" => os.id = value,
                "VERSION_ID" => os.version = value,
                "PRETTY_NAME" => os.name = value,
                _ => {}
            }
        }
        os
    }

    /// What we test against (OT-17); others get a warning, not a refusal.
    pub fn is_supported(&self) -> bool {
        matches!((self.id.as_str(), self.version.as_str()), ("debian", "12" | "13") | ("ubuntu", "22.04" | "24.04"))
    }

    /// None: we do not know how to install Docker here.
    pub fn recipe(&self) -> Option<Recipe> {
        let major = || self.version.split('.').next().and_then(|v| v.parse::<u32>().ok());
        match self.id.as_str() {
            // Testing has no VERSION_ID; it is newer than 13.
            "debian" if major().is_none_or(|m| m >= 13) => Some(Recipe::Distribution),
            "debian" | "ubuntu" => Some(Recipe::Repository),
            _ => None,
        }
    }
}

/// Free bytes from `df -P -k`.
pub fn disk_free(text: &str) -> Option<i64> {
    let line = text.lines().nth(1)?;
    let kib: i64 = line.split_whitespace().nth(3)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Compares dotted versions number by number; what follows the numbers (`+dfsg1`, `-ce`) does not count.
pub fn at_least(have: &str, want: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '+', '-', '~']).map_while(|part| part.parse().ok()).chain([0, 0, 0]).take(3).collect()
    };
    numbers(have) >= numbers(want)
}

/// The source address that `ip -o route get` names.
pub fn source_address(text: &str) -> Option<std::net::IpAddr> {
    let mut words = text.split_whitespace();
    words.find(|w| *w == "src")?;
    words.next()?.parse().ok()
}

/// One line of a port probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub address: String,
    pub port: u16,
    pub udp: bool,
    pub open: bool,
}

/// Reads `ADDRESS PORT STATE` lines.
pub fn probes(text: &str, udp: bool) -> Vec<Probe> {
    text.lines()
        .take(1000)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (address, port, state) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
            Some(Probe { address: address.to_owned(), port, udp, open: state == "open" })
        })
        .collect()
}

#[cfg(test)]
mod tests;
