//! What becomes of one call: the faults that meet it, put together.

use std::time::Duration;

use super::faults::{self, Effect};

/// The effect that decides a call's fate, the delays before it and the edits after it.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
    pub(crate) edits: Vec<faults::EditBetween>,
    pub(crate) name: Option<&'static str>,
}

impl Fate {
    pub(crate) fn of(effects: Vec<Effect>) -> Self {
        let mut fate = Self { delay: Duration::ZERO, effect: None, edits: Vec::new(), name: None };
        for effect in effects {
            let name = effect.name();
            match effect {
                Effect::Delay(delay) => {
                    fate.delay += delay;
                    fate.name = fate.name.or(Some(name));
                }
                Effect::EditBetween(edit) => {
                    fate.edits.push(edit);
                    fate.name = fate.name.or(Some(name));
                }
                other @ (Effect::Status(..)
                | Effect::LoseAnswer
                | Effect::HangAfter
                | Effect::CutBody
                | Effect::Drop
                | Effect::NotJson
                | Effect::ErrorBodyWith200
                | Effect::HugeBody(_)
                | Effect::Hang
                | Effect::Redirect(_)
                | Effect::RateLimited(_)) => {
                    fate.name = Some(name);
                    fate.effect = Some(other);
                }
            }
        }
        fate
    }
}
