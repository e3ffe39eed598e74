//! The `janus` program: parse the command line, run, exit code.

use std::process::ExitCode;

use janus::allocator::Allocator;
use janus::cli::{self, Action, Cli};
use janus::{app, check, exit, health, logging, output};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    output::survive_file_size_limit();
    let cli = Cli::parse_or_exit();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

fn run(cli: Cli) -> Result<(), u8> {
    if let Action::Completions(shell) = cli.action {
        return print(&cli::completions(shell));
    }
    let config = cli.config().map_err(|error| fail(&error, error.exit_code()))?;
    let _log = logging::init(&config).map_err(|error| fail(&error, exit::UNAVAILABLE))?;
    match cli.action {
        Action::Check => {
            let report = check::check(&app::source(&config), &app::loading(&config))
                .map_err(|error| fail(&error, error.exit_code()))?;
            print(report.as_bytes())
        }
        Action::Health { url } => {
            let address = config.admin_listen.unwrap_or(config.listen);
            let proxies = config.introducing_proxies().filter(|_| config.admin_listen.is_none());
            health::ask(&url.unwrap_or_else(|| health::url(address)), proxies.as_ref())
                .map_err(|error| fail(&error, exit::UNHEALTHY))
        }
        Action::Serve | Action::Completions(_) => app::serve(&config).map_err(|error| fail(&error, error.exit_code())),
    }
}

fn print(text: &[u8]) -> Result<(), u8> {
    output::print(text).map_err(|error| fail(&error, exit::OUTPUT))
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> u8 {
    output::complain(error);
    code
}
