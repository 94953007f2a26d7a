//! The operator's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    upstream_params_operator::main()
}
