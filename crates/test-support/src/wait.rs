//! Waits for what happens by itself.
//!
//! A wait ends as soon as what it waits for is there. After its time it panics, and says what it waited for and, in the words of
//! the caller, what there was instead. Where a watch fits, [`object`] watches; everything else is [`eventually`].

use std::fmt::Debug;
use std::time::{Duration, Instant};

use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// How long anything may take that should happen at once. Generous, as a busy machine is no failure.
pub const SOON: Duration = Duration::from_mins(1);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(25);

/// Asks until there is an answer, for [`SOON`] at most.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>, instead: impl AsyncFnOnce() -> String) -> T {
    eventually_within(SOON, what, ask, instead).await
}

/// Asks until there is an answer, for so long at most.
pub async fn eventually_within<T>(
    within: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
    instead: impl AsyncFnOnce() -> String,
) -> T {
    let give_up = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < give_up, "it did not come to: {what}\n{}", instead().await);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until something holds, of which there is nothing more to say.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || holds().await.then_some(()), async || String::new()).await;
}

/// Watches an object until this holds of it, or of its absence, for so long at most.
pub async fn object<K>(
    api: &Api<K>,
    name: &str,
    (what, within): (&str, Duration),
    holds: impl Fn(Option<&K>) -> bool,
    instead: impl AsyncFnOnce() -> String,
) -> Option<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let watched = async {
        loop {
            // A watch that breaks is begun anew.
            match await_condition(api.clone(), name, &holds).await {
                Ok(found) => return found,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    let Ok(found) = tokio::time::timeout(within, watched).await else { panic!("{name} did not come to: {what}\n{}", instead().await) };
    found
}

/// Asserts that something holds all the time from now on, for so long.
pub async fn throughout(time: Duration, mut holds: impl AsyncFnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        holds().await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// How much a count grows from now on, within so long.
pub async fn growth(within: Duration, count: impl Fn() -> usize) -> usize {
    let before = count();
    tokio::time::sleep(within).await;
    count() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "it did not come to: rain\nsunshine")]
    async fn a_wait_in_vain_says_what_it_waited_for_and_what_there_was_instead() {
        eventually_within(Duration::ZERO, "rain", async || None::<()>, async || "sunshine".to_owned()).await;
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_first_answer() {
        let mut asked = 0;
        let ask = async || {
            asked += 1;
            (asked == 3).then_some("rain")
        };
        assert_eq!(eventually("rain", ask, async || String::new()).await, "rain");
        assert_eq!(asked, 3);
    }
}
