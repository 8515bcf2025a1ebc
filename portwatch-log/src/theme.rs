//! The colours: every style of the output has its name here, and nowhere else is an escape sequence.

use std::io::stdout;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What is drawn how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Times, and what is of less weight.
    pub faint: Style,
    /// Labels at the beginning of a line (`held by`).
    pub label: Style,
    /// Processes.
    pub process: Style,
    /// Addresses and ports.
    pub address: Style,
    /// States of sockets.
    pub state: Style,
    /// `ok`.
    pub ok: Style,
    /// Names of errnos, and losses.
    pub bad: Style,
    /// Ids of causes.
    pub cause: Style,
}

impl Theme {
    /// Without any style: plain text.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// The sixteen colours that every terminal's own palette defines.
    #[must_use]
    pub const fn coloured() -> Self {
        Self {
            faint: Style::new().dimmed(),
            label: AnsiColor::Cyan.on_default(),
            process: Style::new().bold(),
            address: AnsiColor::Blue.on_default(),
            state: AnsiColor::Yellow.on_default(),
            ok: AnsiColor::Green.on_default(),
            bad: AnsiColor::Red.on_default().bold(),
            cause: AnsiColor::Magenta.on_default(),
        }
    }

    /// Colours as the user chose them; `Auto` asks the environment (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`)
    /// and whether standard output is a terminal.
    #[must_use]
    pub fn for_stdout(choice: ColorChoice) -> Self {
        let coloured = match choice {
            ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => AutoStream::choice(&stdout()) != ColorChoice::Never,
        };
        if coloured {
            Self::coloured()
        } else {
            Self::plain()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_of_the_user_comes_first() {
        assert_eq!(Theme::for_stdout(ColorChoice::Never), Theme::plain());
        assert_eq!(Theme::for_stdout(ColorChoice::Always), Theme::coloured());
    }

    #[test]
    fn plain_text_has_no_escape_sequences() {
        let theme = Theme::plain();
        let text = format!("{0}x{0:#}{1}y{1:#}", theme.bad, theme.faint);
        assert_eq!(text, "xy");
    }
}
