//! The justfile has a recipe for each command.

use crate::xtask::Xtask;

#[test]
fn every_command_is_a_recipe_of_just() {
    let help = Xtask::new("recipes").run("--help").succeeds();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // A description may continue in the next line, with more indentation.
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(commands.contains(&"up"), "{help}");
    let justfile = include_str!("../../../justfile");
    let runs = |name: &str| {
        let command = format!("    cargo xtask {name}");
        justfile.lines().any(|line| {
            line.strip_prefix(&command)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    for name in commands {
        assert!(runs(name), "{name} has no recipe");
    }
}
