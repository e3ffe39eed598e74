//! The `janus` program: parse the command line, run, exit code.

use std::process::ExitCode;

use janus::allocator::Allocator;
use janus::cli::{self, Action, Cli};
use janus::{app, check, exit, health, logging};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    let cli = Cli::parse_or_exit();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

fn run(cli: Cli) -> Result<(), u8> {
    if let Action::Completions(shell) = cli.action {
        cli::print_completions(shell);
        return Ok(());
    }
    let config = cli.config().map_err(|error| fail(&error, error.exit_code()))?;
    let _log = logging::init(&config).map_err(|error| fail(&error, exit::UNAVAILABLE))?;
    match cli.action {
        Action::Check => {
            let report = check::check(&app::source(&config), &app::loading(&config))
                .map_err(|error| fail(&error, error.exit_code()))?;
            print!("{report}");
            Ok(())
        }
        Action::Health { url } => {
            let address = config.admin_listen.unwrap_or(config.listen);
            health::ask(&url.unwrap_or_else(|| health::url(address))).map_err(|error| fail(&error, exit::UNHEALTHY))
        }
        Action::Serve | Action::Completions(_) => app::serve(&config).map_err(|error| fail(&error, error.exit_code())),
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("janus: {error}");
    code
}
