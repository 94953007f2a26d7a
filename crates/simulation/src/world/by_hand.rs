//! What the tests of the laws do in a world without an operator.

use tokio_util::sync::CancellationToken;

use super::{CONNECTIONS, DOMAINS, Process, World};
use crate::laws::Violation;
use crate::network::ProcessId;

impl World {
    /// All laws that did not hold.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.state.lock().violations.clone()
    }

    /// The id of a connection of the first tenant.
    pub(crate) fn connection_id(&self, number: usize) -> String {
        let document = self.tenants.get(DOMAINS[0]).unwrap().connection(CONNECTIONS[number].0);
        document["id"].as_str().unwrap().to_owned()
    }

    /// A process knows all that is there by now.
    pub(crate) fn knows_everything(&self, process: u32) {
        self.cluster.begins(ProcessId(process));
    }

    /// A process panics as soon as it runs.
    pub(crate) fn panic_in_a_process(&self) {
        let task = tokio::spawn(async { panic!("as if by a fault of the operator") });
        let stop = CancellationToken::new();
        self.state.lock().processes.push(Process { replica: 0, task, stop, is_dead: false, ended: false });
    }
}
