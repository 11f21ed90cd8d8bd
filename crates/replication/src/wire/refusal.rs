//! An error line of the other side: [`Refusal`], and what kind of trouble it tells of.

/// What a refusal means for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The two nodes cannot work together as they are: another version, too few databases.
    Incompatible,
    /// The one who asks is among those that the other follows.
    Cycle,
    /// The one who asks is the other.
    Itself,
    /// As many are being served as may be; ask later.
    Busy,
    /// The other side asks for a password, or for another one.
    Auth,
    /// The other side is not ready yet.
    Loading,
    /// The lease on a snapshot is over.
    NoLease,
    /// The log that feeds the link is damaged where it is to be read.
    Damaged,
    /// Something else.
    Other,
}

impl Class {
    const WORDS: [(&'static str, Class); 12] = [
        ("INCOMPATIBLE", Class::Incompatible),
        ("CYCLE", Class::Cycle),
        ("ITSELF", Class::Itself),
        ("BUSYSYNC", Class::Busy),
        ("NOAUTH", Class::Auth),
        ("WRONGPASS", Class::Auth),
        ("NOPERM", Class::Auth),
        ("DENIED", Class::Auth),
        ("LOADING", Class::Loading),
        ("MASTERDOWN", Class::Loading),
        ("NOLEASE", Class::NoLease),
        ("DAMAGED", Class::Damaged),
    ];
}

/// An error line, without its `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means.
    pub class: Class,
    /// The whole text, its first word included.
    pub text: String,
}

impl Refusal {
    /// What the text of an error line means: its first word says it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let word = text.split(' ').next().unwrap_or_default();
        let known = Class::WORDS.iter().find(|(name, _)| *name == word);
        let class = known.map_or(Class::Other, |(_, class)| *class);
        Self { class, text: super::fields::cut(text).to_owned() }
    }
}
