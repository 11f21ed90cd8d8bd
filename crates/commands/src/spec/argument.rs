//! The arguments of a command, as the documentation shows them.

/// One argument, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What may stand there.
    pub kind: ArgumentKind,
    /// The word in front of it, or the word itself.
    pub token: Option<&'static str>,
    /// Whether it may be left out.
    pub need: Need,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// For a key, its place in [`super::Spec::keys`].
    pub key_spec: Option<u32>,
    /// The version of Redis that had it first, if later than the command.
    pub since: Option<&'static str>,
}

/// Whether an argument may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must be there.
    Required,
    /// It need not.
    Optional,
}

/// Whether an argument may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It stands once.
    Once,
    /// It may stand several times, its token once in front of all.
    Multiple,
    /// It may stand several times, each with its token.
    MultipleToken,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// An integer.
    Integer,
    /// A floating point number.
    Double,
    /// The name of a key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A point in time.
    UnixTime,
    /// Nothing but its token.
    PureToken,
    /// One of these.
    OneOf(&'static [Argument]),
    /// All of these.
    Block(&'static [Argument]),
}

impl ArgumentKind {
    /// Redis's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf(_) => "oneof",
            Self::Block(_) => "block",
        }
    }
}

impl Argument {
    const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self { name, kind, token: None, need: Need::Required, repeat: Repeat::Once, key_spec: None, since: None }
    }

    /// A key of the key spec of that number.
    #[must_use]
    pub const fn key(name: &'static str, key_spec: u32) -> Self {
        let mut argument = Self::new(name, ArgumentKind::Key);
        argument.key_spec = Some(key_spec);
        argument
    }

    /// Any bytes.
    #[must_use]
    pub const fn string(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::String)
    }

    /// An integer.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Integer)
    }

    /// A floating point number.
    #[must_use]
    pub const fn double(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Double)
    }

    /// A glob pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Pattern)
    }

    /// A point in time.
    #[must_use]
    pub const fn time(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::UnixTime)
    }

    /// A word.
    #[must_use]
    pub const fn word(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgumentKind::PureToken).after(token)
    }

    /// One of several.
    #[must_use]
    pub const fn one_of(name: &'static str, choices: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::OneOf(choices))
    }

    /// Several that belong together.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::Block(parts))
    }

    /// Puts a word in front.
    #[must_use]
    pub const fn after(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    /// Allows to leave it out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.need = Need::Optional;
        self
    }

    /// Allows to repeat it.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.repeat = Repeat::Multiple;
        self
    }

    /// Allows to repeat it together with its token.
    #[must_use]
    pub const fn multiple_token(mut self) -> Self {
        self.repeat = Repeat::MultipleToken;
        self
    }

    /// Says since when it is there.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }
}
