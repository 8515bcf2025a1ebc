//! Which program a process runs, where its executable alone does not say it.

use super::proxy::{file_name, is_relay};
use crate::prelude::*;

/// What to compare beside the executable.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Program<'a> {
    /// The executable is the program.
    Executable,
    /// An interpreter runs this script, module, archive, class or text.
    Operand(&'a str),
    /// It is not known.
    Unknown,
}

/// How an interpreter finds its program among its arguments.
struct Interpreter {
    /// Beginning of the executable's file name; the rest may be a version.
    name: &'static str,
    /// Short options, one letter each, that may be written together.
    letters: Letters,
    /// Long options (with `--`, or with the one `-` of Java) that take the next argument.
    with_value: &'static [&'static str],
    /// Long options whose value is the program.
    program: &'static [&'static str],
    /// Words before the program that are not it.
    commands: &'static [&'static str],
}

/// Short options.
struct Letters {
    /// These take a value, attached or the next argument.
    with_value: &'static str,
    /// The value of these is the program.
    program: &'static str,
}

const NONE: Letters = Letters {
    with_value: "",
    program: "",
};

/// Shells take what follows all options for the program, be it a file or (with `-c`) a text; `-o` and `-O` have a value.
const SHELL: Letters = Letters {
    with_value: "oO",
    program: "",
};

const fn interpreter(name: &'static str, letters: Letters) -> Interpreter {
    Interpreter {
        name,
        letters,
        with_value: &[],
        program: &[],
        commands: &[],
    }
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        with_value: &["--check-hash-based-pycs"],
        ..interpreter(
            "python",
            Letters {
                with_value: "WX",
                program: "mc",
            },
        )
    },
    interpreter(
        "pypy",
        Letters {
            with_value: "WX",
            program: "mc",
        },
    ),
    Interpreter {
        with_value: &[
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--conditions",
        ],
        program: &["--eval", "--print"],
        ..interpreter(
            "node",
            Letters {
                with_value: "rC",
                program: "ep",
            },
        )
    },
    interpreter(
        "ruby",
        Letters {
            with_value: "ICEr",
            program: "e",
        },
    ),
    interpreter(
        "perl",
        Letters {
            with_value: "IMm",
            program: "eE",
        },
    ),
    Interpreter {
        with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--add-reads",
            "--add-exports",
            "--add-opens",
            "--enable-native-access",
            "--limit-modules",
            "--patch-module",
            "--source",
        ],
        program: &["-jar", "-m", "--module"],
        ..interpreter("java", NONE)
    },
    interpreter(
        "php",
        Letters {
            with_value: "cdtz",
            program: "fFrRBES",
        },
    ),
    interpreter(
        "lua",
        Letters {
            with_value: "l",
            program: "e",
        },
    ),
    Interpreter {
        commands: &["run", "serve"],
        ..interpreter("deno", NONE)
    },
    Interpreter {
        commands: &["run"],
        ..interpreter("bun", NONE)
    },
    Interpreter {
        commands: &["exec"],
        ..interpreter("dotnet", NONE)
    },
    interpreter("bash", SHELL),
    interpreter("dash", SHELL),
    interpreter("zsh", SHELL),
    interpreter("ksh", SHELL),
    interpreter("sh", SHELL),
];

/// Executables that hold many programs: alone they say nothing.
const OPAQUE: &[&str] = &["beam.smp", "busybox", "toybox"];

/// The program of a process with this executable and these arguments (the name it was called by comes first).
pub(in crate::verdict) fn program<'a>(exe: &str, cmdline: Option<&'a [String]>) -> Program<'a> {
    if is_opaque(exe) {
        return Program::Unknown;
    }
    match INTERPRETERS.iter().find(|known| known.is(file_name(exe))) {
        None => Program::Executable,
        Some(known) => cmdline
            .and_then(|args| known.operand(args.get(1..)?))
            .map_or(Program::Unknown, Program::Operand),
    }
}

/// True if `exe` alone does not say what is run; many of these stand in for somebody else.
pub(in crate::verdict) fn is_opaque(exe: &str) -> bool {
    let name = file_name(exe);
    OPAQUE.contains(&name) || is_relay(name)
}

impl Interpreter {
    /// `python3.11` is `python`, `nodejs` is `node`, `luajit` is `lua`; `dashd` and `php-fpm` are themselves.
    fn is(&self, name: &str) -> bool {
        let version = |rest: &str| {
            rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
                && rest
                    .chars()
                    .all(|c| c.is_ascii_digit() || "-.dmu".contains(c))
        };
        name.strip_prefix(self.name).is_some_and(|rest| {
            rest.is_empty()
                || version(rest)
                || matches!((self.name, rest), ("node", "js") | ("lua", "jit"))
        })
    }

    fn operand<'a>(&self, args: &'a [String]) -> Option<&'a str> {
        let mut args = args.iter().map(String::as_str);
        let mut commands = self.commands.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                return args.next();
            } else if arg.len() < 2 || !arg.starts_with(['-', '+', '@']) {
                if commands.any(|command| *command == arg) {
                    continue;
                }
                // A program from standard input has no name.
                return (arg != "-" && !arg.is_empty()).then_some(arg);
            } else if arg.starts_with('@') && self.name == "java" {
                // The arguments are in a file.
                return None;
            } else if self.program.contains(&arg) {
                return args.next();
            } else if self.with_value.contains(&arg) {
                args.next()?;
            } else if !arg.starts_with("--") {
                match self.letters.find(&arg[1..]) {
                    Found::Nothing => {}
                    Found::Value => {
                        args.next()?;
                    }
                    Found::Program("") => return args.next(),
                    Found::Program(attached) => return Some(attached),
                }
            }
        }
        None
    }
}

/// What a group of short options asks for.
enum Found<'a> {
    Nothing,
    /// The next argument is a value.
    Value,
    /// The program, or the next argument if this is empty.
    Program(&'a str),
}

impl Letters {
    fn find<'a>(&self, group: &'a str) -> Found<'a> {
        for (position, letter) in group.char_indices() {
            let rest = &group[position + letter.len_utf8()..];
            if self.program.contains(letter) {
                return Found::Program(rest);
            }
            if self.with_value.contains(letter) {
                return if rest.is_empty() {
                    Found::Value
                } else {
                    Found::Nothing
                };
            }
        }
        Found::Nothing
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/usr/sbin/nginx", "nginx -c /etc/nginx.conf", Program::Executable)]
    #[case(
        "/usr/bin/python3.11",
        "python3 /srv/app.py --port 80",
        Program::Operand("/srv/app.py")
    )]
    #[case(
        "/usr/bin/python3.11",
        "python3 -u -W ignore -X dev app.py",
        Program::Operand("app.py")
    )]
    #[case(
        "/usr/bin/python3.11",
        "python3 -um http.server 80",
        Program::Operand("http.server")
    )]
    #[case(
        "/usr/bin/python3.11d",
        "python3 -mhttp.server",
        Program::Operand("http.server")
    )]
    #[case(
        "/usr/bin/python3",
        "python3 -Wignore -c pass",
        Program::Operand("pass")
    )]
    #[case("/usr/bin/python3", "python3", Program::Unknown)]
    #[case("/usr/bin/python3", "python3 -", Program::Unknown)]
    #[case("/usr/bin/python3", "python3 -W", Program::Unknown)]
    #[case(
        "/usr/bin/nodejs",
        "node --inspect -r esm /srv/a.js",
        Program::Operand("/srv/a.js")
    )]
    #[case(
        "/usr/bin/node",
        "node --max-old-space-size=1 --import x y.js",
        Program::Operand("y.js")
    )]
    #[case(
        "/usr/lib/jvm/bin/java",
        "java -Xmx1g -jar /srv/a.jar --x",
        Program::Operand("/srv/a.jar")
    )]
    #[case(
        "/usr/lib/jvm/bin/java",
        "java -Da=b -cp lib org.App -p 1",
        Program::Operand("org.App")
    )]
    #[case(
        "/usr/lib/jvm/bin/java",
        "java -p mods -m app/org.App",
        Program::Operand("app/org.App")
    )]
    #[case("/usr/lib/jvm/bin/java", "java @args", Program::Unknown)]
    #[case(
        "/usr/bin/ruby3.1",
        "ruby -I lib bin/rails s",
        Program::Operand("bin/rails")
    )]
    #[case(
        "/usr/bin/perl",
        "perl -w -Ilib -MIO::All srv.pl",
        Program::Operand("srv.pl")
    )]
    #[case("/usr/bin/perl", "perl -we sleep", Program::Operand("sleep"))]
    #[case("/usr/bin/php8.2", "php -d a=b srv.php", Program::Operand("srv.php"))]
    #[case("/usr/sbin/php-fpm8.2", "php-fpm: master process", Program::Executable)]
    #[case(
        "/usr/bin/bash",
        "bash -e -o pipefail run.sh",
        Program::Operand("run.sh")
    )]
    #[case("/usr/bin/dash", "sh -c sleep", Program::Operand("sleep"))]
    #[case("/usr/bin/dashd", "dashd", Program::Executable)]
    #[case(
        "/usr/bin/deno",
        "deno run --allow-net srv.ts",
        Program::Operand("srv.ts")
    )]
    #[case("/usr/bin/bun", "bun srv.ts", Program::Operand("srv.ts"))]
    #[case(
        "/usr/bin/lua5.4",
        "lua -l socket srv.lua",
        Program::Operand("srv.lua")
    )]
    #[case("/usr/bin/python3", "python3 -- -odd.py", Program::Operand("-odd.py"))]
    #[case(
        "/usr/bin/docker-proxy",
        "docker-proxy -host-port 80",
        Program::Unknown
    )]
    #[case("/bin/nc.openbsd", "nc -l 80", Program::Unknown)]
    fn the_program_is_found(#[case] exe: &str, #[case] args: &str, #[case] expected: Program<'_>) {
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        assert_eq!(program(exe, Some(&args)), expected);
    }

    #[rstest]
    #[case("/usr/bin/python3", None)]
    #[case("/usr/bin/python3", Some(&[] as &[String]))]
    fn no_arguments_tell_nothing(#[case] exe: &str, #[case] args: Option<&[String]>) {
        assert_eq!(program(exe, args), Program::Unknown);
    }
}
