//! The `janus` program: parse the command line, run, exit code.

use std::process::ExitCode;

use janus::allocator::Allocator;
use janus::cli::{self, Action, Cli};
use janus::{app, check, config, exit, health, logging, output};

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
    let (config, written) = cli.config().map_err(|error| fail(&error, error.exit_code()))?;
    if cli.prints_config {
        return print(config::print(&written, &config).as_bytes());
    }
    let _log = logging::init(&config).map_err(|error| fail(&error, exit::UNAVAILABLE))?;
    match cli.action {
        Action::Check(wanted) => {
            let checked = check::check(&config, &wanted);
            checked.complaints.iter().for_each(|error| output::complain(error));
            print(checked.report.as_bytes())?;
            (checked.exit_code == 0).then_some(()).ok_or(checked.exit_code)
        }
        Action::Health { url, timeout } => {
            let address = config.admin_listen.unwrap_or(config.listen);
            let proxies = config.introducing_proxies().filter(|_| config.admin_listen.is_none());
            health::ask(&url.unwrap_or_else(|| health::url(address)), timeout, proxies.as_ref())
                .map_err(|error| fail(&error, exit::UNHEALTHY))
        }
        Action::Serve | Action::Completions(_) => app::serve(&config).map_err(|error| fail(&error, error.exit_code())),
    }
}

fn print(text: &[u8]) -> Result<(), u8> {
    output::print(text).map_err(|error| fail(&error, exit::IO))
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> u8 {
    output::complain(error);
    code
}
