//! `bkp completions` and `bkp man`: what is made of the command line itself.

use std::fs;

use crate::sandbox::Sandbox;

/// The commands, by the help.
fn commands(sandbox: &Sandbox) -> Vec<String> {
    let help = sandbox.run(&["--help"]).exits(0);
    let (_, list) = help.text().split_once("\nCommands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|&name| name != "help").map(str::to_owned).collect()
}

#[test]
fn completions_for_every_shell_know_every_command() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = sandbox.run(&["completions", shell]).exits(0);
        assert_eq!(run.stderr, "");
        for command in commands(&sandbox) {
            assert!(run.text().contains(&command), "{shell}: {command}");
        }
        for option in ["sha256-file", "bundle-id", "tz"] {
            assert!(run.text().contains(option), "{shell}: {option}");
        }
        assert_eq!(run.stdout, sandbox.run(&["completions", shell]).stdout);
    }
    sandbox.run(&["completions", "tcsh"]).exits(2).says("usage");
    sandbox.run(&["completions"]).exits(2).says("usage");
}

#[test]
fn bash_takes_its_script_and_completes() {
    let sandbox = Sandbox::new();
    let script = sandbox.run(&["completions", "bash"]).exits(0);
    sandbox.file("bkp.bash", &script.stdout);
    let ask = "source ./bkp.bash; COMP_WORDS=(bkp fin); COMP_CWORD=1; _bkp bkp fin bkp; \
               echo \"${COMPREPLY[@]}\"";
    let Ok(output) = std::process::Command::new("bash")
        .args(["--norc", "-c", ask])
        .current_dir(sandbox.path(""))
        .output()
    else {
        println!("skipped: there is no bash");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "find\n");
}

#[test]
fn every_command_has_its_page() {
    let sandbox = Sandbox::new();
    let root = sandbox.run(&["man"]).exits(0);
    let title = concat!(".TH bkp 1 \" \" \"bkp ", env!("CARGO_PKG_VERSION"), "\" \"bkp manual\"\n");
    assert!(root.text().contains(title), "{}", root.text());
    for command in commands(&sandbox) {
        assert!(root.text().contains(&format!("bkp\\-{command}(1)")), "{command}");
        let page = sandbox.run(&["man", &command]).exits(0);
        let text = page.text();
        assert!(
            text.contains(&format!(".TH bkp\\-{command} 1 "))
                || text.contains(&format!(".TH bkp-{command} 1 ")),
            "{text}"
        );
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\""]
        {
            assert!(text.contains(&format!("\n.SH {section}\n")), "{command}: {section}");
        }
        assert!(text.contains(&format!("\n\\fBbkp {command}\\fR")), "{command}");
        assert!(text.contains("\\-\\-tz") && text.contains("\nbkp "), "{command}");
    }
    let error = sandbox.run(&["man", "nonsense"]).exits(2).says("usage");
    assert!(error.stderr.contains("extract"), "{}", error.stderr);
    sandbox.run(&["man", "help"]).exits(2);
}

#[test]
fn all_pages_at_once() {
    let sandbox = Sandbox::new();
    let mut names: Vec<_> =
        commands(&sandbox).iter().map(|command| format!("bkp-{command}.1")).collect();
    names.push("bkp.1".to_owned());
    names.sort();
    // Twice: an update replaces what the last one wrote, and leaves other pages alone.
    for _ in 0..2 {
        let run = sandbox.run(&["man", "--all", "share/man1"]).exits(0);
        let mut written: Vec<_> = run.text().lines().collect();
        written.sort_unstable();
        let expected: Vec<_> = names.iter().map(|name| format!("share/man1/{name}")).collect();
        assert_eq!(written, expected);
        for name in &names {
            let page = fs::read(sandbox.path("share/man1").join(name)).unwrap();
            let of = name.strip_suffix(".1").unwrap().strip_prefix("bkp").unwrap();
            let args: Vec<_> =
                ["man", of.trim_start_matches('-')].into_iter().filter(|a| !a.is_empty()).collect();
            assert_eq!(page, sandbox.run(&args).stdout, "{name}");
        }
        sandbox.file("share/man1/other.1", "other");
    }
    assert_eq!(fs::read(sandbox.path("share/man1/other.1")).unwrap(), b"other");
    sandbox.file("file", "x");
    let run = sandbox.run(&["man", "--all", "file"]);
    assert!(run.code == 1 && run.stderr.contains("cannot write file"), "{}", run.stderr);
    sandbox.run(&["man", "ls", "--all", "x"]).exits(2);
}

#[test]
fn every_help_of_the_new_commands_ends_as_all_do() {
    let sandbox = Sandbox::new();
    for command in commands(&sandbox) {
        let help = sandbox.run(&[&command, "--help"]).exits(0);
        assert!(help.text().contains("\nExamples:\n") && help.text().contains("\nExit codes:\n"));
        let widest = help.text().lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{command}: {widest:?}");
    }
}
