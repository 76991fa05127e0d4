//! Dashboards: a list of panels each, and the JSON that Grafana reads.

mod fleet;
mod json;
mod server;

pub use json::file;

/// How a panel shows its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Lines over time.
    Lines,
    /// One number each.
    Number,
    /// A row each, as they are now.
    Table,
    /// Buckets of a histogram over time.
    Heat,
}

/// One panel. In expressions `%J` stands for the matchers of job and instance.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    pub title: &'static str,
    pub description: &'static str,
    pub look: Look,
    /// One of Grafana's units.
    pub unit: &'static str,
    /// Expression and legend.
    pub targets: &'static [(&'static str, &'static str)],
}

/// A page of panels, two in a row.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Its file, and what links name it by.
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub panels: &'static [Panel],
}

type Targets = &'static [(&'static str, &'static str)];

const fn panel(
    look: Look,
    title: &'static str,
    unit: &'static str,
    description: &'static str,
    targets: Targets,
) -> Panel {
    Panel { title, description, look, unit, targets }
}

const fn lines(title: &'static str, unit: &'static str, description: &'static str, targets: Targets) -> Panel {
    panel(Look::Lines, title, unit, description, targets)
}

const fn number(title: &'static str, unit: &'static str, description: &'static str, targets: Targets) -> Panel {
    panel(Look::Number, title, unit, description, targets)
}

const fn table(title: &'static str, unit: &'static str, description: &'static str, targets: Targets) -> Panel {
    panel(Look::Table, title, unit, description, targets)
}

const fn heat(title: &'static str, unit: &'static str, description: &'static str, targets: Targets) -> Panel {
    panel(Look::Heat, title, unit, description, targets)
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Board> {
    fleet::BOARDS.iter().chain(server::BOARDS)
}

/// An expression as it stands in the file.
pub fn expr(text: &str) -> String {
    text.replace("%J", r#"job=~"$job",instance=~"$instance""#)
}
