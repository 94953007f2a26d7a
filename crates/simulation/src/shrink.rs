//! Cuts a history down to what still breaks the same law.

use std::collections::BTreeMap;

use crate::history::{AtCall, History};
use crate::laws::Law;
use crate::network::{Ending, Fate};
use crate::run;

/// How many tries it takes at most.
const TRIES: usize = 3000;

/// The shortest history found that still breaks this law.
pub fn shrink(history: History, law: Law) -> History {
    let mut shrinking = Shrinking { best: history, law, tries: 0 };
    loop {
        let before = size(&shrinking.best);
        shrinking.drop_steps();
        shrinking.drop_calls();
        shrinking.simplify();
        if size(&shrinking.best) == before || shrinking.tries >= TRIES {
            return shrinking.best;
        }
    }
}

/// What is to become smaller.
fn size(history: &History) -> (usize, u128, usize) {
    let pauses = history.steps.iter().map(|(pause, _)| pause.as_millis()).sum();
    (history.len(), pauses, history.replicas)
}

struct Shrinking {
    best: History,
    law: Law,
    tries: usize,
}

impl Shrinking {
    /// Keeps a smaller history if it breaks the law as well.
    fn try_one(&mut self, smaller: History) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        let breaks = run::run(&smaller, false).violation.is_some_and(|violation| violation.law == self.law);
        if breaks {
            self.best = smaller;
        }
        breaks
    }

    /// Drops runs of steps, long ones first.
    fn drop_steps(&mut self) {
        let mut length = self.best.steps.len().div_ceil(2);
        while length > 0 {
            let mut at = 0;
            while at < self.best.steps.len() {
                let mut smaller = self.best.clone();
                let end = (at + length).min(smaller.steps.len());
                smaller.steps.drain(at..end);
                if !self.try_one(smaller) {
                    at += length;
                }
            }
            length /= 2;
        }
    }

    fn drop_calls(&mut self) {
        if !self.best.calls.is_empty() {
            let smaller = History { calls: BTreeMap::new(), ..self.best.clone() };
            self.try_one(smaller);
        }
        for number in self.best.calls.keys().copied().collect::<Vec<_>>() {
            let mut smaller = self.best.clone();
            smaller.calls.remove(&number);
            self.try_one(smaller);
        }
    }

    /// Makes what is left plainer: no pauses, prompt answers, one replica, plain options.
    fn simplify(&mut self) {
        for at in 0..self.best.steps.len() {
            if !self.best.steps[at].0.is_zero() {
                let mut smaller = self.best.clone();
                smaller.steps[at].0 = std::time::Duration::ZERO;
                self.try_one(smaller);
            }
        }
        for number in self.best.calls.keys().copied().collect::<Vec<_>>() {
            if let Some(AtCall::Fate(fate)) = self.best.calls.get(&number)
                && fate.ending == Ending::Answered
                && *fate != Fate::PROMPT
            {
                let mut smaller = self.best.clone();
                smaller.calls.insert(number, AtCall::Fate(Fate::PROMPT));
                self.try_one(smaller);
            }
        }
        if self.best.replicas > 1 {
            self.try_one(History { replicas: 1, ..self.best.clone() });
        }
        let plain: Vec<Vec<String>> = self.best.options.iter().map(|tenant| vec!["{}".to_owned(); tenant.len()]).collect();
        if plain != self.best.options {
            self.try_one(History { options: plain, ..self.best.clone() });
        }
    }
}
