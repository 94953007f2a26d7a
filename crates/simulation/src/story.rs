//! A history told: who did what when, what the operator did, which law broke.

use std::fmt;
use std::time::Duration;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// People, networks, servers: what the history has.
    World,
    /// A process of the operator, by its number: what it called.
    Process(u32),
    /// What the operator logged.
    Log,
    /// A law.
    Law,
}

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, since the beginning.
    pub at: Duration,
    /// Who.
    pub who: Who,
    /// What.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = format!("{:>10.3} s", self.at.as_secs_f64());
        match &self.who {
            Who::World | Who::Law => write!(f, "{at}  {}", self.text),
            Who::Process(number) => write!(f, "{at}      operator {number}: {}", self.text),
            Who::Log => write!(f, "{at}      log: {}", self.text),
        }
    }
}
