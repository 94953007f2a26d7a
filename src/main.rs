//! The operator's binary. See [`upstream_params_operator::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    upstream_params_operator::cli::main()
}
